"""Both ends over ibverbs: everything but the card, whose place UDP sockets take."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import spead2.recv
import spead2.send.asyncio

import emulator.send.app
import emulator.send.ibverbs
from receive.measurement_set.read.reader import open_set
from receive.stream.network import ibverbs
from tests.commands import options, run
from tests.integration.senders import Observation, Sender
from tests.integration.test_receive_streams import assert_same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.running import Running
    from tests.simulated import SimulatedSets

    Receive = Callable[..., Running]

HERE = "127.0.0.1"
GROUP = "239.255.42.17"
NETWORK, CONFIG = 5, 2


def free_ports(count: int) -> int:
    """Return the first of some ports in a row that nobody has."""
    for _ in range(100):
        opened = []
        try:
            opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            opened[0].bind((HERE, 0))
            first = int(opened[0].getsockname()[1])
            for port in range(first + 1, first + count):
                opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                opened[-1].bind((HERE, port))
        except (OSError, OverflowError):
            continue
        else:
            return first
        finally:
            for one in opened:
                one.close()
    raise AssertionError("no ports in a row are free")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put sockets in the card's place; return what it would have been told."""
    told: list[Any] = []

    def add_reader(stream: Any, config: Any) -> None:
        told.append(config)
        ((group, port),) = config.endpoints
        stream.add_udp_reader(
            group, port, max_size=config.max_size, buffer_size=1 << 22, interface_address=HERE
        )

    def make_stream(pool: Any, stream_config: Any, config: Any) -> Any:
        told.append(config)
        return spead2.send.asyncio.UdpStream(
            pool, config.endpoints, stream_config, 1 << 20, config.ttl, HERE
        )

    monkeypatch.setattr(ibverbs, "require", lambda *_, **__: None)
    monkeypatch.setattr(emulator.send.ibverbs, "require", lambda *_, **__: None)
    monkeypatch.setattr(
        spead2.recv.ChunkRingStream, "add_udp_ibv_reader", add_reader, raising=False
    )
    monkeypatch.setattr(spead2.send.asyncio, "UdpIbvStream", make_stream, raising=False)
    return told


def test_heaps_of_a_group_arrive(receive: Receive, card: list[Any]) -> None:
    observation = Observation(per_stream=4)
    first = free_ports(2)
    running = receive(
        observation,
        reception__transport="ibverbs",
        reception__bind_hostname=GROUP,
        reception__interface_address="lo",
        reception__port_start=first,
        reception__buffer_size="16 MiB",
        transmission__max_packet_size=9400,
    )
    assert running.ports == [first, first + 1]
    assert [config.endpoints for config in card] == [[(GROUP, first)], [(GROUP, first + 1)]]
    assert {(c.interface_address, c.buffer_size, c.max_size) for c in card} == {
        (HERE, 16 << 20, 9400)
    }
    with Sender(running.ports, host=GROUP) as sender:
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            running.recorder.wait_for(index + 1)
        sender.end(observation)
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


@pytest.fixture(scope="module")
def small(simulated_set: SimulatedSets) -> Path:
    """6 baselines, 8 channels, 5 integrations."""
    return simulated_set(num_antennas=4, integrations=5, channels=8, noise=1)


def test_a_set_is_sent_to_a_group(receive: Receive, card: list[Any], small: Path) -> None:
    class Model:
        model = open_set(small).model()
        per_stream = 2

    first = free_ports(4)
    common = {
        "reception.interface_address": HERE,
        "transmission.channels_per_stream": 2,
    }
    running = receive(
        Model,
        reception__transport="ibverbs",
        reception__bind_hostname=GROUP,
        reception__port_start=first,
        **{key.replace(".", "__"): value for key, value in common.items()},
    )
    card.clear()
    sending = {
        "transmission.transport": "ibverbs",
        "transmission.target_host": GROUP,
        "transmission.target_port_start": first,
        "transmission.time_interval": -1,
        "transmission.sender_threads": 2,
        "transmission.ttl": 3,
        "transmission.buffer_size": "2 MiB",
    }
    assert emulator.send.app.main([*options(common | sending), str(small)]) == 0
    assert not running.finish().lost
    assert [config.endpoints for config in card] == [
        [(GROUP, first + port) for port in ports] for ports in ((0, 1), (2, 3))
    ]
    assert {(c.interface_address, c.buffer_size, c.ttl) for c in card} == {(HERE, 2 << 20, 3)}
    with open_set(small) as reader:
        for index, taken in enumerate(running.recorder.taken):
            sent = reader.integration(index, 0, 8).data
            assert np.array_equal(taken.visibilities[..., [0, 3]].swapaxes(0, 1), sent[..., [0, 3]])
    assert len(running.recorder.taken) == 5


def line_of(done: Any, command: str) -> str:
    """Return the only line on standard error."""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{command}: error: ")
    return str(line)


def receiving(small: Path, tmp_path: Path, **values: Any) -> Any:
    settings = {
        "reception.transport": "ibverbs",
        "reception.interface_address": HERE,
        "reception.datamodel": small,
        "reception.outputfilename": tmp_path / "received.ms",
    } | {key.replace("__", "."): value for key, value in values.items()}
    return run("emu-recv", *options({k: v for k, v in settings.items() if v is not None}))


def test_the_real_receiver_says_what_is_missing(small: Path, tmp_path: Path) -> None:
    """No machine has a card behind its loopback interface."""
    done = receiving(small, tmp_path)
    assert done.returncode == NETWORK
    line = line_of(done, "emu-recv")
    assert "reception.transport = ibverbs" in line
    assert any(word in line for word in ("apt install", "RDMA device", "/dev/infiniband"))
    assert not (tmp_path / "received.ms").exists()


def test_the_real_sender_says_what_is_missing(small: Path) -> None:
    values = {
        "transmission.transport": "ibverbs",
        "reception.interface_address": HERE,
        "transmission.target_host": GROUP,
    }
    done = run("emu-send", *options(values), small)
    assert done.returncode == NETWORK
    line = line_of(done, "emu-send")
    assert "transmission.transport = ibverbs" in line
    assert any(word in line for word in ("apt install", "RDMA device", "/dev/infiniband"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"reception__interface_address": None}, ["needs reception.interface_address"]),
        ({"reception__port_start": 0}, ["reception.port_start 0", "accepted: 1 to 65535"]),
        ({"reception__bind_hostname": "::1"}, ["IPv6", "IPv4"]),
        ({"reception__backpressure": True}, ["only TCP"]),
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_does_not_go_with_ibverbs(
    small: Path, tmp_path: Path, values: dict[str, Any], words: list[str]
) -> None:
    done = receiving(small, tmp_path, **values)
    assert done.returncode == CONFIG
    line = line_of(done, "emu-recv")
    for word in words:
        assert word in line


def test_a_sender_reaches_groups_only(small: Path) -> None:
    values = {"transmission.transport": "ibverbs", "reception.interface_address": HERE}
    done = run("emu-send", *options(values), small)
    assert done.returncode == CONFIG
    assert "127.0.0.1:41000" in line_of(done, "emu-send")
    assert "multicast groups" in line_of(done, "emu-send")
