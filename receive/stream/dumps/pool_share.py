"""How many buffers a consumer may hold: those that receiving does not need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.stream.table.layout import PoolSize

MEMORY_S = 10.0
"""Time constant with which the remembered need of receiving decays."""
PARTS = 2
"""Receiving keeps ``consumers / (consumers + PARTS)`` of the pool: the faster consumers hold
buffers too, for a shorter time."""


class ConsumerShare:
    """Follows how many buffers receiving needs.

    Without loss it needs two or three, and a consumer may fall behind by all others.  With missing
    heaps, dumps wait in the whole window, whose buffers must then be available.

    Parameters
    ----------
    size
        Buffers in the pool, and the window.
    consumers
        Number of consumers.
    """

    def __init__(self, size: PoolSize, consumers: int) -> None:
        self._size = size
        self._least = size.dumps * consumers // (consumers + PARTS)
        self._needed = 0.0
        self._looked_s = 0.0

    def look(self, needed: int, now_s: float) -> int:
        """Return how many dumps a consumer may hold; `needed` buffers are in use by receiving."""
        fading = math.exp((self._looked_s - now_s) / MEMORY_S)
        self._needed = max(float(needed), self._needed * fading)
        self._looked_s = now_s
        dumps, window = self._size.dumps, self._size.window
        own = max(2 * math.ceil(self._needed), self._least)
        return max(1, dumps - min(own, window) - 1)
