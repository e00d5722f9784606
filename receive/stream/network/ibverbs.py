"""Packets straight from the network card: what ibverbs needs of a machine, and what it lacks.

spead2 drives the card and tells a failure in the words of the call that failed.  Here are the
checks that can be made before, the memory that the card's buffers lock, and what each failure
means to whoever has to mend it.  The sender shares them.
"""

from __future__ import annotations

import ctypes
import errno
import getpass
import ipaddress
import logging
import os
import resource
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spead2.recv

from receive.command.errors import ConfigError, NetworkError
from receive.stream.network.sockets import Endpoint, interface_addresses, open_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

LIBRARIES = ("libibverbs.so.1", "librdmacm.so.1")
LIMITS_FILE = "/etc/security/limits.d/vis-receive.conf"
FAILURES = (RuntimeError, OSError, ValueError)
"""What spead2 raises where it cannot use the card."""

_SYSFS = Path("/sys/class")
_DEVICES = Path("/dev/infiniband")
_OWN_STATUS = Path("/proc/self/status")
_CAP_NET_RAW, _CAP_IPC_LOCK = 13, 14
_KIB_BYTES = 1024


@dataclass(eq=False)
class IbverbsPort:
    """Where one stream comes from; stands where a bound socket stands for other transports.

    Attributes
    ----------
    address : str
        Group, or the address of the interface.
    port : int
        UDP port.
    interface : str
        Address of the interface whose card is read.
    buffer_bytes : int
        Memory for packets that have not been looked at; locked.
    claim : socket or None
        Holds the port against other programs; no packet comes by it.  None for a group, which
        any number may read.
    """

    address: str
    port: int
    interface: str
    buffer_bytes: int
    claim: socket.socket | None = None

    def getsockname(self) -> tuple[str, int]:
        """Return address and port."""
        return self.address, self.port

    def close(self) -> None:
        """Give the port up."""
        if self.claim is not None:
            self.claim.close()

    def config(self, max_packet_bytes: int) -> spead2.recv.UdpIbvConfig:
        """Return what spead2 is to be told."""
        return spead2.recv.UdpIbvConfig(
            endpoints=[(self.address, self.port)],
            interface_address=self.interface,
            buffer_size=self.buffer_bytes,
            max_size=max_packet_bytes,
        )

    def attach(self, stream: Any, max_packet_bytes: int) -> None:
        """Let a spead2 stream receive from here.

        Raises
        ------
        NetworkError
            If the card cannot be used.
        """
        try:
            stream.add_udp_ibv_reader(self.config(max_packet_bytes))
        except FAILURES as error:
            raise NetworkError(explain(error, "reception", self.interface)) from error


def open_ibverbs(endpoint: Endpoint, ports: Sequence[int], buffer_bytes: int) -> list[IbverbsPort]:
    """Return where to receive each stream, one for each port.

    Parameters
    ----------
    endpoint
        Group, or address of this machine (all: that of the interface), and the interface.
    ports
        One port a stream.
    buffer_bytes
        Of each stream.

    Raises
    ------
    ConfigError
        If the address is not an IPv4 one.
    NetworkError
        If something is missing, or a port is in use.
    """
    interface = endpoint.interface or ""
    address = ipaddress.ip_address(endpoint.address)
    if address.version != 4 and not address.is_unspecified:  # noqa: PLR2004 -- IP version
        raise ConfigError(
            f"reception.bind_hostname = {endpoint.address} is an IPv6 address, which "
            f"reception.transport = ibverbs cannot receive on: give an IPv4 address or group"
        )
    require(RECEIVER, interface)
    allow_locking(RECEIVER, buffer_bytes * len(ports))
    if endpoint.is_multicast:
        return [IbverbsPort(endpoint.address, port, interface, buffer_bytes) for port in ports]
    own = interface if address.is_unspecified else endpoint.address
    claims = open_sockets(Endpoint(own), ports, tcp=False, buffer_bytes=1)
    return [
        IbverbsPort(own, port, interface, buffer_bytes, claim)
        for port, claim in zip(ports, claims, strict=True)
    ]


# --- what is missing ----------------------------------------------------------------------------

RECEIVER, SENDER = "reception", "transmission"


