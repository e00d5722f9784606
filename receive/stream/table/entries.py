"""The table of entries, one per integration, as the network threads search and claim it."""

from __future__ import annotations

import numba
import numpy as np
from numba import njit
from spead2.numba import intp_to_voidptr

from receive.stream.table.atomics import compare_and_swap, fence
from receive.stream.table.free_buffers import NONE, take
from receive.stream.table.model_times import apart
from receive.stream.table.shared_types import ENTRIES, Belief, EntryState

# numba takes enum members of module level as constants only when they are plain integers.
_EMPTY, _OPEN, _BUSY = int(EntryState.EMPTY), int(EntryState.OPEN), int(EntryState.BUSY)
_LIVE = int(EntryState.LIVE)
_BELIEVED, _PROBATION = int(Belief.BELIEVED), int(Belief.PROBATION)


@njit(nogil=True)
def find(state, time, epochs, begin, end, ticks, epoch):
    """Return the slot of the newest entry for (ticks, epoch) among [begin, end), or -1."""
    n = end - 1
    while n >= begin:
        slot = n % ENTRIES
        while state[slot] == _BUSY:
            fence()
        if time[slot] == ticks and epochs[slot] == epoch and state[slot] >= _LIVE:
            return slot
        n -= 1
    return -1


@njit(nogil=True)
def find_or_claim(
    shared, state, block, time, epochs, beliefs, searched, ticks, epoch, belief, model_index
):
    """Return the slot for (ticks, epoch), claimed if there is none; -1 if no buffer is free.

    ``searched`` is the head up to which the caller has searched.
    """
    while True:
        fence()
        head = shared[0].head
        if searched < head:
            slot = find(state, time, epochs, searched, head, ticks, epoch)
            if slot >= 0:
                return slot
            searched = head
        slot = head % ENTRIES
        current = state[slot]
        if current == _EMPTY:
            return -1
        if current == _OPEN and compare_and_swap(state, slot, _OPEN, _BUSY):
            block[slot] = take(
                numba.carray(intp_to_voidptr(shared[0].free_top), 1, dtype=np.int64),
                numba.carray(intp_to_voidptr(shared[0].free_below), shared[0].pool, dtype=np.int64),
            )
            if block[slot] == NONE:
                fence()
                state[slot] = _OPEN
                return -1
            shared[0].taken += 1
            time[slot] = ticks
            epochs[slot] = epoch
            beliefs[slot] = belief
            models = numba.carray(intp_to_voidptr(shared[0].entry_model), ENTRIES, dtype=np.int64)
            models[slot] = model_index
            ranks = numba.carray(intp_to_voidptr(shared[0].entry_rank), ENTRIES, dtype=np.int64)
            ranks[slot] = shared[0].ranked
            shared[0].ranked += belief == _BELIEVED or shared[0].trusted
            shared[0].doubted += belief != _BELIEVED
            fence()
            state[slot] = _LIVE
            shared[0].head = head + 1
            fence()
            return slot


@njit(nogil=True)
def has_witness(state, time, epochs, beliefs, begin, end, ticks, epoch, span):
    """Return whether an epoch has timestamps in probation, all within `span` of this one."""
    found = False
    for n in range(begin, end):
        slot = n % ENTRIES
        if state[slot] == _LIVE and beliefs[slot] == _PROBATION and epochs[slot] == epoch:
            if apart(ticks, time[slot]) > span:
                return False
            found = True
    return found


@njit(nogil=True)
def has_place(slot, state, seen, group, ticks, newest, horizon, span):
    """Return whether a heap fits an epoch: in a live entry that lacks it, or near the newest.

    ``slot`` is that of its timestamp in the epoch, -1 if there is none; ``newest`` and ``horizon``
    are timestamps of the epoch.
    """
    if slot >= 0:
        return state[slot] == _LIVE and not seen[slot, group]
    return newest > 0 and ticks > horizon and apart(ticks, newest) <= span
