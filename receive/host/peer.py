"""The other end of a connection, or where a datagram came from."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, order=True)
class Peer:
    """Whom a packet is from: address and port, as people read them with `str`."""

    address: str
    port: int

    @staticmethod
    @lru_cache(maxsize=256)
    def of(name: tuple[str | int, ...]) -> Peer:
        """Return the source that a socket names so."""
        address = without_interface(str(name[0]))
        return Peer(address.removeprefix("::ffff:") if "." in address else address, int(name[1]))

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """The network that holds its address alone."""
        return ipaddress.ip_network(self.address)

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


def without_interface(address: str) -> str:
    """Return an address without the interface that a link's own address is given with."""
    return address.partition("%")[0]
