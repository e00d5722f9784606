"""Senders that come late, die, start again, go back in time, or never end their streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from receive.run import arrivals
from receive.stream.dumps import window as window_room
from receive.stream.table.shared_types import Reason
from tests.integration.senders import MID, Observation, Sender
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

BOTH = pytest.mark.parametrize("transport", ["udp", "tcp"])


def begin(sender: Sender, observation: Observation, indices: range, *, start: bool = True) -> None:
    """Send on all streams, and no end."""
    streams = range(len(observation.groups))
    if start:
        for stream in streams:
            sender.send(stream, observation.start(stream))
    for index in indices:
        for stream in streams:
            sender.send(stream, observation.low(index, stream))


@BOTH
def test_a_sender_that_never_ends_its_stream_ends_with_idle_timeout(
    receive: Receive, transport: str
) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation, reception__transport=transport, reception__idle_timeout=1.0)
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        begin(sender, observation, range(observation.times))
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


def test_a_sender_that_dies_within_a_heap_leaves_what_was_whole(receive: Receive) -> None:
    observation = Observation(packet_payload=500)
    running = receive(observation, reception__idle_timeout=1.0, reception__dump_timeout=0.1)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(4))
        sender.send(0, observation.low(4, 0)[:-1])
    outcome = running.finish()
    assert_same(running.recorder.taken[:4], observation, range(4))
    assert running.recorder.taken[4].flags.all()
    assert (outcome.scans[0].expected, outcome.scans[0].missing) == (5, 1)


@pytest.mark.parametrize("reset", [False, True])
def test_a_killed_tcp_sender_ends_the_scan(receive: Receive, *, reset: bool) -> None:
    """Whether its system closed the connections or reset them."""
    observation = Observation(per_stream=4)
    running = receive(observation, reception__transport="tcp")
    sender = Sender(running.ports, tcp=True)
    begin(sender, observation, range(6))
    running.recorder.wait_for(6)
    sender.close(reset=reset)
    [scan] = running.finish().scans
    assert scan.missing == 0
    assert scan.end is not None
    assert (scan.end.by, scan.end.left_out) == ("peer-lost", 4)
    assert_same(running.recorder.taken, observation, range(6))


@pytest.mark.parametrize("reset", [False, True])
def test_a_tcp_sender_that_starts_again_begins_a_new_set(receive: Receive, *, reset: bool) -> None:
    observation = Observation(per_stream=3)
    running = receive(observation, reception__transport="tcp", reception__max_scans=2)
    sender = Sender(running.ports, tcp=True)
    again = Observation(per_stream=3, seed=2)
    begin(sender, observation, range(6))
    running.recorder.wait_for(6)
    sender.close(reset=reset)
    with Sender(running.ports, tcp=True) as sender:
        begin(sender, again, range(again.times))
        sender.end(again)
        outcome = running.finish()
    assert [scan.missing for scan in outcome.scans] == [0, 0]
    first, second = [scan.end.by for scan in outcome.scans if scan.end is not None]
    # By how soon the sender is back.
    assert first in {"peer-lost", "next-scan"}
    assert second == "streams-ended"
    assert [scan.dumps for scan in outcome.scans] == [6, again.times]
    assert_same(running.recorder.taken[:6], observation, range(6))
    assert_same(running.recorder.taken[6:], again)


@pytest.mark.parametrize("per_stream", [3, 8])
def test_a_udp_sender_that_starts_again_with_the_same_times_begins_a_new_set(
    receive: Receive, per_stream: int
) -> None:
    observation = Observation(per_stream=per_stream)
    running = receive(observation, reception__max_scans=2)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(6))
        running.recorder.wait_for(6)
    again = Observation(per_stream=per_stream, seed=2, first_heap_count=1000)
    with Sender(running.ports) as sender:
        begin(sender, again, range(again.times))
        sender.end(again)
        outcome = running.finish()
    assert [(scan.missing, scan.end.by) for scan in outcome.scans if scan.end is not None] == [
        (0, "next-scan"),
        (0, "streams-ended"),
    ]
    assert [scan.dumps for scan in outcome.scans] == [6, again.times]
    assert_same(running.recorder.taken[:6], observation, range(6))
    assert_same(running.recorder.taken[6:], again)


def test_a_sender_that_starts_again_within_a_heap_does_not_mix_the_two(receive: Receive) -> None:
    """The new sender counts its heaps as the old one did: their packets look alike."""
    observation = Observation(packet_payload=200)
    running = receive(observation, reception__max_scans=2)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(4))
        running.recorder.wait_for(4)
        sender.send(0, observation.low(4, 0)[:3])
        again = Observation(packet_payload=200, seed=2)
        # A start heap is known from its repetition by its count.
        again.start(0)
        wait_until(lambda: running.view.head == 5)
        restart = Observation(first_heap_count=500).start(0)
        sender.send(0, restart)
        begin(sender, again, range(again.times), start=False)
        sender.end(again)
        outcome = running.finish()
    taken = running.recorder.taken
    assert_same(taken[:4], observation, range(4))
    assert taken[4].ticks == observation.ticks(4)
    assert taken[4].flags.all()
    assert [scan.dumps for scan in outcome.scans] == [5, again.times]
    # The one that spead2 took for the rest of the old heap is lost, and nothing else.
    assert [scan.missing for scan in outcome.scans] == [1, 1]
    kept = [index for index, came in enumerate(taken[5:]) if not came.flags.any()]
    assert len(kept) == again.times - 1
    assert_same([taken[5 + index] for index in kept], again, kept)


@BOTH
def test_a_new_scan_follows_on_the_same_streams(receive: Receive, transport: str) -> None:
    """Low's style: each scan has a start and an end heap."""
    first = Observation(per_stream=4, scan_id=11)
    second = Observation(per_stream=4, scan_id=12, seed=2, first_unix_s=first.first_unix_s + 60)
    second.first_heap_count = 100
    second.__post_init__()
    running = receive(first, reception__transport=transport, reception__max_scans=2)
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for observation in (first, second):
            begin(sender, observation, range(observation.times))
            sender.end(observation)
        outcome = running.finish()
    assert not outcome.lost
    assert [scan.scan_id for scan in outcome.scans] == [11, 12]
    assert_same(running.recorder.taken[:10], first)
    assert_same(running.recorder.taken[10:], second)
    assert [taken.scan_id for taken in running.recorder.taken] == [11] * 10 + [12] * 10


