"""Which of the model's integrations a timestamp belongs to: decided once, here."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True)
def apart(ticks, other):
    """Return how far two timestamps are from each other; differences need all of the 64 bits."""
    return ticks - other if ticks > other else other - ticks


@njit(nogil=True, cache=True)
def index_in_model(model_time, tolerance, ticks):
    """Return which of the model's integrations a timestamp belongs to; -1 if to none.

    That is the nearest one, if it is near enough.
    """
    nearest = np.searchsorted(model_time, ticks)
    if nearest == len(model_time) or (
        nearest > 0 and apart(ticks, model_time[nearest - 1]) < apart(ticks, model_time[nearest])
    ):
        nearest -= 1
    if nearest >= 0 and apart(ticks, model_time[nearest]) <= np.uint64(tolerance[nearest]):
        return nearest
    return -1
