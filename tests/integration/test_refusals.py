"""A sender and a receiver that do not agree: the operator is told at once."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import send, start_receiver
from tests.integration.senders import Observation, connect
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """4 antennas, 6 baselines, 8 channels, 5 integrations."""
    return simulated_set(num_antennas=4, integrations=5, channels=8, noise=1)


@pytest.mark.parametrize(
    ("values", "reason", "words"),
    [
        (
            {"reader.num_chan": 2},
            "size",
            ["408 bytes", "8 channels x 6 baselines x 34 = 1632", "channels_per_stream"],
        ),
        ({"reception.telescope": "mid"}, "size", ["1680 bytes", "reception.telescope"]),
        (
            {"transmission.channel_id_offset": 3},
            "channel",
            ["channel id 3", "transmission.channel_id_offset"],
        ),
    ],
)
def test_a_sender_configured_otherwise_is_told_of_while_it_sends(
    tmp_path: Path, model: Path, values: dict[str, Any], reason: str, words: list[str]
) -> None:
    receiver = start_receiver(tmp_path, model)
    sent = send(receiver, model, values)
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: " heaps refused: " in receiver.log, "the operator is told")
    assert f"heaps refused: {reason}: " in receiver.log
    for word in words:
        assert word in receiver.log
    receiver.process.send_signal(signal.SIGINT)
    assert receiver.wait() == 130
    assert "DATA WERE LOST" in receiver.log
    summary = receiver.summary()
    assert summary["lost"]
    assert summary["heaps_refused_outside_scans"][reason] > 0


def test_another_array_is_told_of(
    tmp_path: Path, model: Path, simulated_set: SimulatedSets
) -> None:
    other = simulated_set(num_antennas=5, integrations=5, channels=8)
    receiver = start_receiver(tmp_path, model, {"reception.idle_timeout": 8})
    assert send(receiver, other).returncode == 0
    assert receiver.wait() == 6, receiver.log
    assert "they hold 10 baselines, the model 6" in receiver.log
    assert "nothing that could be used arrived" in receiver.log


@pytest.mark.parametrize("datagram", ["no protocol of ours", "larger than expected"])
def test_datagrams_that_are_no_packets_are_told_of(
    tmp_path: Path, model: Path, datagram: str
) -> None:
    """And not that a firewall may keep them away; however many there are, in few lines."""
    receiver = start_receiver(tmp_path, model, {"reception.idle_timeout": 6})
    observation = Observation(packet_payload=9400, antennas=17, channels=8)
    packet = (
        b"GET / HTTP/1.1\r\n\r\n" if datagram == "no protocol of ours" else observation.low(0, 0)[0]
    )
    assert len(packet) < 100 or len(packet) > 9200
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def told() -> bool:
            for _ in range(500):
                sender.sendto(packet, ("127.0.0.1", receiver.ports[0]))
            return "Nothing can be received: what came to port" in receiver.log

        wait_until(told, "the operator is told")
    assert receiver.wait() == 6, receiver.log
    port = receiver.ports[0]
    *_, last = receiver.log.splitlines()
    assert last.startswith("emu-recv: error: nothing that could be used arrived in ")
    assert f": what came to port {port} is no SPEAD-64-48 packet of up to 9200 bytes" in last
    assert "ringbuffer" not in receiver.log
    assert receiver.log.count("Nothing can be received") == 1


def test_connections_that_bring_no_packets_are_told_of(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(
        tmp_path, model, {"reception.idle_timeout": 2, "reception.transport": "tcp"}
    )
    with connect("127.0.0.1", receiver.ports[0]) as sender:
        sender.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert receiver.wait() == 6, receiver.log
    assert "connections were made, and brought no SPEAD-64-48 packet" in receiver.log
    assert "Nothing can be received" not in receiver.log


def test_a_sender_that_has_nothing_to_send_is_told_of(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(tmp_path, model, {"reception.idle_timeout": 2})
    observation = Observation()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in observation.start(0) + observation.end(0):
            sender.sendto(packet, ("127.0.0.1", receiver.ports[0]))
    assert receiver.wait() == 6, receiver.log
    assert ": heaps came that begin or end a stream, and none with data" in receiver.log


def test_a_run_ends_when_nobody_is_left_to_take_what_comes(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(
        tmp_path,
        model,
        {
            "reception.consumer": "tests.integration.recorder.Raising",
            "reception.max_scans": 0,
            "reception.idle_timeout": 0,
        },
    )
    assert send(receiver, model).returncode == 0
    assert receiver.wait() == 8, receiver.log
    assert "DATA WERE LOST" in receiver.log
    assert "did not consume" in receiver.log


def test_what_of_the_model_did_not_come_is_told(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(tmp_path, model)
    assert send(receiver, model, {"reader.num_timestamps": 3}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert "0 before the first and 2 after the last did not come" in receiver.log


def test_signals_at_any_moment_end_it(tmp_path: Path, model: Path) -> None:
    """Some while it waits, some while it works: none may find it in a lock."""
    for number in (signal.SIGTERM, signal.SIGINT) * 4:
        receiver = start_receiver(tmp_path, model, {"reception.overwrite": True})
        for _ in range(20):
            receiver.process.send_signal(number)
        assert receiver.wait(30) == 128 + number, receiver.log
