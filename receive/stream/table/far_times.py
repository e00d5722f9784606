"""Heaps whose timestamp is far from the newest: whether they continue each other."""

from __future__ import annotations

import numpy as np
from numba import njit

from receive.stream.table.starts import follows_count, was_overtaken

_PATIENCE = 2
"""A run of far heaps is given up after its length plus this many heaps that do not continue it."""
_LONG = 4
"""Length at which a run of far heaps stops being counted."""


@njit(nogil=True)
def follows_time(last_count, last, step, count, ticks, interval):
    """Return whether a heap that follows another by count also follows it by timestamp.

    Heaps between them may be lost; several heaps may be of one integration.
    """
    most = np.uint64(1 + max(count - last_count, 1) // max(step, 1))
    return last <= ticks and ticks - last <= most * interval


@njit(nogil=True)
def note_far(stream, count, ticks, interval, follows, trusted):
    """Record a far heap; return whether it continues the run of far heaps of its stream.

    A run survives heaps of another sender between its own, unless ``trusted``.  ``follows`` is
    whether the count follows that of the stream's regular heaps.
    """
    if ticks < stream[0].newest_ticks:
        since = ticks - min(stream[0].back_ticks, ticks)
        quarter = interval // np.uint64(4)
        next_one = interval - quarter <= since <= interval + quarter
        stream[0].back_run = stream[0].back_run + 1 if next_one else 1
        stream[0].back_ticks = ticks
    last_count, last = stream[0].far_count, stream[0].far_ticks
    step = stream[0].step
    by_count = last > 0 and follows_count(last_count, step, count)
    by_time = by_count and follows_time(last_count, last, step, count, ticks, interval)
    if was_overtaken(last_count, last, step, count, ticks) and follows_time(
        count, ticks, step, last_count, last, interval
    ):
        stream[0].far_run = min(stream[0].far_run + 1, _LONG)
        return True
    patient = last > 0 and stream[0].far_misses < stream[0].far_run + _PATIENCE
    if not by_time and patient and not trusted:
        stream[0].far_misses += 1
        return False
    goes_on = by_time or (by_count and trusted)
    stream[0].far_follows = follows or (goes_on and stream[0].far_follows)
    stream[0].far_run = min(stream[0].far_run + (ticks > last), _LONG) if by_time else 0
    stream[0].far_misses = 0
    stream[0].far_count = count
    stream[0].far_ticks = ticks
    return goes_on


@njit(nogil=True)
def forget_far(stream):
    """Clear the runs of far heaps: the stream has changed its epoch."""
    stream[0].back_run = 0
    stream[0].far_count = 0
    stream[0].far_ticks = 0
    stream[0].far_follows = 0
    stream[0].far_run = 0
    stream[0].far_misses = 0