@BOTH
def test_a_new_scan_id_without_start_or_end_begins_a_new_set(
    receive: Receive, transport: str
) -> None:
    """Mid's style: every heap says which scan it belongs to."""
    observation = Observation(per_stream=4, dtype=MID)
    running = receive(
        observation,
        reception__transport=transport,
        reception__max_scans=2,
        reception__telescope="mid",
    )
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for index in range(observation.times):
            for stream in range(2):
                heap = observation.mid(index, stream, scan_id=11 if index < 4 else 12)
                sender.send(stream, heap)
        sender.end(observation)
        outcome = running.finish()
    assert not outcome.lost
    assert [(scan.scan_id, scan.dumps) for scan in outcome.scans] == [(11, 4), (12, 6)]
    assert_same(running.recorder.taken, observation)


def test_more_scans_than_asked_for_are_left_alone(receive: Receive) -> None:
    first, second = Observation(scan_id=1), Observation(scan_id=2, first_heap_count=100)
    running = receive(first)
    with Sender(running.ports) as sender:
        sender.send(0, first.stream(0) + second.stream(0))
        outcome = running.finish()
    assert [scan.scan_id for scan in outcome.scans] == [1]
    assert_same(running.recorder.taken, first)


def test_a_time_that_jumps_back_begins_a_new_set(receive: Receive) -> None:
    """No start heap says so: the times alone do."""
    observation = Observation(times=60, per_stream=4)
    running = receive(observation, reception__max_scans=2)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(40, 60))
        running.recorder.wait_for(20)
        for index in range(10):
            begin(sender, observation, range(index, index + 1), start=False)
            running.recorder.wait_for(20 + index + 1)
        sender.end(observation)
        outcome = running.finish()
    assert not outcome.lost
    assert [scan.dumps for scan in outcome.scans] == [20, 10]
    assert_same(running.recorder.taken, observation, [*range(40, 60), *range(10)])


