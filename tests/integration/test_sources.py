"""Whom a stream is taken from, over UDP: `reception.sources`, and second senders."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.errors import NetworkError
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

STRANGER = "127.0.0.9"


def seen_times(running: Running) -> list[int]:
    return [payload.ticks for payload in running.recorder.payloads]


def account(running: Running) -> dict[str, Any]:
    return running.view.account


def complete(outcome: Any, observation: Observation) -> None:
    """Everything of one scan came, and nothing else did."""
    [scan] = outcome.scans
    assert scan.dumps == observation.times
    assert scan.missing == 0
    assert scan.scan_id == observation.scan_id
    assert not outcome.lost, [scan.lines() for scan in outcome.scans]


def attack(sender: Sender, observation: Observation) -> int:
    """Send what would do harm if it were taken: starts, stops, other heaps, noise; count them."""
    other = Observation(per_stream=observation.per_stream, scan_id=666, seed=5)
    count = 0
    for stream in range(len(observation.groups)):
        packets = [
            *other.start(stream),
            *other.low(3, stream),
            *other.mid(9, stream),
            *other.end(stream),
            b"noise",
        ]
        sender.send(stream, packets)
        count += len(packets)
    return count


@pytest.mark.parametrize(
    "sources",
    ["127.0.0.1", "127.0.0.0/30", "localhost", "10.1.1.1,::1,127.0.0.1,fd00::/8", "first"],
)
def test_nothing_of_a_stranger_is_taken(receive: Receive, sources: str) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation, reception__sources=sources)
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as stranger:
        count = 0
        for stream in range(2):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            if sources != "first" or index:
                count += attack(stranger, observation)
            running.recorder.wait_for(index + 1)
        sender.end(observation)
        outcome = running.finish()
    complete(outcome, observation)
    assert outcome.sources["refused_packets"] == count
    assert set(outcome.sources["strangers"]) == set(stranger.names)
    assert sum(outcome.sources["strangers"].values()) == count
    assert outcome.kernel_dropped == [0, 0]


def test_an_ipv6_sender_is_told_from_another(receive: Receive) -> None:
    observation = Observation()
    running = receive(observation, reception__sources="::1", reception__bind_hostname="::")
    v6 = {"host": "::1", "source": "::1"}
    with Sender(running.ports, **v6) as sender:
        sender.send(0, observation.stream(0))
        complete(running.finish(), observation)


@pytest.mark.parametrize("sources", ["127.0.0.1", "first"])
def test_a_stranger_is_reported_beside_whom_is_taken(
    receive: Receive, sources: str, caplog: pytest.LogCaptureFixture
) -> None:
    observation = Observation()
    running = receive(observation, reception__sources=sources)
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as stranger:
        sender.send(0, observation.start(0) + observation.low(0, 0) + observation.low(1, 0))
        running.recorder.wait_for(2)
        attack(stranger, observation)
        wait_until(lambda: "were not taken" in caplog.text, "the operator is told")
        [line] = [one for one in caplog.messages if "were not taken" in one]
        taken = sender.names[0] if sources == "first" else "reception.sources is 127.0.0.1"
        assert stranger.names[0] in line
        assert taken in line
        assert f"port {running.ports[0]}" in line


@pytest.mark.parametrize("brings", ["end", "start", "heaps"])
def test_two_senders_on_a_port_are_reported_by_name(
    receive: Receive, caplog: pytest.LogCaptureFixture, brings: str
) -> None:
    """As soon as the first one is known, which takes a few of its heaps."""
    observation = Observation(times=10_000, interval_s=0.01)
    running = receive(observation, reception__max_scans=0)
    other = Observation(first_heap_count=100, scan_id=666)
    indices = iter(range(observation.times))
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as stranger:

        def go_on() -> None:
            sender.send(0, observation.low(next(indices), 0))

        def known() -> bool:
            go_on()
            return running.view.sender_is_watched

        def told() -> bool:
            go_on()
            match brings:
                case "end":
                    stranger.send(0, other.end(0))
                case "start":
                    stranger.send(0, other.start(0))
                case _:
                    stranger.send(0, other.mid(1, 0))
            return "Two senders" in caplog.text

        sender.send(0, observation.start(0))
        wait_until(known, "the sender is known")
        wait_until(told, "the operator is told")
        both = {sender.names[0], stranger.names[0]}
        [line] = [one for one in caplog.messages if "Two senders" in one]
        assert f"Two senders on port {running.ports[0]}: " in line
        assert all(name in line for name in both)
        assert "reception.sources" in line
        [second] = account(running)["second_senders"]
        assert second["port"] == running.ports[0]
        assert set(second["senders"]) == both


@pytest.mark.parametrize("sources", ["any", "first"])
@pytest.mark.parametrize("same", [True, False])
def test_the_next_scan_may_be_another_senders(
    receive: Receive, caplog: pytest.LogCaptureFixture, sources: str, same: bool
) -> None:
    caplog.set_level(logging.WARNING)
    first, second = Observation(per_stream=4), Observation(per_stream=4, scan_id=8, seed=2)
    running = receive(first, reception__sources=sources, reception__max_scans=2)
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as other:
        for stream in range(2):
            sender.send(stream, first.stream(stream))
        wait_until(lambda: running.recorder.ended, "the first scan has ended")
        for stream in range(2):
            (sender if same else other).send(stream, second.stream(stream))
        outcome = running.finish()
    assert [scan.scan_id for scan in outcome.scans] == [7, 8]
    assert [scan.dumps for scan in outcome.scans] == [10, 10]
    assert not outcome.lost, [scan.lines() for scan in outcome.scans]
    assert not outcome.sources["second_senders"]
    assert "Two senders" not in caplog.text


def test_a_silent_sender_loses_its_stream(receive: Receive) -> None:
    observation = Observation(times=6)
    running = receive(
        observation,
        reception__sources="first",
        reception__connect_timeout=0.5,
        reception__dump_timeout=0.5,
    )
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as other:
        sender.send(0, observation.start(0))
        for index in range(3):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(3)
        wait_until(lambda: not running.view.taken, "it was let go")
        for index in range(3, 6):
            other.send(0, observation.low(index, 0))
        running.recorder.wait_for(6)
        assert running.view.taken[0] == other.names[0]
        # The first one is a stranger now.
        sender.send(0, observation.end(0))
        wait_until(lambda: account(running)["refused_packets"] == 1, "it was refused")
        other.send(0, observation.end(0))
        complete(running.finish(), observation)


def test_first_is_who_brings_a_valid_heap(receive: Receive) -> None:
    """Starts, stops, noise and heaps that do not fit lock nothing, and are told of."""
    observation = Observation()
    running = receive(observation, reception__sources="first")
    with Sender(running.ports) as sender, Sender(running.ports, source=STRANGER) as stranger:
        unfit = Observation(antennas=5)
        stranger.send(0, observation.start(0) + unfit.mid(0, 0) + [b"noise"] + unfit.end(0))
        sender.send(0, observation.stream(0))
        outcome = running.finish()
    complete(outcome, observation)
    assert outcome.sources["strangers"] == {stranger.names[0]: 4 + len(unfit.mid(0, 0)) - 1}


def test_what_does_not_fit_is_told_of_where_the_first_is_awaited(
    receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    running = receive(Observation(), reception__sources="first")
    with Sender(running.ports) as sender:
        sender.send(0, Observation(antennas=5).stream(0))
        wait_until(lambda: "Nothing can be received" in caplog.text, "the operator is told")
        assert f"what {sender.names[0]} sends to port {running.ports[0]}" in caplog.text
        assert "15 baselines where there are 10" in caplog.text


@pytest.mark.parametrize("sources", ["any", "first", "127.0.0.1"])
def test_ten_thousand_sources_take_no_memory(receive: Receive, sources: str) -> None:
    observation = Observation()
    running = receive(observation, reception__sources=sources, reception__max_scans=0)
    other = Observation(scan_id=666)
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0) + observation.low(0, 0) + observation.low(1, 0))
        running.recorder.wait_for(2)
        for number in range(10_000):
            source = f"127.{1 + number % 7}.{1 + number // 250}.{1 + number % 250}"
            with Sender(running.ports, source=source) as stranger:
                stranger.send(0, other.start(0))
        for index in range(2, observation.times):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(observation.times)
        [gate] = running.view.gates
        for held in ("_unknown", "_known", "_held"):
            assert len(getattr(gate, held, ())) <= 1024
        assert getattr(gate, "_held_bytes", 0) <= 1 << 20
        assert len(account(running)["strangers"]) <= 100
        complete(running.end(), observation)


@pytest.mark.parametrize("sources", ["any", "first", "127.0.0.1"])
@pytest.mark.parametrize("repeat_pointers", [True, False])
def test_a_sender_flat_out_from_its_first_packet_on_loses_nothing(
    receive: Receive, sources: str, repeat_pointers: bool
) -> None:
    """What comes while the sender becomes known is in order, and not lost but by the kernel."""
    observation = Observation(times=12, channels=512, per_stream=512, antennas=16)
    running = receive(observation, reception__sources=sources, reception__buffer_memory=1 << 30)
    packets = observation.start(0)
    for index in range(observation.times):
        packets += observation.mid(index, 0, repeat_pointers=repeat_pointers)
    with Sender(running.ports) as sender:
        sender.send(0, packets)
        running.drain()
        sender.end(observation)
        outcome = running.finish()
    # Where this machine has no time for the receiver, packets find the buffer full.
    if outcome.kernel_dropped == [0]:
        complete(outcome, observation)


def test_a_sender_that_was_silent_may_end_its_stream(receive: Receive) -> None:
    observation = Observation(times=3)
    running = receive(
        observation,
        reception__sources="first",
        reception__connect_timeout=0.3,
        reception__dump_timeout=0.3,
    )
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        for index in range(3):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(3)
        wait_until(lambda: not running.view.taken, "it was let go")
        sender.end(observation)
        complete(running.finish(), observation)


GROUP = "239.255.41.7"


@pytest.mark.parametrize("sources", ["127.0.0.1", "first", "any"])
def test_a_groups_senders_are_told_apart(
    receive: Receive, sources: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Every socket has a group's packets: the strangers' do not reach the stream's either."""
    observation = Observation(times=40)
    running = receive(
        observation,
        reception__sources=sources,
        reception__bind_hostname=GROUP,
        reception__interface_address="127.0.0.1",
    )
    group = {"host": GROUP}
    with (
        Sender(running.ports, **group) as sender,
        Sender(running.ports, source=STRANGER, **group) as stranger,
    ):
        sender.send(0, observation.start(0))
        for index in range(observation.times):
            sender.send(0, observation.low(index, 0))
            if index == 0:  # It is believed with the second.
                continue
            running.recorder.wait_for(index + 1)
            if sources != "any":
                attack(stranger, observation)
            else:
                stranger.send(0, [b"noise", *Observation(antennas=5).mid(0, 0)])
        sender.end(observation)
        outcome = running.finish()
    [scan] = outcome.scans
    assert (scan.dumps, scan.missing) == (observation.times, 0)
    if sources == "any":
        assert outcome.kernel_dropped == [0]
        return
    complete(outcome, observation)
    # The kernel counts what a filter does not let through as dropped.
    assert outcome.kernel_dropped is None
    assert set(outcome.sources["strangers"]) == set(stranger.names)


@pytest.mark.parametrize("sources", ["any", "first", "127.0.0.1"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_second_receiver_is_told_that_the_port_is_in_use(
    receive: Receive, sources: str, transport: str
) -> None:
    options = {"reception__sources": sources, "reception__transport": transport}
    running = receive(Observation(), **options)
    second = receive(Observation(), reception__port_start=running.ports[0], **options)
    with pytest.raises(NetworkError, match="is in use by another program"):
        second.finish()


def test_a_name_that_does_not_resolve_is_one_line(receive: Receive) -> None:
    running = receive(Observation(), reception__sources="127.0.0.1,correlator.invalid")
    with pytest.raises(NetworkError, match=r"reception\.sources = correlator\.invalid"):
        running.finish()


def test_more_networks_than_the_kernel_takes_is_one_line(receive: Receive) -> None:
    sources = [f"fd00::{number:x}" for number in range(2, 4000, 2)]
    running = receive(Observation(), reception__sources=sources)
    with pytest.raises(
        NetworkError, match=r"reception\.sources = .* and 1996 more: .* give fewer sources, or any"
    ):
        running.finish()
