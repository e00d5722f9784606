"""Somebody else sends to the same ports: nothing of the observation is lost, split or ended."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.ending import EndedBy
from receive.stream.table.shared_types import Reason
from tests.integration.senders import CONTROL, STOP, Observation, Sender, packets_of
from tests.integration.stranger import Stranger
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.account.outcome import Outcome
    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

STREAMS = 4
RECEIVED = 100
PACE_S = 0.01


def observation_of(seed: int = 1, **more: Any) -> Observation:
    """Return a model of more integrations than are sent, on four streams."""
    return Observation(times=2 * RECEIVED, channels=8, per_stream=2, antennas=3, seed=seed, **more)


def send(
    running: Running, observation: Observation, stranger: Stranger, *, tcp: bool = False
) -> None:
    """Send integrations to the receiver, and have the stranger begin with the second, at latest."""
    pause = threading.Event()
    with Sender(running.ports, tcp=tcp) as sender, contextlib.ExitStack() as stack:
        for stream in range(STREAMS):
            sender.send(stream, observation.start(stream))
        for index in range(RECEIVED):
            stranger.now = index
            for stream in range(STREAMS):
                sender.send(stream, observation.low(index, stream))
            if index == 0 and not stranger.began:
                running.recorder.wait_for(1)
                stack.enter_context(stranger)
            pause.wait(PACE_S)
        sender.end(observation)
        running.recorder.wait_for(RECEIVED)


@pytest.mark.parametrize(
    ("sources", "seed"),
    [
        *(("any", seed) for seed in range(14)),
        *(("first", seed) for seed in range(13)),
        *(("127.0.0.1/32", seed) for seed in range(13)),
    ],
)
def test_every_integration_arrives_whoever_else_sends(
    receive: Receive, sources: str, seed: int
) -> None:
    """Stops, starts, old and future heaps and noise, a thousand packets a second."""
    observation = observation_of(seed)
    running = receive(observation, reception__sources=[sources])
    send(running, observation, Stranger(running.ports, observation, seed))
    outcome = running.finish()
    if sources == "any":
        assert running.refused(Reason.BAD_TIME) + running.refused(Reason.LATE) > 0
    assert_whole(running, observation, outcome)


@pytest.mark.parametrize("seed", range(4))
def test_every_integration_arrives_whoever_else_connects(receive: Receive, seed: int) -> None:
    """Connections that bring nothing, or noise, while the sender's are open."""
    observation = observation_of(seed)
    running = receive(observation, reception__transport="tcp")
    send(running, observation, Stranger(running.ports, observation, seed, tcp=True), tcp=True)
    assert_whole(running, observation, running.finish())


def assert_whole(running: Running, observation: Observation, outcome: Outcome) -> None:
    """See that what was sent is there, as one scan that its streams ended."""
    assert_same(running.recorder.taken, observation, range(RECEIVED))
    assert outcome.scans[0].missing == 0
    assert_one_scan(observation, outcome)


def assert_one_scan(observation: Observation, outcome: Outcome) -> None:
    (ledger,) = outcome.scans
    assert ledger.scan_id == observation.scan_id
    assert ledger.end is not None
    assert ledger.end.by is EndedBy.STREAMS_ENDED
    assert ledger.expected == int(ledger.received.sum()) + ledger.missing


def stop_of_others(count: int) -> list[bytes]:
    return packets_of(count, {CONTROL: STOP})


@pytest.mark.parametrize("per_stream", [2, 8])
@pytest.mark.parametrize("count", [1, 0x7777, (1 << 48) - 1])
def test_an_end_that_is_followed_by_more_was_none(
    receive: Receive, per_stream: int, count: int
) -> None:
    observation = Observation(times=30, per_stream=per_stream)
    running = receive(observation)
    streams = range(len(observation.groups))
    with Sender(running.ports) as sender, Sender(running.ports, source="127.0.0.2") as other:
        for stream in streams:
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in streams:
                sender.send(stream, observation.low(index, stream))
            if index % 7 == 3:
                running.recorder.wait_for(index + 1)
                for stream in streams:
                    other.send(stream, stop_of_others(count))
                running.look_twice()
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    (ledger,) = outcome.scans
    assert ledger.end is not None
    assert ledger.end.by is EndedBy.STREAMS_ENDED