def test_streams_far_behind_another_begin_nothing_new(receive: Receive) -> None:
    """Their times are older than what came, but they have not gone back."""
    observation = Observation(times=50, channels=6, per_stream=2)
    running = receive(observation, reception__transport="tcp", reception__ring_heaps=4)
    present = running.view.present
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.start(0))
        for index in range(40, 46):
            sender.send(0, observation.low(index, 0))
        wait_until(lambda: int(present.sum()) == 6, "the first stream is ahead")
        running.look_twice()
        for stream in (1, 2):
            sender.send(stream, observation.start(stream))
            for index in range(2):
                sender.send(stream, observation.low(index, stream))
        wait_until(lambda: int(present.sum()) == 6 + 2 * 2, "the others came")
        running.look_twice()
        sender.end(observation)
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert int(ledger.received.sum()) == 6 + 2 * 2
    assert running.view.epoch == 0


@pytest.mark.parametrize("ended", [False, True])
def test_what_is_older_than_what_was_handed_on_is_late_and_keeps_nothing_open(
    receive: Receive, *, ended: bool
) -> None:
    """Several streams agree on such times, but it is too late for them."""
    observation = Observation(times=50, channels=6, per_stream=2)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__ring_heaps=4,
        reception__dump_timeout=0.2,
    )
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.start(0))
        for index in range(40, 46):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(6)
        if ended:
            sender.send(0, observation.end(0))
            wait_until(lambda: running.view.has_ended(0), "it ended")
        for stream in (1, 2):
            sender.send(stream, observation.start(stream))
            for index in range(2):
                sender.send(stream, observation.low(index, stream))
        sender.end(observation)
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert int(ledger.received.sum()) == 6
    assert running.refused(Reason.LATE) == 2 * 2


@pytest.mark.parametrize("lost", [[0], [0, 1]])
def test_lost_start_heaps_lose_no_data(receive: Receive, lost: list[int]) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation)
    with Sender(running.ports) as sender:
        for stream in range(2):
            start = observation.start(stream)
            if stream not in lost:
                sender.send(stream, start)
        begin(sender, observation, range(observation.times), start=False)
        sender.end(observation)
        outcome = running.finish()
    assert not outcome.lost
    assert_same(running.recorder.taken, observation)
    assert outcome.scans[0].scan_id == (observation.scan_id if len(lost) < 2 else 0)


def test_a_start_heap_lost_on_one_stream_of_a_second_run_loses_no_data(receive: Receive) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation, reception__max_scans=2)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(6))
        running.recorder.wait_for(6)
        again = Observation(per_stream=4, seed=2, first_heap_count=1000)
        # What stream 1 sends tells the new run from late heaps only by what stream 0 has sent.
        head = running.view.head
        sender.send(0, again.start(0) + again.low(0, 0))
        wait_until(lambda: running.view.head == head + 1)
        sender.send(1, again.low(0, 1))
        begin(sender, again, range(1, again.times), start=False)
        sender.end(again)
        outcome = running.finish()
    assert [(scan.missing, scan.end.by) for scan in outcome.scans if scan.end is not None] == [
        (0, "next-scan"),
        (0, "streams-ended"),
    ]
    assert [scan.dumps for scan in outcome.scans] == [6, again.times]
    assert_same(running.recorder.taken[6:], again)


