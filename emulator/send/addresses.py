"""From the hosts of a plan to addresses that sockets take, before anything is sent."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from dataclasses import dataclass

from receive.command.errors import ConfigError, NetworkError
from receive.stream.network.sockets import Endpoint, addresses_of, socket_address

logger = logging.getLogger(__name__)

_DISCARD_PORT = 9
"""Of the route that is asked for; nothing is sent."""
_LOOK_S = 0.5
"""How often a name is looked up again; a cluster's DNS answers from its cache."""


@dataclass(frozen=True)
class Target:
    """Where one stream goes.

    Attributes
    ----------
    host : str
        As the user wrote it, for messages.
    address : str
        IPv4 or IPv6 address; one of a link with its zone.
    port : int
        Port.
    """

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and "[" not in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """Address family of a socket that reaches it."""
        return _family(self.address)

    @property
    def name(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """What a socket connects to: Python loses a zone that is part of the text."""
        return socket_address(Endpoint(self.address), self.port)

    @property
    def is_multicast(self) -> bool:
        """Whether the address is a multicast group."""
        return ipaddress.ip_address(self.address).is_multicast


def resolve_targets(endpoints: tuple[tuple[str, int], ...], wait_s: float = 0.0) -> list[Target]:
    """Look up the hosts of all streams, each once they have an address.

    A name may be gone again when the last one comes, since a cluster takes back that of a receiver
    too busy to say that it is ready: then the address is the one that it had.

    Parameters
    ----------
    endpoints
        Host and port of each stream.
    wait_s
        How long all of them together are waited for.

    Raises
    ------
    NetworkError
        If a host has no address by then.
    ConfigError
        If some have IPv4 addresses only and some IPv6 ones, which one socket cannot serve.
    """
    deadline_s = time.monotonic() + wait_s
    found = {host: _wait_for(host, deadline_s) for host in dict(endpoints)}
    family = _common_family(found)
    addresses = {
        host: next(one for one in of_host if _family(one) == family)
        for host, of_host in found.items()
    }
    return [Target(host, addresses[host], port) for host, port in endpoints]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _common_family(found: dict[str, list[str]]) -> socket.AddressFamily:
    """Return the family in which every host has an address.

    IPv4 where there is a choice and this machine has a way to it, as pods of a cluster that has
    IPv6 only have not.
    """
    first: dict[socket.AddressFamily, dict[str, str]] = {
        family: {} for family in (socket.AF_INET, socket.AF_INET6)
    }
    for host, addresses in found.items():
        for address in reversed(addresses):
            first[_family(address)][host] = address
    common = [family for family, by_host in first.items() if len(by_host) == len(found)]
    if not common:
        # Those that have that family alone: everybody else would do.
        one, other = (
            next(
                (host, at) for host, at in by_host.items() if len({*map(_family, found[host])}) == 1
            )
            for by_host in first.values()
        )
        raise ConfigError(
            f"transmission.endpoints: {one[0]} has the address {one[1]} and {other[0]} the address "
            f"{other[1]}, and neither has one of the other family; either IPv4 or IPv6 addresses "
            f"are accepted"
        )
    ways = (family for family in common if all(map(_is_routed, first[family].values())))
    return next(ways, common[0])


def _is_routed(address: str) -> bool:
    """Whether there is a way to an address: connecting asks the kernel, sends nothing."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            probe.connect(socket_address(Endpoint(address), _DISCARD_PORT))
    except OSError:
        return False
    return True


def _wait_for(host: str, deadline_s: float) -> list[str]:
    """Return the addresses of a host when it has one, IPv4 first."""
    waiting = False
    while True:
        try:
            return _addresses(host)
        except NetworkError:
            if time.monotonic() >= deadline_s:
                raise
        if not waiting:
            logger.info("Waiting for %s to have an address", host)
            waiting = True
        time.sleep(_LOOK_S)


def _addresses(host: str) -> list[str]:
    try:
        return addresses_of(host.strip("[]"))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NetworkError(f"the host {host} to send to has no address: {reason}") from None