@pytest.mark.parametrize("per_stream", [2, 8])
def test_starts_without_data_begin_nothing(receive: Receive, per_stream: int) -> None:
    observation = Observation(times=30, per_stream=per_stream)
    running = receive(observation, reception__max_scans=0)
    streams = range(len(observation.groups))
    with Sender(running.ports) as sender, Sender(running.ports, source="127.0.0.2") as other:
        for stream in streams:
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in streams:
                sender.send(stream, observation.low(index, stream))
                start = observation.start_of_others(stream, 1000 + index, 666 + index)
                other.send(stream, start * 10)
        running.recorder.wait_for(observation.times)
        sender.end(observation)
        wait_until(lambda: running.recorder.ended)
        outcome = running.end()
    assert_same(running.recorder.taken, observation)
    assert [scan.scan_id for scan in outcome.scans] == [observation.scan_id]


@pytest.mark.parametrize("late", [[2], [2, 3], [1, 2, 3]])
def test_far_times_do_not_take_the_window(receive: Receive, late: list[int]) -> None:
    """More of them than it has room for, with the sender's own counts, where heaps still miss."""
    observation = observation_of()
    running = receive(observation)
    with Sender(running.ports) as sender, Sender(running.ports, source="127.0.0.2") as other:
        for stream in range(STREAMS):
            sender.send(stream, observation.start(stream))
        for index in range(5):
            heaps = [observation.low(index, stream) for stream in range(STREAMS)]
            for stream in range(STREAMS):
                if index != 3 or stream not in late:
                    sender.send(stream, heaps[stream])
            if index == 3:
                running.drain()
                for far in range(2 * running.plan.pool.window):
                    for stream in late:
                        heap = observation.low_of_others(50 + 20 * (far % 7) + far, stream, 5)
                        other.send(stream, heap)
                running.drain()
                running.look_twice()
                for stream in late:
                    sender.send(stream, heaps[stream])
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation, range(5))
    assert_one_scan(observation, outcome)


@pytest.mark.parametrize("when", [0, 1, 10, 29])
@pytest.mark.parametrize("per_stream", [2, 8])
def test_a_time_of_the_model_far_away_is_not_believed_alone(
    receive: Receive, per_stream: int, when: int
) -> None:
    observation = Observation(times=120, per_stream=per_stream)
    running = receive(observation)
    streams = range(len(observation.groups))
    with Sender(running.ports) as sender, Sender(running.ports, source="127.0.0.2") as other:
        for stream in streams:
            sender.send(stream, observation.start(stream))
        for index in range(30):
            if index == when:
                other.send(0, observation.low_of_others(119, 0, 0x5555))
                running.drain()
            for stream in streams:
                sender.send(stream, observation.low(index, stream))
        running.recorder.wait_for(30)
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation, range(30))
    assert [scan.dumps for scan in outcome.scans] == [30]
    assert running.refused(Reason.BAD_TIME) == 1


@pytest.mark.parametrize("pace_s", [PACE_S, 0.0])
def test_a_sender_that_was_not_heard_for_long_loses_nothing_more(
    receive: Receive, pace_s: float
) -> None:
    """Its link was down: its times and counts are far from the last ones, and follow each other.

    However soon it ends.
    """
    observation = Observation(times=300, per_stream=4)
    running = receive(observation)
    pause = threading.Event()
    heard = [*range(20), *range(220, 300)]
    with Sender(running.ports) as sender:
        for stream in range(2):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in range(2):
                heap = observation.low(index, stream)
                if index in heard:
                    sender.send(stream, heap)
            if index in heard:
                pause.wait(pace_s)
        sender.end(observation)
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert (ledger.dumps, ledger.missing) == (300, 2 * 200)
    taken = running.recorder.taken
    assert_same([taken[index] for index in heard], observation, heard)