@pytest.mark.parametrize("ended", [[], [0]])
def test_lost_end_heaps_do_not_keep_a_receiver_waiting(receive: Receive, ended: list[int]) -> None:
    observation = Observation(per_stream=4)
    running = receive(
        observation,
        reception__dump_timeout=0.2,
        reception__idle_timeout=1.0 if not ended else 0,
    )
    with Sender(running.ports) as sender:
        begin(sender, observation, range(observation.times))
        for stream in ended:
            sender.send(stream, observation.end(stream))
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


def test_a_tcp_stream_that_is_held_up_is_waited_for(
    receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago the other streams ended."""
    monkeypatch.setattr(arrivals, "LOST_END_S", 0.1)
    observation = Observation(per_stream=4)
    running = receive(observation, reception__transport="tcp", reception__dump_timeout=0.1)
    view = running.view
    with Sender(running.ports, tcp=True) as sender:
        begin(sender, observation, range(observation.times - 1))
        sender.send(0, observation.low(observation.times - 1, 0) + observation.end(0))
        wait_until(lambda: view.has_ended(0))
        later_ms = view.now_ms + 500
        wait_until(lambda: view.now_ms > later_ms or not running.alive)
        sender.send(1, observation.low(observation.times - 1, 1) + observation.end(1))
        outcome = running.finish()
    # The last integration is handed on without it; the heap is late, not lost on a dead connection.
    (ledger,) = outcome.scans
    assert ledger.expected == ledger.received.sum() + ledger.missing
    assert running.refused(Reason.LATE) == 1


@pytest.mark.parametrize("per_stream", [4, 8])
def test_an_end_that_overtakes_the_last_heaps_cuts_nothing_off(
    receive: Receive, monkeypatch: pytest.MonkeyPatch, per_stream: int
) -> None:
    # A busy machine may take longer than the network for what follows.
    monkeypatch.setattr(window_room, "ENDED_GRACE_S", 1.0)
    observation = Observation(per_stream=per_stream, packet_payload=300)
    running = receive(observation)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(observation.times - 1))
        running.recorder.wait_for(observation.times - 1)
        for stream in range(len(running.ports)):
            last = observation.low(observation.times - 1, stream)
            sender.send(stream, observation.end(stream))
            wait_until(lambda stream=stream: running.view.has_ended(stream))
            running.look_twice()
            sender.send(stream, last)
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


def test_a_start_heap_that_comes_twice_or_late_begins_nothing_new(receive: Receive) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation)
    with Sender(running.ports) as sender:
        starts = [observation.start(stream) for stream in range(2)]
        # Stream 0: twice, with data between; stream 1: overtaken by the first heap of data.
        sender.send(0, starts[0])
        begin(sender, observation, range(1), start=False)
        sender.send(0, starts[0])
        sender.send(1, starts[1])
        begin(sender, observation, range(1, observation.times), start=False)
        sender.end(observation)
        outcome = running.finish()
    assert not outcome.lost
    assert len(outcome.scans) == 1
    assert_same(running.recorder.taken, observation)


def test_a_start_heap_counted_after_the_data_is_of_another_sender(receive: Receive) -> None:
    """However soon it comes, and although the start of the first sender never came."""
    first = Observation(per_stream=4, times=2)
    second = Observation(per_stream=4, seed=2, scan_id=9, first_heap_count=1 << 30)
    running = receive(first, reception__max_scans=2)
    with Sender(running.ports) as sender:
        for index in range(first.times):
            for stream in range(2):
                sender.send(stream, first.low(index, stream))
        running.recorder.wait_for(first.times)
        for stream in range(2):
            # The whole of a stream before the next begins.
            sender.send(stream, second.stream(stream))
            running.drain()
            running.look_twice()
        outcome = running.finish()
    assert [(scan.dumps, scan.missing) for scan in outcome.scans] == [(2, 0), (second.times, 0)]
    assert_same(running.recorder.taken[2:], second)
