"""The kernel's program on two sockets of one port: who reaches which of them."""

from __future__ import annotations

import ipaddress
import random
import select
import socket
from typing import TYPE_CHECKING

import pytest

from receive.host.peer import Peer
from receive.stream.network.sockets import Endpoint, open_sockets
from receive.stream.network.source_filter import Divided, Rule, Watch, resolved, unmapped
from tests.integration.senders import Observation, udp_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER_BYTES = 1 << 20


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104 -- each family
def divided(request: pytest.FixtureRequest) -> Iterator[Divided]:
    endpoint = Endpoint(request.param)
    [main] = open_sockets(endpoint, [0], tcp=False, buffer_bytes=BUFFER_BYTES)
    made = Divided(main, endpoint, buffer_bytes=BUFFER_BYTES)
    yield made
    made.close()
    main.close()


def port_of(divided: Divided) -> int:
    return int(divided.main.getsockname()[1])


def target(divided: Divided) -> str:
    return "127.0.0.1" if divided.main.family == socket.AF_INET else "::1"


def goes_to_main(divided: Divided, sender: socket.socket, packet: bytes) -> bool:
    """Send a packet; return whether it came to the main socket and not to the other."""
    sender.sendto(packet, (target(divided), port_of(divided)))
    both = [divided.main, divided.others]
    ready, _, _ = select.select(both, [], [], 10)
    assert len(ready) == 1
    assert ready[0].recv(1 << 16) == packet
    return ready[0] is divided.main


def test_networks_hold_for_whom_they_hold(divided: Divided) -> None:
    rng = random.Random(divided.main.family)
    v4 = divided.main.family == socket.AF_INET
    for _ in range(60):
        # IPv6 has one address of this machine that nobody else has.
        address = f"127.{rng.randrange(3)}.{rng.randrange(4)}.{1 + rng.randrange(8)}"
        with udp_socket(address if v4 else "::1") as sender:
            source = Peer.of(sender.getsockname())
            networks = [
                ipaddress.ip_network(
                    (f"127.{rng.randrange(3)}.{rng.randrange(4)}.0", rng.randrange(33)),
                    strict=False,
                )
                for _ in range(rng.randrange(3))
            ] + [
                ipaddress.ip_network((rng.choice(["::1", "::3", "fd00::1"]), bits), strict=False)
                for bits in rng.sample(range(129), rng.randrange(3))
            ]
            ports = [rng.choice([None, source.port, source.port ^ 1]) for _ in networks]
            here = ipaddress.ip_address(source.address)
            expected = any(
                here in network and port in {None, source.port}
                for network, port in zip(networks, ports, strict=True)
            )
            divided.take([Rule(*one) for one in zip(networks, ports, strict=True)])
            assert goes_to_main(divided, sender, b"x") == expected, (source, networks, ports)


def test_a_dual_stack_socket_knows_ipv4_senders_by_their_address() -> None:
    endpoint = Endpoint("::")
    [main] = open_sockets(endpoint, [0], tcp=False, buffer_bytes=BUFFER_BYTES)
    divided = Divided(main, endpoint, buffer_bytes=BUFFER_BYTES)
    with main, divided.others, udp_socket("127.0.0.5") as sender:
        for address, expected in (("127.0.0.5", True), ("127.0.0.6", False)):
            divided.take([Rule(ipaddress.ip_network(address))])
            sender.sendto(b"x", ("127.0.0.1", port_of(divided)))
            ready, _, _ = select.select([main, divided.others], [], [], 10)
            assert (ready == [main]) == expected
            _, name = ready[0].recvfrom(9)
            assert str(Peer.of(name)).startswith("127.0.0.5:")


def test_parts_of_heaps_wait_where_only_heads_are_taken(divided: Divided) -> None:
    observation = Observation(packet_payload=600)
    with udp_socket(target(divided)) as sender:
        source = Peer.of(sender.getsockname())
        divided.take([Rule(source.network, source.port, heads_only=True)])
        packets = observation.mid(0, 0, repeat_pointers=False)
        assert [goes_to_main(divided, sender, one) for one in packets] == [
            number == 0 for number in range(len(packets))
        ]
        assert all(goes_to_main(divided, sender, one) for one in observation.mid(0, 0))


def test_nothing_is_diverted_by_chance_that_another_packet_must_not_overtake(
    divided: Divided,
) -> None:
    observation = Observation(packet_payload=600)
    with udp_socket(target(divided)) as sender:
        divided.watch([], Watch(one_in=1))
        for packet in (*observation.start(0), *observation.end(0), b"noise", b"\0" * 500):
            assert goes_to_main(divided, sender, packet)
        head, *parts = observation.low(0, 0)
        assert goes_to_main(divided, sender, head)
        assert not goes_to_main(divided, sender, parts[0])
        [whole] = Observation(antennas=2).low(0, 0)
        assert not goes_to_main(divided, sender, whole)
        divided.watch([], Watch(one_in=1 << 30))
        assert all(goes_to_main(divided, sender, parts[0]) for _ in range(50))


def test_starts_and_ends_of_unknown_senders_are_watched(divided: Divided) -> None:
    observation = Observation(packet_payload=600)
    with udp_socket(target(divided)) as sender:
        source = Peer.of(sender.getsockname())
        controls = [*observation.start(0), *observation.end(0)]
        divided.watch([], Watch(controls=True))
        assert not any(goes_to_main(divided, sender, one) for one in controls)
        assert all(goes_to_main(divided, sender, one) for one in observation.mid(0, 0))
        divided.watch([Rule(source.network, source.port)], Watch(one_in=1, controls=True))
        assert all(
            goes_to_main(divided, sender, one) for one in (*controls, *observation.mid(1, 0))
        )


def test_sources_are_told_together() -> None:
    meant = ["10.0.0.0/25", "10.0.0.128/25", "::ffff:10.0.0.7", "fd00::/65", "fd00::/64"]
    rules = resolved(meant, [ipaddress.ip_network(one) for one in meant])
    assert [str(rule.network) for rule in rules] == ["10.0.0.0/24", "fd00::/64"]
    assert str(unmapped(ipaddress.ip_network("::ffff:10.0.0.0/120"))) == "10.0.0.0/24"
