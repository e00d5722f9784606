"""Port numbers written as ranges: ``41000-41003,41010``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def port_ranges(ports: Sequence[int]) -> str:
    """Return the ports in the order given, with consecutive ports as a range."""
    return ",".join(_runs(ports))


def _runs(ports: Sequence[int]) -> Iterator[str]:
    first = previous = ports[0]
    for port in [*ports[1:], -1]:
        if port == previous + 1:
            previous = port
            continue
        yield f"{first}-{previous}" if previous > first else f"{first}"
        first = previous = port
