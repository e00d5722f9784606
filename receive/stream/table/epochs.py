"""Starts of the sender: which one a stream is in, for the compiled placement function.

Each stream counts its own, since one may be far behind the others: what of it waits in the kernel
can be older than a start that another stream has brought already.

Over a connection all that comes is of one sender.  A datagram may be of anybody: there a start
begins nothing before data follow it, and what then begins is *settled*, handed on and final, only
when nothing has come of the scan before for a while.  Until then a stream returns to where it was
as soon as a heap comes that goes on there.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit
from spead2.numba import intp_to_voidptr

from receive.stream.table.atomics import compare_and_swap, fence, raise_to, wait_a_moment
from receive.stream.table.far_times import follows_time, forget_far
from receive.stream.table.shared_types import (
    ABANDONED,
    BY_END_HEAP,
    ENTRIES,
    EPOCHS,
    MAX_UNSETTLED,
    MOST_AHEAD,
    STREAM_DTYPE,
    EntryState,
)
from receive.stream.table.starts import follows_count, take_pending, take_start, was_overtaken

# numba takes enum members of module level as constants only when they are plain integers.
_BUSY, _LIVE = int(EntryState.BUSY), int(EntryState.LIVE)


@njit(nogil=True)
def counts_tell(stream):
    """Return whether the counts of a stream's heaps have followed each other so far."""
    return stream[0].regular > 0 or stream[0].data_in_epoch == 1


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
def was_left(shared, epoch, begun):
    """Return whether all streams that brought data in an epoch seem to have ended it.

    ``begun`` is whether any has, though it may be elsewhere by now.
    """
    streams = numba.carray(intp_to_voidptr(shared[0].streams), shared[0].groups, dtype=STREAM_DTYPE)
    for other in range(shared[0].groups):
        if streams[other].epoch == epoch and streams[other].data_in_epoch > 0:
            begun = True
            if not streams[other].ended and not streams[other].pending:
                return False
    return begun


@njit(nogil=True)
def wait_to_leave(shared, stream, epoch):
    """Return whether others wait to leave an epoch by the same start that a stream has brought.

    The stream has brought nothing else of that epoch: alone that does not say that it missed it.
    """
    if not (stream[0].pending or stream[0].starts):
        return False
    count = stream[0].pending_count if stream[0].pending else stream[0].start_count
    streams = numba.carray(intp_to_voidptr(shared[0].streams), shared[0].groups, dtype=STREAM_DTYPE)
    waits = False
    for other in range(shared[0].groups):
        if streams[other].epoch == epoch and streams[other].data_in_epoch > 0:
            if not streams[other].pending and not streams[other].ended:
                return False
            waits |= streams[other].pending and streams[other].pending_count == count
    return waits


@njit(nogil=True)
def was_begun_with(shared, stream, epoch):
    """Return whether others have begun an epoch with the start that waits on a stream.

    What the stream has brought of it before is somebody else's.
    """
    count = stream[0].pending_count
    if count <= stream[0].last_count:
        return False
    streams = numba.carray(intp_to_voidptr(shared[0].streams), shared[0].groups, dtype=STREAM_DTYPE)
    for other in range(shared[0].groups):
        if (
            streams[other].epoch == epoch
            and streams[other].starts > 0
            and streams[other].start_count == count
        ):
            return True
    return False


@njit(nogil=True)
def past_missed(shared, opened, state, epochs, epoch):
    """Return the epoch to go on in for a stream that has brought no data in `epoch`.

    Epochs that others have left, and of which nothing waits for this stream, it has missed: its
    link was down, and a start that comes now is that of a newer one.
    """
    while epoch < opened[0] and (
        epoch <= opened[0] - EPOCHS or not has_live(shared, state, epochs, epoch)
    ):
        epoch += 1
    return epoch


@njit(nogil=True)
def is_undecided(settled, epoch, newest):
    """Return whether nothing is believed of an epoch that is: the next start begins it anew."""
    return epoch <= settled[0] and newest[epoch % EPOCHS] == 0


@njit(nogil=True)
def begun_epoch(shared, opened, settled, stream, state, epochs, newest):
    """Return the epoch that the data behind a start begin on a stream."""
    epoch = past_missed(shared, opened, state, epochs, stream[0].epoch + 1)
    if (
        epoch == opened[0]
        and not is_undecided(settled, epoch, newest)
        and was_left(shared, epoch, newest[epoch % EPOCHS] > 0)
        and not has_live(shared, state, epochs, epoch)
    ):
        # It has missed that one, too, and is the first to bring the next.
        epoch += 1
    return epoch


