"""The collector looks while the network threads write: what it sees in between is no error."""

from __future__ import annotations

import threading

import numpy as np
from numba import njit

from receive.stream.dumps.window import Window
from receive.stream.table.layout import PoolSize, StreamLayout
from receive.stream.table.state import SharedState

GROUPS, POOL, LOOKS = 64, 8, 3000


@njit(nogil=True)
def set_and_clear(flags, stop):
    """Set and clear all flags again and again, as start heaps that come do."""
    value = 1
    while stop[0] == 0:
        for row in range(flags.shape[0]):
            for group in range(flags.shape[1]):
                flags[row, group] = value
        value = 1 - value


def test_start_heaps_may_come_while_they_are_looked_for() -> None:
    layout = StreamLayout(
        channel_count=GROUPS,
        channels_per_stream=1,
        baseline_count=3,
        record_bytes=34,
        first_channel=0,
    )
    state = SharedState(
        layout,
        PoolSize(POOL, 4),
        model_time=np.arange(1, 4, dtype=np.uint64) << np.uint64(32),
        model_tolerance=np.ones(3, np.int64),
        interval_ticks=1 << 32,
        span_ticks=1 << 34,
        first_channel_id=0,
        reject_unknown=False,
        backpressure=False,
    )
    window = Window(state, 1.0, lambda: 0)
    stop = np.zeros(1, np.int64)
    set_and_clear(state.present[POOL:], np.ones(1, np.int64))  # compiled before it is needed
    writer = threading.Thread(target=set_and_clear, args=(state.present[POOL:], stop))
    writer.start()
    try:
        for look in range(LOOKS):
            window.step(float(look), limit=POOL)
    finally:
        stop[0] = 1
        writer.join()
