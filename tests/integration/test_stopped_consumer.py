"""A consumer that takes nothing, or one integration at a time: the network goes on meanwhile."""

from __future__ import annotations

import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from receive.stream.table.shared_types import Reason
from tests.integration.recorder import Recorder
from tests.integration.senders import Observation, Sender
from tests.integration.test_receive_streams import assert_same
from tests.waiting import BOUND_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.icd.payload import Payload
    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

HERE = "tests.integration.test_stopped_consumer"
STREAMS, BASELINES = 2, 10
BUFFERS, WINDOW = 20, 6
SPARE = BUFFERS - WINDOW - 1
"""Integrations that may be with a consumer: those that are not needed to receive into."""
BUFFER_BYTES = STREAMS * (4 * BASELINES * 34 + 2 * 4096 + 64)


class Stepping(Recorder):
    """Takes as many integrations with data as it is allowed; those without are not counted."""

    def __init__(self, config: Any, tm: Any) -> None:
        super().__init__(config, tm)
        self.allowed = threading.Semaphore(0)
        self.all_allowed = False

    async def consume(self, payload: Payload) -> None:
        if any(part.present for part in payload.parts) and not self.all_allowed:
            self.allowed.acquire()
        await super().consume(payload)

    def go_on(self) -> None:
        self.all_allowed = True
        self.allowed.release()


def small(receive: Receive, observation: Observation, **options: Any) -> Running:
    return receive(
        observation,
        reception__buffer_memory=BUFFERS * BUFFER_BYTES,
        reception__ring_heaps=WINDOW,
        **options,
    )


def begun(running: Running) -> int:
    """Heaps that the network threads have looked at."""
    return int(running.view.begun.sum())


def buffers(running: Running) -> int:
    """Buffers that are free, lent, or filled by what comes."""
    return running.view.free + running.view.lent + len(running.view.waiting_epochs)


def assert_whole_or_flagged(running: Running, observation: Observation) -> list[int]:
    """All integrations came to the consumer, in order; return those that came with data."""
    taken = running.recorder.taken
    assert [t.ticks for t in taken] == [observation.ticks(i) for i in range(observation.times)]
    kept = [index for index, each in enumerate(taken) if all(each.present)]
    assert not any(any(each.present) for index, each in enumerate(taken) if index not in kept)
    assert all(each.flags.all() for index, each in enumerate(taken) if index not in kept)
    assert_same([taken[index] for index in kept], observation, kept)
    return kept


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_network_never_waits_for_a_consumer_that_takes_nothing(
    receive: Receive, transport: str
) -> None:
    observation = Observation(times=400, per_stream=4)
    running = small(receive, observation, reception__transport=transport)
    running.recorder.gate.clear()
    heaps = 0
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for stream in range(STREAMS):
            sender.send(stream, observation.start(stream))
            heaps += 1
        for index in range(observation.times):
            for stream in range(STREAMS):
                sender.send(stream, observation.low(index, stream))
                heaps += 1
            # Else one stream would be as far ahead as its socket holds.
            wait_until(lambda heaps=heaps: begun(running) == heaps, "all heaps are looked at")
        running.look_twice()
        # It still has the first.
        assert not running.recorder.taken
        assert buffers(running) <= BUFFERS
        drops = running.view.kernel_drops
        assert drops is None or not drops.sum()
        # Each heap was taken, or refused for want of a buffer and for nothing else.
        refused = running.refused(Reason.NO_BUFFER)
        assert refused == running.view.counters.sum()
        received = running.view.received
        in_window = STREAMS * observation.times - received - refused
        assert 0 <= in_window <= STREAMS * BUFFERS
        running.recorder.gate.set()
        sender.end(observation)
        outcome = running.finish()
    kept = assert_whole_or_flagged(running, observation)
    (ledger,) = outcome.scans
    assert ledger.expected == STREAMS * observation.times
    assert ledger.missing == ledger.refused_total(Reason.NO_BUFFER)
    (dropped,) = outcome.dropped.values()
    assert dropped > 0
    assert observation.times == len(kept) + dropped + ledger.missing // STREAMS
    assert SPARE <= len(kept) <= BUFFERS


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_one_that_takes_a_tenth_gets_the_next_that_comes_after_each(
    receive: Receive, transport: str
) -> None:
    """It recovers within an integration: as soon as one was taken, the next to come is kept."""
    observation = Observation(times=SPARE + 10 + 10 * 20, per_stream=4)
    running = small(
        receive,
        observation,
        reception__transport=transport,
        reception__consumer=f"{HERE}.Stepping",
    )
    stepping, view = running.recorder, running.view
    after_each: list[int] = []
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for stream in range(STREAMS):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            if index >= SPARE + 10 and index % 10 == 0:
                lent = view.lent
                stepping.allowed.release()
                wait_until(lambda lent=lent: view.lent < lent, "one was taken and given back")
                running.look_twice()
                after_each.append(index)
            for stream in range(STREAMS):
                sender.send(stream, observation.low(index, stream))
            wait_until(lambda index=index: running.view.handed_on == index + 1, "handed on")
        stepping.go_on()
        sender.end(observation)
        outcome = running.finish()
    kept = assert_whole_or_flagged(running, observation)
    # Those that filled the buffers, and one for each that was taken: the very next.
    assert kept == [*range(SPARE), *after_each]
    (ledger,) = outcome.scans
    assert not ledger.missing
    assert outcome.dropped[f"{HERE}.Stepping"] == observation.times - len(kept)


def test_integrations_without_data_that_wait_take_little_memory(receive: Receive) -> None:
    """A consumer that is stopped for long has thousands of them before it."""
    observation = Observation(times=3001, channels=32, per_stream=1, antennas=2)
    running = receive(observation, reception__dump_timeout=0.2)
    running.recorder.gate.clear()
    tracemalloc.start()
    try:
        with Sender(running.ports) as sender:
            for stream in range(32):
                sender.send(stream, observation.low(0, stream))
            assert running.recorder.entered.wait(BOUND_S)
            before_bytes, _ = tracemalloc.get_traced_memory()
            for stream in range(32):
                sender.send(stream, observation.low(3000, stream))
            wait_until(lambda: running.view.handed_on == 3001, "all are with the consumer")
            grown_bytes = tracemalloc.get_traced_memory()[0] - before_bytes
            running.recorder.gate.set()
            sender.end(observation)
            outcome = running.finish()
    finally:
        tracemalloc.stop()
    assert outcome.scans[0].empty_dumps == 2999
    # 2 kB each, whatever the number of streams.
    assert grown_bytes < 2000 * 2999
