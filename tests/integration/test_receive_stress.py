"""Placement and collector against each other: few buffers, broken heaps, many threads."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from receive.stream.table.shared_types import Reason
from tests.integration.senders import Observation, Sender
from tests.waiting import BOUND_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.recorder import Taken
    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

STREAMS = 4


def broken_stream(observation: Observation, stream: int, rng: random.Random) -> list[bytes]:
    """Heaps of several packets, of which some are never whole, and some come again in part."""
    packets = observation.start(stream)
    earlier: list[bytes] = []
    for index in range(observation.times):
        heap = observation.low(index, stream)
        if rng.random() < 0.05:
            heap.pop(rng.randrange(len(heap)))
        if rng.random() < 0.3:
            rng.shuffle(heap)
        packets += heap
        if earlier and rng.random() < 0.1:
            packets += earlier[: rng.randrange(1, len(earlier) + 1)]
        earlier = heap
    return packets + observation.end(stream)


def send_side_by_side(sender: Sender, streams: list[list[bytes]], step: int = 60) -> None:
    """Send each stream in a thread of its own, none of them more than a step ahead."""
    together = threading.Barrier(len(streams), timeout=BOUND_S)
    longest = max(map(len, streams))

    def send(stream: int) -> None:
        for first in range(0, longest, step):
            together.wait()
            try:
                sender.send(stream, streams[stream][first : first + step])
            except OSError:
                together.abort()
                raise

    with ThreadPoolExecutor(len(streams)) as pool:
        for sending in [pool.submit(send, stream) for stream in range(len(streams))]:
            sending.result()


def assert_present_is_right(observation: Observation, payload: Taken) -> int:
    """Return how many heaps of a payload are present; each is that of its time and channels."""
    index = (payload.ticks - observation.ticks(0)) >> 32
    for present, (first, count) in zip(payload.present, observation.groups, strict=True):
        if present:
            channels = slice(first, first + count)
            sent = np.ascontiguousarray(observation.records[index, channels]["VIS"])
            assert payload.visibilities[channels].tobytes() == sent.tobytes(), (index, first)
    return sum(payload.present)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threads", [0, 1])
def test_no_heap_lands_in_the_wrong_place(receive: Receive, seed: int, threads: int) -> None:
    """Whatever is called present is whole and of its own time, with buffers used over and over."""
    observation = Observation(
        times=800, channels=8, per_stream=2, antennas=2, packet_payload=50, seed=seed
    )
    dump_bytes = STREAMS * (4096 * 2 + 2 * 3 * 34 + 64)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__receiver_threads=threads,
        reception__ring_heaps=6,
        reception__buffer_memory=20 * dump_bytes,
        reception__dump_timeout=0.2,
    )
    streams = [broken_stream(observation, s, random.Random(seed * 10 + s)) for s in range(STREAMS)]
    with Sender(running.ports, tcp=True) as sender:
        send_side_by_side(sender, streams)
        for stream in range(STREAMS):
            sender.send(stream, observation.end(stream))
        outcome = running.finish()
    ledger = outcome.scans[0]
    taken = running.recorder.taken
    assert len(taken) == sum(scan.dumps for scan in outcome.scans)
    assert ledger.expected == int(ledger.received.sum()) + ledger.missing
    ticks = [payload.ticks for payload in taken]
    assert ticks == sorted(set(ticks))
    whole = sum(assert_present_is_right(observation, payload) for payload in taken)
    assert whole > 0
    assert running.refused(Reason.DUPLICATE) + running.refused(Reason.LATE) > 0


def test_all_buffers_are_free_again_in_the_end(receive: Receive) -> None:
    """Dumps with heaps that were begun and never ended wait in quarantine, not for ever."""
    observation = Observation(times=400, per_stream=4, packet_payload=300)
    running = receive(
        observation,
        reception__buffer_memory=30 * 2 * (4096 * 2 + 4 * 10 * 34 + 64),
        reception__ring_heaps=6,
        reception__dump_timeout=0.1,
    )
    with Sender(running.ports) as sender:
        for index in range(200):
            for stream in range(2):
                heap = observation.low(index, stream)
                sender.send(stream, heap[:-1] if index % 7 == stream else heap)
            if index % 10 == 9:
                running.drain()
                running.look_twice()
        wait_until(lambda: running.view.window_is_empty)
        for index in range(200, 400):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            running.recorder.wait_for(index)
        wait_until(lambda: not running.view.lent)
        running.look_twice()
        assert running.view.free == running.plan.pool.dumps
        assert running.view.free_blocks == set(range(running.plan.pool.dumps))
        assert not running.view.quarantined
        sender.end(observation)
        running.finish()
