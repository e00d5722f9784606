"""From the hosts of a plan to addresses that sockets take, before anything is sent."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from dataclasses import dataclass

from receive.errors import ConfigError, NetworkError

logger = logging.getLogger(__name__)

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
        IPv4 or IPv6 address.
    port : int
        Port.
    """

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """Address family of a socket that reaches it."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

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
        If some have IPv4 and some IPv6 addresses, which one socket cannot serve.
    """
    deadline_s = time.monotonic() + wait_s
    addresses = {host: _wait_for(host, deadline_s) for host in dict(endpoints)}
    targets = [Target(host, addresses[host], port) for host, port in endpoints]
    other = next((t for t in targets if t.family != targets[0].family), None)
    if other is not None:
        raise ConfigError(
            f"transmission.endpoints: {targets[0].host} has the address {targets[0].address} and "
            f"{other.host} the address {other.address}; either IPv4 or IPv6 addresses are accepted"
        )
    return targets


def _wait_for(host: str, deadline_s: float) -> str:
    """Return the address of a host when it has one."""
    waiting = False
    while True:
        try:
            return _address(host)
        except NetworkError:
            if time.monotonic() >= deadline_s:
                raise
        if not waiting:
            logger.info("Waiting for %s to have an address", host)
            waiting = True
        time.sleep(_LOOK_S)


def _address(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NetworkError(f"the host {host} to send to has no address: {reason}") from None
    # IPv4 where there is a choice: receivers listen there unless they are told otherwise.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])