def require(
    side: str,
    interface: str,
    *,
    spead2_side: Any = spead2.recv,
    load: Callable[[str], object] = ctypes.CDLL,
    sysfs: Path = _SYSFS,
    devices: Path = _DEVICES,
) -> None:
    """Refuse to begin where ibverbs cannot work, and say what is missing.

    Parameters
    ----------
    side
        Whose transport it is: ``reception`` or ``transmission``.
    interface
        Address of the interface.
    spead2_side, load, sysfs, devices
        Where to look: spead2's module, the loader of libraries, ``/sys/class``,
        ``/dev/infiniband``.

    Raises
    ------
    NetworkError
        Names the first thing that is missing and what to do.
    """
    wish = f"{side}.transport = ibverbs"
    if not hasattr(spead2_side, "UdpIbvConfig"):
        raise NetworkError(
            f"{wish}: spead2 {spead2.__version__} was built without ibverbs; install its wheel "
            f"(pip install --force-reinstall --only-binary :all: spead2), or build it where "
            f"libibverbs-dev and librdmacm-dev are installed"
        )
    for library in LIBRARIES:
        try:
            load(library)
        except OSError as error:
            raise NetworkError(
                f"{wish}: the library {library} of rdma-core cannot be loaded ({error}); "
                f"sudo apt install ibverbs-providers librdmacm1, or "
                f"sudo dnf install libibverbs librdmacm"
            ) from None
    if not _names(sysfs / "infiniband"):
        raise NetworkError(
            f"{wish}: this machine has no RDMA device (/sys/class/infiniband is empty); it takes "
            f"a network card such as NVIDIA ConnectX-5 and its driver (sudo modprobe mlx5_ib), "
            f"else use udp"
        )
    if not any(name.startswith("uverbs") for name in _names(devices)):
        raise NetworkError(
            f"{wish}: there is no /dev/infiniband/uverbs* to open the RDMA devices with; "
            f"sudo modprobe ib_uverbs, and start a container with --device=/dev/infiniband"
        )
    if not _is_own(interface):
        raise NetworkError(
            f"{wish}: reception.interface_address = {interface} is not an address of this "
            f"machine; {_usable(sysfs)}"
        )


def explain(
    error: Exception, side: str, interface: str, *, sysfs: Path = _SYSFS, status: Path = _OWN_STATUS
) -> str:
    """Return what a failure of spead2 to use the card means, in one line."""
    text = " ".join(str(error).split())
    wish = f"{side}.transport = ibverbs on {interface}"
    if _says(text, errno.EPERM, errno.EACCES) or (
        "CAP_NET_RAW" in text and not _has_capability(_CAP_NET_RAW, status)
    ):
        return (
            f"{wish}: no permission to receive or send raw packets ({text}); "
            f"sudo setcap cap_net_raw+ep {Path(sys.executable).resolve()}, or start a container "
            f"with --cap-add=NET_RAW"
        )
    if _says(text, errno.ENOMEM):
        soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        return (
            f"{wish}: the card's buffers cannot be locked in memory ({text}), "
            f"{_in_words(soft)} may be; raise memlock in {LIMITS_FILE} (ulimit -l), or lower "
            f"{side}.buffer_size"
        )
    if "rdma_bind_addr" in text or _says(text, errno.ENODEV):
        return f"{wish}: this interface is not that of an RDMA device ({text}); {_usable(sysfs)}"
    if "flow steering" in text or "ibv_create_flow" in text:
        return (
            f"{wish}: the card does not pick out packets by address and port ({text}); it takes "
            f"one with flow steering, such as NVIDIA ConnectX-5, else use udp"
        )
    return f"{wish}: {text}"


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's, of which an interface may have several."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _says(text: str, *codes: int) -> bool:
    return any(os.strerror(code) in text for code in codes)


def _usable(sysfs: Path) -> str:
    """Tell which interfaces belong to an RDMA device, as far as the system says."""
    found = [
        f"{address} ({name}, {', '.join(devices)})"
        for name, address in interface_addresses().items()
        if (devices := _names(sysfs / "net" / name / "device" / "infiniband"))
    ]
    if not found:
        return "no interface with an IPv4 address has one here: use udp"
    return f"give as reception.interface_address one of {', '.join(found)}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


# --- locked memory ------------------------------------------------------------------------------


def allow_locking(side: str, buffers_bytes: int, *, status: Path = _OWN_STATUS) -> None:
    """Raise the limit of locked memory as far as this process may; warn where that is too little.

    Parameters
    ----------
    side
        Whose transport it is.
    buffers_bytes
        Of all streams.
    status
        The process's capabilities are in it.
    """
    if _has_capability(_CAP_IPC_LOCK, status):
        return
    # The card's queues are locked too: an entry or two, of 64 bytes each, a packet.
    needed = buffers_bytes + buffers_bytes // 4
    needed_kib = -(-needed // _KIB_BYTES)
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if _is_enough(soft, needed):
        return
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    if _is_enough(hard, needed):
        return
    logger.warning(
        "%s.transport = ibverbs locks %d bytes of memory with %s.buffer_size, and this process "
        "may lock %s; to allow it: echo '%s - memlock %d' | sudo tee %s, then log in anew, where "
        "ulimit -l must print %d",
        side,
        needed,
        side,
        _in_words(hard),
        _user(),
        needed_kib,
        LIMITS_FILE,
        needed_kib,
    )


def _is_enough(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed


def _in_words(limit: int) -> str:
    return "any amount" if limit == resource.RLIM_INFINITY else f"{limit} bytes"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _has_capability(number: int, status: Path) -> bool:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return False
    effective = next((line for line in lines if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(effective.split()[1], 16) >> number & 1)
