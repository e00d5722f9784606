"""Behind a network that drops, repeats, delays and spoils packets: nothing is lost unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from receive.stream.dumps import window as window_room
from receive.stream.table.shared_types import Reason
from tests.integration.relay import Harm, Relay
from tests.integration.senders import Observation, Sender
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

FIRST_DATA_HEAP = 2


def send_through(relays: list[Relay], observation: Observation) -> None:
    with Sender([relay.port for relay in relays]) as sender:
        for stream in range(len(relays)):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in range(len(relays)):
                sender.send(stream, observation.low(index, stream))
        sender.end(observation)
    for relay in relays:
        relay.finish()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_stream", [3, 8])
def test_the_ledger_adds_up_and_flags_are_exactly_where_packets_were_dropped(
    receive: Receive, per_stream: int, seed: int
) -> None:
    # 10 baselines x 34 bytes x 8 or 3 channels in ten packets at most.
    observation = Observation(
        times=80, per_stream=per_stream, packet_payload=34 * per_stream, seed=seed
    )
    running = receive(observation, reception__dump_timeout=1.0)
    harm = Harm(drop=0.02, repeat=0.05, delay=0.05, corrupt=0.005)
    relays = [Relay(port, harm, seed * 100 + stream) for stream, port in enumerate(running.ports)]
    send_through(relays, observation)
    outcome = running.finish()

    groups, times = len(observation.groups), observation.times
    came = np.zeros((times, groups), bool)
    began = np.zeros((times, groups), bool)
    for group, relay in enumerate(relays):
        missing = relay.missing()
        for index in range(times):
            heap = index + FIRST_DATA_HEAP
            came[index, group] = heap not in missing
            began[index, group] = heap in relay.delivered
    known = np.flatnonzero(began.any(axis=1))
    expected = range(known[0], known[-1] + 1)
    assert 0 < (~came).sum() < came.size / 2
    assert sum(relay.repeated for relay in relays) > 0
    assert sum(relay.delayed for relay in relays) > 0

    (ledger,) = outcome.scans
    totals = ledger.as_dict()
    assert totals["heaps_expected"] == len(expected) * groups
    assert totals["heaps_received"] == came.sum()
    assert totals["heaps_missing"] == totals["heaps_expected"] - totals["heaps_received"]
    for group, counts in enumerate(totals["groups"]):
        assert counts["received"] == came[:, group].sum()
        assert counts["expected"] == counts["received"] + counts["missing"] == len(expected)
    taken = running.recorder.taken
    assert [t.ticks for t in taken] == [observation.ticks(index) for index in expected]
    for index, payload in zip(expected, taken, strict=True):
        assert payload.present == tuple(came[index])
        for group, (first, count) in enumerate(observation.groups):
            channels = slice(first, first + count)
            sent = observation.records[index, channels]
            assert (payload.flags[channels] != came[index, group]).all()
            if came[index, group]:
                assert payload.visibilities[channels].tobytes() == sent["VIS"].tobytes()
                assert np.array_equal(payload.fd[channels], sent["FD"])
            else:
                assert not payload.visibilities[channels].any()
    assert outcome.lost


@pytest.mark.parametrize("seed", range(3))
def test_repeated_and_reordered_packets_lose_nothing(receive: Receive, seed: int) -> None:
    observation = Observation(times=80, per_stream=4, packet_payload=140, seed=seed)
    running = receive(observation)
    harm = Harm(repeat=0.1, delay=0.2, reach=8)
    relays = [Relay(port, harm, seed * 10 + stream) for stream, port in enumerate(running.ports)]
    send_through(relays, observation)
    outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost
    assert len(outcome.scans) == 1
    assert outcome.scans[0].refused_total(Reason.DUPLICATE) > 0


def test_heaps_of_one_packet_that_change_places_lose_nothing(
    receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver has time to hand the later one on before the earlier one comes."""
    # A busy machine may take longer than the network for what follows.
    monkeypatch.setattr(window_room, "REORDER_GRACE_S", 1.0)
    observation = Observation(times=12)
    running = receive(observation)
    heaps = [observation.low(index, 0) for index in range(12)]
    with Sender(running.ports) as sender:
        for index in range(0, 12, 2):
            for number, earlier in ((1, index + 1), (2, index)):
                sender.send(0, heaps[earlier])
                wait_until(lambda n=index + number: running.view.head == n)
                running.look_twice()
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost


def test_a_repeated_packet_of_a_dump_that_was_handed_on_is_a_duplicate(receive: Receive) -> None:
    observation = Observation(times=6, packet_payload=300)
    running = receive(observation)
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        heaps = [observation.low(index, 0) for index in range(6)]
        # The first integration is believed with the second.
        sender.send(0, heaps[0])
        for index in range(1, 6):
            sender.send(0, heaps[index])
            running.recorder.wait_for(index + 1)
            sender.send(0, [heaps[index][3], *heaps[index]])
        sender.send(0, [heaps[0][3], *heaps[0]])
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost
    # The single packet and the whole heap again are one heap to spead2, if they come together.
    assert 6 <= outcome.scans[0].refused_total(Reason.DUPLICATE) <= 2 * 6
