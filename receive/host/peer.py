"""The remote end of a connection, or the source of a datagram."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, order=True)
class Peer:
    """Address and port of a sender; `str` gives ``address:port``."""

    address: str
    port: int

    @staticmethod
    @lru_cache(maxsize=256)
    def of(name: tuple[str | int, ...]) -> Peer:
        """Return the peer for an address tuple of the `socket` module."""
        address = without_interface(str(name[0]))
        return Peer(address.removeprefix("::ffff:") if "." in address else address, int(name[1]))

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """The network that contains only its address."""
        return ipaddress.ip_network(self.address)

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


def without_interface(address: str) -> str:
    """Return an address without its zone: the interface after ``%`` in a link-local address."""
    return address.partition("%")[0]
