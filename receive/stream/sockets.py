"""Sockets to receive on: bound before the receiver says that it is ready, with clear errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import logging
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from receive.errors import ConfigError, NetworkError

logger = logging.getLogger(__name__)

_SIOCGIFADDR = 0x8915
_KEEPALIVE_S = 5
_KEEPALIVE_PROBES = 3
_IF_INET6 = Path("/proc/net/if_inet6")
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


@dataclass(frozen=True)
class Endpoint:
    """Where a receiver listens.

    Attributes
    ----------
    address
        IPv4 or IPv6 address to bind; a multicast group is joined.
    interface
        Address of the interface on which a group is joined; None lets the kernel choose.
    """

    address: str
    interface: str | None = None

    @property
    def is_multicast(self) -> bool:
        """Whether the address is a group."""
        return ipaddress.ip_address(self.address).is_multicast

    @property
    def family(self) -> socket.AddressFamily:
        """Address family of the sockets."""
        version = ipaddress.ip_address(self.address).version
        return socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004 -- IP version


def resolve(host: str | None, key: str) -> str:
    """Return the address that a configured host, address or interface name stands for.

    Parameters
    ----------
    host
        Address, host name or name of a network interface; None is all interfaces.
    key
        The configuration key, for the error.

    Raises
    ------
    NetworkError
        If it is none of them.
    """
    if not host:
        return "0.0.0.0"  # noqa: S104 -- all interfaces is the documented default
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if host in {name for _, name in socket.if_nameindex()}:
        return _interface_address(host, key)
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise NetworkError(
            f"{key} = {host}: neither an address, nor a host name that resolves, nor one of the "
            f"interfaces {', '.join(name for _, name in socket.if_nameindex())}"
        ) from error


def interface_addresses() -> dict[str, str]:
    """Return the IPv4 address of each interface that has one, by name."""
    found = {}
    for _, name in socket.if_nameindex():
        with contextlib.suppress(OSError):
            found[name] = _ask_address(name)
    return found


def _interface_address(name: str, key: str) -> str:
    try:
        return _ask_address(name)
    except OSError as error:
        raise NetworkError(
            f"{key} = {name}: the interface has no IPv4 address; give its IPv6 one"
        ) from error


def _ask_address(name: str) -> str:
    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
    return socket.inet_ntoa(answer[20:24])


def interface_index(address: str) -> int:
    """Return the number of the interface that has an address, as IPv6 multicast needs it.

    Parameters
    ----------
    address
        One of its addresses, IPv4 or IPv6.

    Raises
    ------
    NetworkError
        If no interface has it.
    """
    wanted = ipaddress.ip_address(address)
    for name, owned in interface_addresses().items():
        if ipaddress.ip_address(owned) == wanted:
            return socket.if_nametoindex(name)
    # Lines of: address, index, prefix length, scope, flags (all hexadecimal), name.
    lines = _IF_INET6.read_text().splitlines() if _IF_INET6.exists() else []
    for owned, index, *_ in map(str.split, lines):
        if ipaddress.ip_address(bytes.fromhex(owned)) == wanted:
            return int(index, 16)
    raise NetworkError(
        f"reception.interface_address = {address} is not an address of this machine: give one of "
        f"its own, or the name of an interface"
    )


def open_sockets(
    endpoint: Endpoint, ports: list[int], *, tcp: bool, buffer_bytes: int
) -> list[socket.socket]:
    """Bind one socket for each port, all or none.

    Parameters
    ----------
    endpoint
        Address, and for a group the interface.
    ports
        One port a stream; 0 lets the system choose (tests).
    tcp
        Listen for TCP connections instead of UDP datagrams.
    buffer_bytes
        Socket buffer asked for; one warning tells when the kernel grants less.

    Raises
    ------
    NetworkError
        If a port is in use, the address is not of this machine, or the group cannot be joined.
    """
    if tcp and endpoint.is_multicast:
        raise ConfigError(
            f"reception.bind_hostname = {endpoint.address} is a multicast group, which TCP does "
            f"not have: use reception.transport = udp"
        )
    sockets: list[socket.socket] = []
    try:
        for port in ports:
            sockets.append(_open(endpoint, port, tcp=tcp, buffer_bytes=buffer_bytes))  # noqa: PERF401 -- closed one by one on an error
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    _warn_of_small_buffer(sockets, buffer_bytes)
    return sockets


def _open(endpoint: Endpoint, port: int, *, tcp: bool, buffer_bytes: int) -> socket.socket:
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    opened = socket.socket(endpoint.family, kind)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        if tcp or endpoint.is_multicast:
            # TCP: a port whose last connection is still fading. A group: several receivers.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if tcp:
            # Connections inherit it: a sender whose machine vanished is noticed.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
        opened.bind(_address(endpoint, port))
        if endpoint.is_multicast:
            _join(opened, endpoint)
        if tcp:
            opened.listen()
    except (OSError, OverflowError) as error:
        opened.close()
        raise NetworkError(_explain(error, endpoint, port, tcp=tcp)) from error
    return opened


def _address(endpoint: Endpoint, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if endpoint.family == socket.AF_INET6 and endpoint.is_multicast and endpoint.interface:
        # Groups of one link (ff02::, ff12::) are of no use without the number of its interface.
        return endpoint.address, port, 0, interface_index(endpoint.interface)
    return endpoint.address, port


def _join(opened: socket.socket, endpoint: Endpoint) -> None:
    if endpoint.family == socket.AF_INET:
        interface = endpoint.interface or "0.0.0.0"  # noqa: S104 -- the kernel's choice
        request = socket.inet_aton(endpoint.address) + socket.inet_aton(interface)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        # Without this a socket gets what any program on this machine has joined on the port.
        ip_multicast_all = 49
        opened.setsockopt(socket.IPPROTO_IP, ip_multicast_all, 0)
    else:
        # 0: the kernel's choice.
        index = interface_index(endpoint.interface) if endpoint.interface else 0
        request = socket.inet_pton(socket.AF_INET6, endpoint.address) + struct.pack("@I", index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)


def _explain(error: OSError | OverflowError, endpoint: Endpoint, port: int, *, tcp: bool) -> str:
    protocol = "TCP" if tcp else "UDP"
    where = f"{protocol} port {port} of {endpoint.address}"
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"{where} is in use by another program: choose another reception.port_start"
    if code == errno.EADDRNOTAVAIL:
        return (
            f"{where} cannot be bound: {endpoint.address} is not an address of this machine; "
            f"give one of its own as reception.bind_hostname, or none for all interfaces"
        )
    if code == errno.EACCES:
        return f"{where} cannot be bound: ports below 1024 take privileges, choose a higher one"
    if code == errno.EINVAL and endpoint.is_multicast and endpoint.interface is None:
        return (
            f"{where} cannot be bound: the group is of one link, or of this machine; give an "
            f"address of the interface as reception.interface_address"
        )
    if code in {errno.ENODEV, errno.ENETUNREACH} and endpoint.is_multicast:
        on = f"{endpoint.interface}" if endpoint.interface else "the interface of the default route"
        return (
            f"the multicast group {endpoint.address} cannot be joined on {on}: give an address of "
            f"this machine that has multicast as reception.interface_address"
        )
    return f"{where} cannot be bound: {error}"


def granted_bytes(opened: socket.socket) -> int:
    """Return the socket buffer that the kernel grants to payload."""
    # Linux reports twice that; the other half is its own bookkeeping.
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def rmem_max_bytes() -> int | None:
    """Return the largest socket buffer that the kernel grants; None where it does not tell."""
    try:
        return int(_RMEM_MAX.read_text())
    except (OSError, ValueError):
        return None


def _warn_of_small_buffer(sockets: list[socket.socket], buffer_bytes: int) -> None:
    if not sockets:
        return
    granted = granted_bytes(sockets[0])
    if granted < buffer_bytes:
        limit = rmem_max_bytes()
        logger.warning(
            "The kernel grants %d bytes of socket buffer instead of %d (net.core.rmem_max = %s); "
            "to lose fewer packets: sudo sysctl -w net.core.rmem_max=%d",
            granted,
            buffer_bytes,
            "unknown" if limit is None else limit,
            buffer_bytes,
        )
