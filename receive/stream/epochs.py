"""Starts of the sender: which one a stream is in, for the compiled placement function.

Each stream counts its own, since one may be far behind the others: what of it waits in the kernel
can be older than a start that another stream has brought already.
"""

from __future__ import annotations

import numba
from numba import njit
from spead2.numba import intp_to_voidptr

from receive.stream.atomics import fence
from receive.stream.state import (
    ABANDONED,
    ENTRIES,
    EPOCHS,
    REPEATED_START_MS,
    STREAM_DTYPE,
    EntryState,
)

# numba takes enum members of module level as constants only when they are plain integers.
_BUSY, _LIVE = int(EntryState.BUSY), int(EntryState.LIVE)


@njit(nogil=True)
def is_repeated_start(shared, stream, heap_count):
    """Return whether a start heap is one that the network repeated, or delayed behind data."""
    if stream[0].reconnected or stream[0].ended:
        return False
    if shared[0].now_ms - stream[0].epoch_begun_ms > REPEATED_START_MS:
        return False
    if stream[0].starts == 0:  # What was overtaken was counted before what overtook it.
        return heap_count < stream[0].first_count
    return stream[0].start_count == heap_count


@njit(nogil=True)
def has_live(shared, state, epochs, epoch):
    """Return whether a dump of an epoch has begun and was not handed on."""
    for n in range(shared[0].tail, shared[0].head):
        slot = n % ENTRIES
        while state[slot] == _BUSY:
            fence()
        if state[slot] == _LIVE and epochs[slot] == epoch:
            return True
    return False


@njit(nogil=True)
def have_ended(shared, epoch):
    """Return whether all streams that brought data in an epoch have ended it."""
    streams = numba.carray(intp_to_voidptr(shared[0].streams), shared[0].groups, dtype=STREAM_DTYPE)
    for other in range(shared[0].groups):
        of_it = streams[other].epoch == epoch and streams[other].data_in_epoch > 0
        if of_it and not streams[other].ended:
            return False
    return True


@njit(nogil=True)
def past_missed(shared, state, epochs, epoch):
    """Return the epoch to go on in for a stream that has brought no data in `epoch`.

    Epochs that others have left, and of which nothing waits for this stream, it has missed: its
    link was down, and a start that comes now is that of a newer one.
    """
    while epoch < shared[0].epoch and (
        epoch <= shared[0].epoch - EPOCHS or not has_live(shared, state, epochs, epoch)
    ):
        epoch += 1
    return epoch


@njit(nogil=True)
def begun_epoch(shared, stream, state, epochs, newest):
    """Return the epoch that a start heap begins on a stream."""
    began = stream[0].data_in_epoch > 0
    epoch = past_missed(shared, state, epochs, stream[0].epoch + began)
    if (
        began
        and epoch == shared[0].epoch
        and newest[epoch % EPOCHS] > 0
        and have_ended(shared, epoch)
        and not has_live(shared, state, epochs, epoch)
    ):
        # It has missed that one, too, and is the first to bring the next.
        epoch += 1
    return epoch


@njit(nogil=True)
def enter_epoch(shared, stream, epoch, state, block, seen, present, owner):
    """Move a stream to an epoch.

    A heap that is not whole by now is abandoned: a new sender may count its heaps as the old one
    did, and spead2 would complete the old heap with packets of the new one.
    """
    for n in range(shared[0].tail, shared[0].head):
        slot = n % ENTRIES
        if state[slot] != _LIVE:
            continue
        for group in range(seen.shape[1]):
            if (
                seen[slot, group]
                and owner[block[slot], group] == stream[0].index
                and not present[block[slot], group]
            ):
                seen[slot, group] = ABANDONED
    stream[0].epoch = epoch
    stream[0].ended = 0
    stream[0].starts = 0
    stream[0].data_in_epoch = 0
    stream[0].newest_ticks = 0
    stream[0].went_back = 0
    stream[0].channel_id = -1
    stream[0].baseline_count = -1
    stream[0].epoch_begun_ms = shared[0].now_ms
