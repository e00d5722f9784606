"""Which of the model's integrations a timestamp belongs to."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True)
def apart(ticks, other):
    """Return the distance of two timestamps; a difference needs all 64 bits, so no sign."""
    return ticks - other if ticks > other else other - ticks


@njit(nogil=True, cache=True)
def index_in_model(model_time, tolerance, ticks):
    """Return the index of the nearest integration of the model; -1 if outside its tolerance."""
    nearest = np.searchsorted(model_time, ticks)
    if nearest == len(model_time) or (
        nearest > 0 and apart(ticks, model_time[nearest - 1]) < apart(ticks, model_time[nearest])
    ):
        nearest -= 1
    if nearest >= 0 and apart(ticks, model_time[nearest]) <= np.uint64(tolerance[nearest]):
        return nearest
    return -1
