"""Sockets to receive on: bound before the receiver says that it is ready, with clear errors.

All interfaces means both families: one IPv6 socket that takes IPv4 too, wherever there is IPv6.
Addresses of a link carry their interface as a zone, ``fe80::1%eth0``, wherever they are text.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from receive.command.errors import ConfigError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

logger = logging.getLogger(__name__)

_KEEPALIVE_S = 5
_KEEPALIVE_PROBES = 3
_IF_INET6 = Path("/proc/net/if_inet6")
_NOT_PREFERRED = 0x01 | 0x08 | 0x20 | 0x40
"""Linux' include/uapi/linux/if_addr.h: temporary, duplicate, deprecated, tentative addresses."""
_SCOPE_LINK = 0x20
ALL_IPV4, ALL = "0.0.0.0", "::"  # noqa: S104 -- all interfaces, where that is asked for
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


@dataclass(frozen=True)
class Endpoint:
    """Where a receiver listens.

    Attributes
    ----------
    address
        IPv4 or IPv6 address to bind; a multicast group is joined.  ``::`` is IPv4 too.
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
        return all_interfaces()
    try:
        return _plain(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if host in {name for _, name in socket.if_nameindex()}:
        return _interface_address(host, key)
    try:
        return addresses_of(host)[0]
    except (OSError, UnicodeError) as error:
        raise NetworkError(
            f"{key} = {host}: neither an address, nor a host name that resolves, nor one of the "
            f"interfaces {', '.join(name for _, name in socket.if_nameindex())}"
        ) from error


def all_interfaces() -> str:
    """Return what to bind for all interfaces: ``::``, which is IPv4 too, where there is IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        # IPv6 may be compiled in and switched off.
        probe.bind((ALL, 0))
        return ALL
    return ALL_IPV4


def addresses_of(host: str) -> list[str]:
    """Return the addresses of a host, IPv4 first, those of a link with their zone.

    Raises
    ------
    OSError, UnicodeError
        If it has none, or its name can be none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return list(dict.fromkeys(host_of(entry[4]) for entry in found))


def host_of(name: tuple[Any, ...]) -> str:
    """Return the address in a socket's name, with the zone that Python leaves out of it."""
    address = str(name[0])
    if len(name) == len(("address", "port", "flow", "scope")) and name[3] and "%" not in address:
        return f"{address}%{socket.if_indextoname(name[3])}"
    return address


def zone_index(address: str) -> int:
    """Return the number of the interface that the zone of an address names; 0 without one.

    Raises
    ------
    NetworkError
        If there is no such interface.
    """
    _, _, zone = address.partition("%")
    if not zone or zone.isdecimal():
        return int(zone or 0)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise NetworkError(
            f"{address}: there is no interface {zone} here, only "
            f"{', '.join(name for _, name in socket.if_nameindex())}"
        ) from None


def interface_addresses() -> dict[str, str]:
    """Return the first IPv4 address of each interface that has one, by name."""
    return {
        name: one.address
        for name, owned in psutil.net_if_addrs().items()
        for one in reversed(owned)
        if one.family == socket.AF_INET
    }


def _plain(address: IPv4Address | IPv6Address) -> str:
    """Return an address as text; one of IPv4 that is written as IPv6 as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _interface_address(name: str, key: str) -> str:
    if address := interface_addresses().get(name):
        return address
    # Lines of: address, index, prefix length, scope, flags (all hexadecimal), name.
    lines = _IF_INET6.read_text().splitlines() if _IF_INET6.exists() else []
    # Of the link last, then those that come and go.
    owned = sorted(
        (int(scope, 16) == _SCOPE_LINK, bool(int(flags, 16) & _NOT_PREFERRED), digits)
        for digits, _, _, scope, flags, of in map(str.split, lines)
        if of == name
    )
    if not owned:
        raise NetworkError(f"{key} = {name}: the interface has no address")
    of_link, _, digits = owned[0]
    return f"{IPv6Address(bytes.fromhex(digits))}{f'%{name}' if of_link else ''}"


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
    if "%" in address:
        return zone_index(address)
    # Those of a link have their zone there, which this one has not.
    wanted = str(ipaddress.ip_address(address))
    for name, owned in psutil.net_if_addrs().items():
        if any(one.address.partition("%")[0] == wanted for one in owned):
            return socket.if_nametoindex(name)
    raise NetworkError(
        f"reception.interface_address = {address} is not an address of this machine: give one of "
        f"its own, or the name of an interface"
    )


def open_sockets(
    endpoint: Endpoint, ports: Sequence[int], *, tcp: bool, buffer_bytes: int
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
        close_all(sockets)
        raise
    _warn_of_small_buffer(sockets, buffer_bytes)
    return sockets


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close what was bound."""
    for opened in sockets:
        opened.close()


def _open(endpoint: Endpoint, port: int, *, tcp: bool, buffer_bytes: int) -> socket.socket:
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    opened = socket.socket(endpoint.family, kind)
    try:
        if endpoint.family == socket.AF_INET6:
            # Whatever the system's default is.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(endpoint.address != ALL))
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
        opened.bind(socket_address(endpoint, port))
        if endpoint.is_multicast:
            _join(opened, endpoint)
        if tcp:
            opened.listen()
    except (OSError, OverflowError) as error:
        opened.close()
        raise NetworkError(_explain(error, endpoint, port, tcp=tcp)) from error
    return opened


def socket_address(endpoint: Endpoint, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return what a socket of the endpoint's family is bound to."""
    if endpoint.family == socket.AF_INET:
        return endpoint.address, port
    return endpoint.address.partition("%")[0], port, 0, _scope(endpoint)


def _scope(endpoint: Endpoint) -> int:
    """Return the number of an IPv6 endpoint's interface; 0 is the kernel's choice."""
    # Groups of one link (ff02::, ff12::) are of no use without the number of their interface.
    if endpoint.is_multicast and endpoint.interface and "%" not in endpoint.address:
        return interface_index(endpoint.interface)
    return zone_index(endpoint.address)


def _join(opened: socket.socket, endpoint: Endpoint) -> None:
    if endpoint.family == socket.AF_INET:
        group, interface = socket.inet_aton(endpoint.address), endpoint.interface
        if interface and ":" in interface:
            # An interface that has IPv6 addresses only.
            request = struct.pack("@4s4si", group, bytes(4), interface_index(interface))
        else:
            request = group + socket.inet_aton(interface or ALL_IPV4)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        # Without this a socket gets what any program on this machine has joined on the port.
        ip_multicast_all = 49
        opened.setsockopt(socket.IPPROTO_IP, ip_multicast_all, 0)
    else:
        group = socket.inet_pton(socket.AF_INET6, endpoint.address.partition("%")[0])
        request = group + struct.pack("@I", _scope(endpoint))
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
    if code == errno.EINVAL and "%" not in endpoint.address:
        return f"{where} cannot be bound: {_of_one_link(endpoint)}"
    if code in {errno.ENODEV, errno.ENETUNREACH} and endpoint.is_multicast:
        on = f"{endpoint.interface}" if endpoint.interface else "the interface of the default route"
        return (
            f"the multicast group {endpoint.address} cannot be joined on {on}: give an address of "
            f"this machine that has multicast as reception.interface_address"
        )
    return f"{where} cannot be bound: {error}"


def _of_one_link(endpoint: Endpoint) -> str:
    if endpoint.is_multicast:
        return (
            "the group is of one link, or of this machine; give an address of the interface as "
            "reception.interface_address"
        )
    return f"the address is of one link; name its interface, such as {endpoint.address}%eth0"


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
