"""How many of the buffers consumers may hold: what receiving does not need itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.stream.table.layout import PoolSize

MEMORY_S = 10.0
"""What receiving has needed is remembered for about so long."""
PARTS = 2
"""Of the parts of the pool one for each consumer is left to receive into: others than the slowest
hold buffers too, only for less long."""


class ConsumerShare:
    """Follows how many buffers receiving needs.

    While nothing is missing two or three are enough for it, and a consumer may fall behind by all
    the others.  With heaps missing, dumps wait in the whole window, and it has to be there.

    Parameters
    ----------
    size
        Of the pool and the window.
    consumers
        How many there are.
    """

    def __init__(self, size: PoolSize, consumers: int) -> None:
        self._size = size
        self._least = size.dumps * consumers // (consumers + PARTS)
        self._needed = 0.0
        self._looked_s = 0.0

    def look(self, needed: int, now_s: float) -> int:
        """Return how many dumps a consumer may hold, with so many buffers needed just now."""
        fading = math.exp((self._looked_s - now_s) / MEMORY_S)
        self._needed = max(float(needed), self._needed * fading)
        self._looked_s = now_s
        dumps, window = self._size.dumps, self._size.window
        own = max(2 * math.ceil(self._needed), self._least)
        return max(1, dumps - min(own, window) - 1)
