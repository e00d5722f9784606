"""The collector's compiled passes over the table of entries."""

from __future__ import annotations

import numpy as np
from numba import njit

from receive.stream.table.atomics import fence
from receive.stream.table.shared_types import Belief, EntryState

_EMPTY, _OPEN = int(EntryState.EMPTY), int(EntryState.OPEN)
_PRIME = np.uint64(1_099_511_628_211)
_LIVE, _CLOSED = int(EntryState.LIVE), int(EntryState.CLOSED)
_BELIEVED = int(Belief.BELIEVED)


@njit(nogil=True, cache=True)
def list_live(state, block, seen, present, begin, end, slots, n_present, n_seen):
    """Fill ``slots`` with the live entries of [begin, end); return their number.

    ``n_present`` and ``n_seen`` are filled with the numbers of complete and of begun heaps.
    """
    count = 0
    fence()
    for n in range(begin, end):
        slot = n % len(state)
        if state[slot] != _LIVE:
            continue
        whole = 0
        begun = 0
        for group in range(seen.shape[1]):
            whole += present[block[slot], group] & (seen[slot, group] == 1)
            begun += seen[slot, group] != 0
        slots[count] = slot
        n_present[count] = whole
        n_seen[count] = begun
        count += 1
    return count


@njit(nogil=True, cache=True)
def count_live(state, begin, end):
    """Return the number of live entries in [begin, end)."""
    count = 0
    fence()
    for n in range(begin, end):
        if state[n % len(state)] == _LIVE:
            count += 1
    return count


@njit(nogil=True, cache=True)
def fingerprint(state, block, seen, present, start_present, ended, epoch, begin, end):
    """Return a hash that changes when a dump is complete, or a stream has begun or ended.

    It is the sum of `complete_mark` over the complete dumps, plus a hash of the streams.
    """
    mark = np.uint64(0)
    fence()
    for n in range(begin, end):
        slot = n % len(state)
        if state[slot] == _LIVE and _is_complete(present[block[slot]], seen[slot]):
            mark += complete_mark(n)
    streams = np.uint64(0)
    for row in range(start_present.shape[0]):
        for group in range(start_present.shape[1]):
            streams = streams * _PRIME + np.uint64(start_present[row, group])
    for group in range(len(ended)):
        streams = streams * _PRIME + np.uint64(2 * epoch[group] + ended[group])
    return mark + streams


@njit(nogil=True, cache=True)
def follows(last, ticks, model_time, interval):
    """Return True if `ticks` is the next integration after `last`, the last handed on (0: none).

    Timestamps are unsigned 64-bit numbers, so only non-negative differences are formed.
    """
    if last == 0 or ticks <= last:
        return False
    quarter = np.uint64(interval // 4)
    if (
        len(model_time)
        and model_time[0] <= last + quarter
        and ticks <= model_time[len(model_time) - 1] + quarter
    ):
        begin, end = last + quarter, ticks - quarter
        return np.searchsorted(model_time, begin) >= np.searchsorted(model_time, end)
    return ticks - last < np.uint64(interval) + quarter + quarter


@njit(nogil=True, cache=True)
def _oldest_live(state, time, epoch, belief, begin, end):
    """Return the slot of the oldest live entry; -1 if there is none or any is not believed."""
    oldest = -1
    fence()
    for n in range(begin, end):
        slot = n % len(state)
        if state[slot] != _LIVE:
            continue
        if belief[slot] != _BELIEVED:
            return -1
        if (
            oldest < 0
            or epoch[slot] < epoch[oldest]
            or (epoch[slot] == epoch[oldest] and time[slot] < time[oldest])
        ):
            oldest = slot
    return oldest


@njit(nogil=True, cache=True)
def _is_complete(present, seen):
    """Return whether all heaps of a dump are complete, and none is abandoned or moved."""
    for group in range(len(seen)):  # noqa: SIM110 -- numba has no all() of a generator
        if not present[group] or seen[group] != 1:
            return False
    return True


@njit(nogil=True, cache=True)
def close_complete(
    state,
    time,
    epoch,
    belief,
    block,
    seen,
    present,
    horizon,
    settled,
    model_time,
    interval,
    begin,
    end,
    limit,
    closed,
):
    """Close at most `limit` entries that are complete and next in order.

    Fill ``closed`` with their slots; return their number.
    """
    for count in range(limit):
        slot = _oldest_live(state, time, epoch, belief, begin, end)
        if slot < 0 or epoch[slot] > settled:
            return count
        if not _is_complete(present[block[slot]], seen[slot]):
            return count
        row = epoch[slot] % len(horizon)
        if not follows(horizon[row], time[slot], model_time, interval):
            return count
        state[slot] = _CLOSED
        fence()
        horizon[row] = time[slot]
        closed[count] = slot
    return limit


@njit(nogil=True, cache=True)
def oldest_needed(state, tail, limit):
    """Return the number of the first live entry from the tail on, at most `limit`."""
    while tail < limit and state[tail % len(state)] != _LIVE:
        tail += 1
    return tail


@njit(nogil=True, cache=True)
def complete_mark(sequence):
    """Return the term of a complete dump in `fingerprint`."""
    return np.uint64(sequence + 1) * _PRIME


@njit(nogil=True, cache=True)
def open_entries(state, sequence, seen, heaps, begin, end):
    """Open the entries [begin, end) for network threads to claim."""
    for n in range(begin, end):
        slot = n % len(state)
        seen[slot] = 0
        sequence[slot] = n
        heaps[slot] = -1
        # The slot after the last open entry is EMPTY, so that no thread claims beyond it.
        state[(n + 1) % len(state)] = _EMPTY
        fence()
        state[slot] = _OPEN


@njit(nogil=True, cache=True)
def largest(first, second, third, fourth):
    """Return the largest of each of four columns."""
    return first.max(), second.max(), third.max(), fourth.max()