@njit(nogil=True)
def open_epoch(opened, epoch, newest, horizon, dropped_until):
    """Open an epoch, the next after the newest, if no other thread has done so."""
    if compare_and_swap(opened, 0, epoch - 1, epoch):
        row = (epoch + EPOCHS // 2) % EPOCHS
        newest[row] = 0
        horizon[row] = 0
        dropped_until[row] = 0


@njit(nogil=True)
def may_open(settled, opened, epoch):
    """Return whether an epoch may be opened before those before it are settled."""
    return epoch <= opened[0] or epoch - settled[0] <= MAX_UNSETTLED


@njit(nogil=True)
def wait_for_room(shared, epoch):
    """Wait until an epoch can be told apart from those that are not handed on yet.

    Return whether it can: not if receiving stops meanwhile.
    """
    fence()
    while epoch - shared[0].oldest_epoch > MOST_AHEAD:
        if shared[0].stopping:
            return False
        wait_a_moment()
        fence()
    return True


@njit(nogil=True)
def enter_epoch(shared, stream, settled, epoch, state, block, seen, present, owner):
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
    if stream[0].data_in_epoch > 0:
        left = numba.carray(
            intp_to_voidptr(shared[0].left), (EPOCHS, shared[0].groups), dtype=np.int64
        )
        ended = stream[0].ended == BY_END_HEAP
        left[stream[0].epoch % EPOCHS, stream[0].index] = 2 * stream[0].epoch + ended
    if stream[0].epoch <= settled[0]:
        stream[0].back_epoch = stream[0].epoch
        stream[0].back_data = stream[0].data_in_epoch
        stream[0].back_starts = stream[0].starts
        stream[0].back_start_count = stream[0].start_count
        stream[0].back_count = stream[0].last_count
        stream[0].back_step = stream[0].step
        stream[0].back_regular = stream[0].regular
        stream[0].back_newest_ticks = stream[0].newest_ticks
        stream[0].back_channel_id = stream[0].channel_id
        stream[0].back_baselines = stream[0].baseline_count
    stream[0].epoch = epoch
    stream[0].ended = 0
    stream[0].stop_follows = 0
    stream[0].starts = 0
    stream[0].data_in_epoch = 0
    stream[0].newest_ticks = 0
    forget_far(stream)
    stream[0].regular = 0
    stream[0].channel_id = -1
    stream[0].baseline_count = -1
    stream[0].epoch_begun_ms = shared[0].now_ms


@njit(nogil=True)
def enter_with_start(shared, stream, settled, epoch, state, block, seen, present, owner):
    """Move a stream that has brought its start, and nothing else, to the epoch that it begins."""
    starts, count = stream[0].starts, stream[0].start_count
    channel_id, baselines = stream[0].channel_id, stream[0].baseline_count
    enter_epoch(shared, stream, settled, epoch, state, block, seen, present, owner)
    stream[0].chained = 0
    if starts:
        take_start(stream, count, channel_id, baselines)
        stream[0].last_count = count


@njit(nogil=True)
def goes_back(stream, count, ticks, interval, fits):
    """Return whether a heap goes on where a stream was before the start that moved it.

    Parameters
    ----------
    fits
        Whether the heap has a place there.
    """
    if not fits:
        return False
    here = follows_count(stream[0].last_count, stream[0].step, count)
    last, step = stream[0].back_count, stream[0].back_step
    there = follows_count(last, step, count) or was_overtaken(
        last, stream[0].back_newest_ticks, step, count, ticks
    )
    last = stream[0].newest_ticks
    if here and there and last == 0:
        return not stream[0].chained
    if here and there:
        # The times decide: those of a scan go on by an interval.
        return not follows_time(stream[0].last_count, last, stream[0].step, count, ticks, interval)
    if stream[0].data_in_epoch == 0 and stream[0].chained:
        return there
    return there or (stream[0].back_regular == 0 and not here)


@njit(nogil=True)
def return_to_settled(shared, stream, state, epochs, block, seen, present, owner):
    """Move a stream back to the epoch that goes on, as if no start had come."""
    for n in range(shared[0].tail, shared[0].head):
        slot = n % ENTRIES
        if state[slot] != _LIVE or epochs[slot] != stream[0].back_epoch:
            continue
        for group in range(seen.shape[1]):
            abandoned = seen[slot, group] == ABANDONED
            if abandoned and owner[block[slot], group] == stream[0].index:
                seen[slot, group] = 1
    stream[0].epoch = stream[0].back_epoch
    stream[0].data_in_epoch = stream[0].back_data
    stream[0].starts = stream[0].back_starts
    stream[0].start_count = stream[0].back_start_count
    stream[0].last_count = stream[0].back_count
    stream[0].step = stream[0].back_step
    stream[0].regular = stream[0].back_regular
    stream[0].newest_ticks = stream[0].back_newest_ticks
    stream[0].channel_id = stream[0].back_channel_id
    stream[0].baseline_count = stream[0].back_baselines
    stream[0].ended = 0
    stream[0].pending = 0
    stream[0].chained = 0
    forget_far(stream)
    stream[0].starts_undone += 1


@njit(nogil=True)
def begin_pending(shared, stream, epoch):
    """Let the pending start begin the epoch that a stream has just entered."""
    stream[0].chained = stream[0].pending_follows
    if stream[0].pending_stop:
        stream[0].ended = BY_END_HEAP
        stream[0].stop_follows = 1
        stream[0].pending_stop = 0
    if stream[0].pending_count >= 0:
        take_pending(shared, stream, epoch)
    stream[0].pending = 0


@njit(nogil=True, cache=True)
def begin_epoch(opened, settled, epoch, newest, horizon, dropped_until):
    """Open an epoch that is believed at once."""
    open_epoch(opened, epoch, newest, horizon, dropped_until)
    raise_to(settled, 0, epoch)


@njit(nogil=True, cache=True)
def raise_from_python(array, index, value):
    """Set ``array[index]`` to a value if that is larger, whatever other threads do."""
    raise_to(array, index, value)
