"""Heaps whose time is far from where their stream is: whether they go on from each other."""

from __future__ import annotations

import numpy as np
from numba import njit

from receive.stream.starts import follows_count

_PATIENCE = 2
"""So many heaps more than have gone on from each other may come that do not."""
_LONG = 4
"""More of them say nothing more."""


@njit(nogil=True)
def follows_time(last_count, last, step, count, ticks, interval):
    """Return whether a heap that follows another by its count does so by its time, too.

    Heaps between the two may be lost; several may be of one integration.
    """
    most = np.uint64(1 + max(count - last_count, 1) // max(step, 1))
    return last <= ticks and ticks - last <= most * interval


@njit(nogil=True)
def note_far(stream, count, ticks, interval, follows):
    """Note a heap that came from far; return whether it goes on from others.

    Those that go on from each other are kept though somebody else's come between them.
    ``follows`` is whether its count is next to that of the heaps that are not far.
    """
    last_count, last = stream[0].far_count, stream[0].far_ticks
    known = last > 0 and follows_count(last_count, stream[0].step, count)
    if known and follows_time(last_count, last, stream[0].step, count, ticks, interval):
        stream[0].far_run = min(stream[0].far_run + (ticks > last), _LONG)
        stream[0].far_misses = 0
    elif last > 0 and stream[0].far_misses < stream[0].far_run + _PATIENCE:
        stream[0].far_misses += 1
        return False
    else:
        stream[0].far_follows = follows
        stream[0].far_run = 0
        stream[0].far_misses = 0
        known = False
    stream[0].far_count = count
    stream[0].far_ticks = ticks
    return known


@njit(nogil=True)
def forget_far(stream):
    """Forget the heaps that came from far: the stream has moved."""
    stream[0].far_count = 0
    stream[0].far_ticks = 0
    stream[0].far_follows = 0
    stream[0].far_run = 0
    stream[0].far_misses = 0
