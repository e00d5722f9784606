"""Memory that is there before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from receive.host import prefault
from receive.host.prefault import Prefaulter
from receive.stream.table.layout import PoolSize, StreamLayout
from receive.stream.table.state import SharedState
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL, BASELINES, CHANNELS = 12, 1000, 64
AHEAD = 5 << 20


@pytest.fixture
def state() -> SharedState:
    layout = StreamLayout(
        channel_count=CHANNELS,
        channels_per_stream=CHANNELS,
        baseline_count=BASELINES,
        record_bytes=34,
        first_channel=0,
    )
    return SharedState(
        layout,
        PoolSize(POOL, 4),
        model_time=np.ones(1, np.uint64),
        model_tolerance=np.ones(1, np.int64),
        interval_ticks=1 << 32,
        span_ticks=1 << 34,
        first_channel_id=0,
        reject_unknown=False,
        backpressure=False,
    )


@pytest.fixture
def prefaulter(state: SharedState, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prefaulter]:
    monkeypatch.setattr(prefault, "AHEAD_BYTES", AHEAD)
    monkeypatch.setattr(prefault, "STEP_BYTES", 1 << 20)
    made = Prefaulter(state.memory, state.layout.dump_bytes)
    made.start()
    yield made
    made.stop()


def test_it_goes_ahead_of_what_is_in_use(state: SharedState, prefaulter: Prefaulter) -> None:
    wait_until(lambda: prefaulter.touched_bytes >= AHEAD)
    assert prefaulter.touched_bytes < AHEAD + (1 << 20)
    prefaulter.look(2)
    wait_until(lambda: prefaulter.touched_bytes >= AHEAD + 2 * state.layout.dump_bytes)
    prefaulter.look(POOL)
    wait_until(lambda: prefaulter.touched_bytes == len(state.memory))


def test_what_lies_there_already_stays(state: SharedState, prefaulter: Prefaulter) -> None:
    state.memory[:] = 7
    prefaulter.look(POOL)
    wait_until(lambda: prefaulter.touched_bytes == len(state.memory))
    assert (state.memory == 7).all()


def test_a_system_without_the_advice_is_left_alone(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefault, "_MADV_POPULATE_WRITE", 12345)
    made = Prefaulter(state.memory, state.layout.dump_bytes)
    made.start()
    made.stop()
    assert made.touched_bytes == 0
