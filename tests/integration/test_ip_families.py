"""IPv6 wherever IPv4 is: what is listened on, and what is sent to."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands import BIN, ok, options, run, send, start_receiver

if TYPE_CHECKING:
    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

NETWORK = 5
IF_INET6 = Path("/proc/net/if_inet6")
STREAMS = {"transmission.channels_per_stream": 4}

# Not skipped, which CI takes for a failure: without IPv6 there is nothing that could be set up.
needs_ipv6 = pytest.mark.xfail(not IF_INET6.exists(), reason="this kernel has no IPv6", run=False)
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])

# A machine, or a pod, that has IPv6 only: a network of its own with a card named as in a pod.
ONLY_IPV6 = """\
ip link set lo up
ip address del 127.0.0.1/8 dev lo
ip link add eth0 type veth peer name peer
ip link set peer up
ip link set eth0 up
ip address add fd00:1::5/64 dev eth0 nodad
exec "$@"
"""


def own_network_cannot_be_had() -> bool:
    """Whether a process cannot be given a network of its own here, whoever it is that asks."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return True
    command = ["unshare", "--map-root-user", "--net", "sh", "-ec", ONLY_IPV6, "sh", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def addresses_of_links() -> list[str]:
    """Return the link-local addresses of this machine, with their interface."""
    lines = map(str.split, IF_INET6.read_text().splitlines())
    return [
        f"{ipaddress.IPv6Address(bytes.fromhex(owned))}%{name}"
        for owned, _, _, scope, _, name in lines
        if scope == "20"
    ]


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """6 baselines x 8 channels, 10 integrations: two streams."""
    return simulated_set(num_antennas=4, integrations=10, channels=8, noise=1)


def values_for(transport: str, host: str = "") -> dict[str, str | int]:
    return STREAMS | {
        "reception.bind_hostname": host,
        "reception.transport": transport,
        "transmission.transport": transport,
    }


def all_came(receiver: RunningReceiver, observation: Path) -> None:
    assert receiver.wait() == 0, receiver.log
    ok("ms-diff", "--round-trip", observation, receiver.folder / "received.ms")


@needs_ipv6
@TRANSPORTS
@pytest.mark.parametrize(
    ("bound", "first", "second"),
    [
        ("", "127.0.0.1", "[::1]"),
        ("::", "[::1]", "127.0.0.1"),
        ("[::]", "localhost", "localhost"),
        ("::1", "[::1]", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),  # noqa: S104 -- what is tested
    ],
)
def test_both_families_reach_a_receiver(
    observation: Path, tmp_path: Path, transport: str, bound: str, first: str, second: str
) -> None:
    """Each of the two streams comes from a sender of its own, and of its own family."""
    values = values_for(transport, bound)
    receiver = start_receiver(tmp_path, observation, values, flags=["--fail-on-loss"])
    sending = []
    for index, (host, port) in enumerate(zip((first, second), receiver.ports, strict=True)):
        given = values | {
            "transmission.target_host": host,
            "transmission.target_port_start": port,
            "transmission.time_interval": 0.05,
            "reader.start_chan": 4 * index,
            "reader.num_chan": 4,
        }
        sending.append(subprocess.Popen([BIN / "emu-send", *options(given), observation]))
    assert [one.wait(60) for one in sending] == [0, 0]
    all_came(receiver, observation)


@needs_ipv6
@TRANSPORTS
def test_an_address_of_a_link_goes_with_its_interface(
    observation: Path, tmp_path: Path, transport: str
) -> None:
    own = addresses_of_links()
    if not own:
        # Only a network card has such an address: none can be made here without one.
        pytest.xfail("no interface of this machine has an address of its link")
    receiver = start_receiver(tmp_path, observation, values_for(transport, own[0]))
    assert f"Ready: {transport} {own[0]}" in receiver.log
    endpoints = ",".join(f"[{own[0]}]:{port}" for port in receiver.ports)
    sent = send(
        receiver, observation, values_for(transport) | {"transmission.endpoints": endpoints}
    )
    assert sent.returncode == 0, sent.stderr
    all_came(receiver, observation)


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("fe80::1", "the address is of one link; name its interface, such as fe80::1%eth0"),
        ("fe80::1%nowhere", "there is no interface nowhere here"),
        ("2001:db8::7", "2001:db8::7 is not an address of this machine"),
        ("a" * 70 + ".example", "neither an address, nor a host name that resolves"),
    ],
)
def test_an_address_that_cannot_be_bound_is_told(
    observation: Path, tmp_path: Path, host: str, message: str
) -> None:
    values = {"reception.bind_hostname": host}
    receiver = start_receiver(tmp_path, observation, values, ready=False)
    assert receiver.wait() == NETWORK
    assert message in receiver.log
    assert "Traceback" not in receiver.log


@needs_ipv6
@TRANSPORTS
@pytest.mark.parametrize("bound", ["", "eth0", "only6.example", "fd00:1::5"])
def test_where_there_is_no_ipv4_at_all(
    observation: Path, tmp_path: Path, transport: str, bound: str
) -> None:
    """A receiver, its monitor and a sender on a machine that has IPv6 addresses only."""
    if own_network_cannot_be_had():
        # Without one, this machine's own IPv4 addresses cannot be taken away.
        pytest.xfail("no network namespace can be made here")
    script = Path(__file__).with_name("only_ipv6.py")
    command = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-ec", ONLY_IPV6, "sh"]
    done = subprocess.run(
        [*command, sys.executable, script, tmp_path, observation, transport, bound],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        ("127.0.0.1:41000,[::1]:41001", "either IPv4 or IPv6 addresses are accepted"),
        ("[fe80::1%nowhere]:41000-41001", "the host fe80::1%nowhere to send to has no address"),
    ],
)
def test_hosts_that_one_sender_cannot_reach(
    observation: Path, endpoints: str, message: str
) -> None:
    done = run("emu-send", *options(STREAMS | {"transmission.endpoints": endpoints}), observation)
    assert done.returncode in {2, NETWORK}
    assert message in done.stderr.splitlines()[-1]


def test_the_system_without_ipv6_still_has_all_interfaces(
    observation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the kernel was started with ipv6.disable=1: no such socket can be made."""
    from receive.stream.network import sockets  # noqa: PLC0415 -- patched

    real = socket.socket

    def only_ipv4(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(sockets.socket, "socket", only_ipv4)
    assert sockets.resolve(None, "reception.bind_hostname") == sockets.ALL_IPV4
