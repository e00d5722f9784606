"""Whom a stream is taken from over TCP: `reception.sources`, `reception.connect_timeout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.senders import Observation, Sender, connect
from tests.waiting import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

STRANGER = "127.0.0.9"
TCP = {"reception__transport": "tcp", "reception__dump_timeout": 1.0}


def account(running: Running) -> dict[str, Any]:
    return running.view.account


def complete(outcome: Any, observation: Observation) -> None:
    [scan] = outcome.scans
    assert scan.dumps == observation.times
    assert scan.missing == 0
    assert not outcome.lost


def is_closed(opened: socket.socket) -> bool:
    """Whether the receiver has closed a connection."""
    opened.settimeout(0.01)
    try:
        return opened.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("sources", ["127.0.0.1", "localhost,10.0.0.0/8", "first"])
def test_a_strangers_connection_is_closed_at_once(receive: Receive, sources: str) -> None:
    observation = Observation()
    running = receive(observation, reception__sources=sources, **TCP)
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.start(0) + observation.low(0, 0))
        running.recorder.wait_for(1)
        if sources == "first":
            wait_until(lambda: running.view.taken, "it is locked")
        with connect("127.0.0.1", running.ports[0], source=STRANGER) as stranger:
            wait_until(lambda: is_closed(stranger), "the stranger was refused")
            name = f"{STRANGER}:{stranger.getsockname()[1]}"
        for index in range(1, observation.times):
            sender.send(0, observation.low(index, 0))
        sender.end(observation)
        outcome = running.finish()
    complete(outcome, observation)
    assert outcome.sources["refused_connections"] == 1
    assert outcome.sources["strangers"] == {name: 1}


def test_a_locked_sender_may_connect_again(receive: Receive) -> None:
    """From another port, and goes on with the observation in a scan of its own."""
    observation = Observation()
    running = receive(observation, reception__sources="first", reception__max_scans=2, **TCP)
    for number in range(2):
        with Sender(running.ports, tcp=True) as sender:
            sender.send(0, observation.stream(0))
            wait_until(lambda n=number: len(running.recorder.ended) > n, "the scan has ended")
    assert [scan.dumps for scan in running.finish().scans] == [10, 10]


@pytest.mark.parametrize("brings", ["nothing", "noise", "heaps that do not fit"])
def test_a_connection_that_brings_nothing_gives_way(
    receive: Receive, caplog: pytest.LogCaptureFixture, brings: str
) -> None:
    observation = Observation()
    running = receive(observation, reception__connect_timeout=1, **TCP)
    with connect("127.0.0.1", running.ports[0], source=STRANGER) as stray:
        if brings == "noise":
            stray.sendall(b"GET / HTTP/1.1\r\n")
        elif brings != "nothing":
            stray.sendall(b"".join(Observation(antennas=5).mid(0, 0)))
        with Sender(running.ports, tcp=True) as sender:
            sender.send(0, observation.start(0))
            running.recorder.wait_for(0)
            for index in range(observation.times):
                sender.send(0, observation.low(index, 0))
            running.recorder.wait_for(observation.times)
            if brings != "noise":
                # spead2 itself gives up a connection that brings noise.
                assert is_closed(stray)
                lines = [one for one in caplog.messages if "gives way" in one]
                assert len(lines) == 1
                assert f"{STRANGER}:{stray.getsockname()[1]} brought no heap" in lines[0]
                assert sender.names[0] in lines[0]
                assert account(running)["connections_given_up"] == 1
            assert running.view.epoch == 0
            sender.end(observation)
            outcome = running.finish()
    [scan] = outcome.scans
    assert (scan.dumps, scan.missing) == (observation.times, 0)


def test_a_connection_that_began_and_fell_silent_gives_way_to_one_that_talks(
    receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    observation = Observation()
    running = receive(observation, reception__connect_timeout=1, **TCP)
    with Sender(running.ports, tcp=True, source=STRANGER) as stray:
        stray.send(0, Observation(scan_id=666).start(0))
        with Sender(running.ports, tcp=True) as sender:
            sender.send(0, observation.stream(0))
            outcome = running.finish()
    complete(outcome, observation)
    assert outcome.scans[0].scan_id == observation.scan_id
    [line] = [one for one in caplog.messages if "gives way" in one]
    assert f"{stray.names[0]} brought no data" in line
    assert sender.names[0] in line


def test_a_connection_that_brings_data_keeps_others_waiting_and_they_are_reported(
    receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    observation = Observation()
    running = receive(observation, reception__connect_timeout=0.5, **TCP)
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.start(0) + observation.low(0, 0))
        running.recorder.wait_for(1)
        with Sender(running.ports, tcp=True, source=STRANGER) as other:
            other.send(0, Observation(scan_id=666).start(0))
            wait_until(lambda: "Two senders" in caplog.text, "the operator is told")
            [line] = [one for one in caplog.messages if "Two senders" in one]
            assert f"port {running.ports[0]}: {sender.names[0]} and {other.names[0]}" in line
        for index in range(1, observation.times):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(observation.times)
        sender.end(observation)
        complete(running.finish(), observation)
    assert "gives way" not in caplog.text
