"""The addresses of a bed: one /16 by its number, for pods, services and the link to the host."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

# 10.240.0.0/16 and up: few use them, and which are taken is asked before one is.
FIRST = 240
NUMBERS = range(12)
NODES = ("node-1", "node-2")


@dataclass(frozen=True)
class Addresses:
    """Addresses of one bed.

    Attributes
    ----------
    number
        Number of the bed on this machine.
    """

    number: int

    @property
    def name(self) -> str:
        """Name of its interface on the host, its control groups and its packet filter chains."""
        return f"visbed{self.number}"

    @property
    def _prefix(self) -> str:
        return f"10.{FIRST + self.number}"

    @property
    def whole(self) -> str:
        """All its addresses."""
        return f"{self._prefix}.0.0/16"

    @property
    def pods(self) -> str:
        """Addresses of pods, on whichever node."""
        return f"{self._prefix}.0.0/17"

    @property
    def pod_gateway(self) -> str:
        """The bridge's own address."""
        return f"{self._prefix}.0.1"

    @property
    def services(self) -> str:
        """Addresses of services."""
        return f"{self._prefix}.128.0/18"

    @property
    def first_service(self) -> str:
        """Address of the API server, as pods know it."""
        return f"{self._prefix}.128.1"

    @property
    def dns(self) -> str:
        """Address of the cluster's name server."""
        return f"{self._prefix}.128.10"

    @property
    def host(self) -> str:
        """Address of the host on the link to the bed; pods reach the host by it."""
        return f"{self._prefix}.255.1"

    @property
    def link_bits(self) -> int:
        """Length of the link's prefix."""
        return 24

    def node(self, name: str) -> str:
        """Return the address of a node; the first is also the API server's."""
        return f"{self._prefix}.255.{10 + NODES.index(name)}"

    def overlaps(self, other: str) -> bool:
        """Whether a network of the host takes any of these addresses."""
        return ipaddress.ip_network(self.whole).overlaps(ipaddress.ip_network(other, strict=False))
