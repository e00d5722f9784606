"""Epochs, each one start of the sender: which epoch a stream is in.  Compiled into `placement`.

Each stream has its own epoch, since streams drift apart: heaps of one stream that wait in the
kernel can be older than the start heap of another.

A connection has one sender, so its start heaps are final.  Datagrams may have any sender.  There a
start heap opens an epoch only when data follow it, and the epoch is *settled* (final, its dumps are
handed on) only after the previous scan has been silent for a while.  Until then a heap that
continues the previous epoch takes its stream back there.
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
    """Return whether the heap counts of a stream have been consecutive so far."""
    return stream[0].regular > 0 or stream[0].data_in_epoch == 1


@njit(nogil=True)
def has_live(shared, state, epochs, epoch):
    """Return whether an epoch has a live entry: a dump that has begun and was not handed on."""
    for n in range(shared[0].tail, shared[0].head):
        slot = n % ENTRIES
        while state[slot] == _BUSY:
            fence()
        if state[slot] == _LIVE and epochs[slot] == epoch:
            return True
    return False


@njit(nogil=True)
def was_left(shared, epoch, begun):
    """Return whether every stream with data in an epoch has an end or a pending start.

    ``begun`` is whether any stream had data in it, including streams in another epoch by now.
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
    """Return whether other streams are about to leave an epoch with the start of this stream.

    This stream has a start and no data in the epoch, which alone does not prove that it missed it.
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
    """Return whether another stream began an epoch with the pending start of this stream.

    Then this stream's earlier heaps in the epoch are of another sender.
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
    """Return the first epoch from `epoch` on that a stream without data there can still join.

    Epochs without a live entry are skipped: the stream missed them (its link was down), and its
    start is that of a newer one.
    """
    while epoch < opened[0] and (
        epoch <= opened[0] - EPOCHS or not has_live(shared, state, epochs, epoch)
    ):
        epoch += 1
    return epoch


@njit(nogil=True)
def is_undecided(settled, epoch, newest):
    """Return whether a settled epoch has no believed timestamp: the next start reuses the epoch."""
    return epoch <= settled[0] and newest[epoch % EPOCHS] == 0


@njit(nogil=True)
def begun_epoch(shared, opened, settled, stream, state, epochs, newest):
    """Return the epoch that a stream enters with the first data heap after a start heap."""
    epoch = past_missed(shared, opened, state, epochs, stream[0].epoch + 1)
    if (
        epoch == opened[0]
        and not is_undecided(settled, epoch, newest)
        and was_left(shared, epoch, newest[epoch % EPOCHS] > 0)
        and not has_live(shared, state, epochs, epoch)
    ):
        # The stream missed that epoch too, and is the first to begin the next.
        epoch += 1
    return epoch


@njit(nogil=True)
def open_epoch(opened, epoch, newest, horizon, dropped_until):
    """Open the epoch after the newest one, unless another thread has done so."""
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
    """Wait until an epoch is at most `MOST_AHEAD` after the oldest one not handed on.

    Return False if receiving stops first.
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

    The stream's incomplete heaps are abandoned: a restarted sender may reuse heap counts, and
    spead2 would complete an old heap with packets of a new one.
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
    """Move a stream that has a start heap and no data to the epoch which that start begins."""
    starts, count = stream[0].starts, stream[0].start_count
    channel_id, baselines = stream[0].channel_id, stream[0].baseline_count
    enter_epoch(shared, stream, settled, epoch, state, block, seen, present, owner)
    stream[0].chained = 0
    if starts:
        take_start(stream, count, channel_id, baselines)
        stream[0].last_count = count


@njit(nogil=True)
def goes_back(stream, count, ticks, interval, fits):
    """Return whether a heap continues the epoch in which its stream was before the last start.

    Parameters
    ----------
    fits
        Whether the heap has a place in that epoch (`entries.has_place`).
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
        # The counts fit both epochs; timestamps of one scan are an interval apart.
        return not follows_time(stream[0].last_count, last, stream[0].step, count, ticks, interval)
    if stream[0].data_in_epoch == 0 and stream[0].chained:
        return there
    return there or (stream[0].back_regular == 0 and not here)


@njit(nogil=True)
def return_to_settled(shared, stream, state, epochs, block, seen, present, owner):
    """Move a stream back to its last settled epoch, as if the start heap had not come."""
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
def note_stop(stream, count):
    """Record the end heap of a stream."""
    stream[0].stop_follows = follows_count(stream[0].last_count, stream[0].step, count)
    stream[0].stop_follows_far = follows_count(stream[0].far_count, stream[0].step, count)
    if stream[0].pending:
        stream[0].pending_stop = follows_count(stream[0].pending_count, 1, count)
    stream[0].stop_count = count
    stream[0].ended = BY_END_HEAP


@njit(nogil=True)
def stays_before_start(stream, count, ticks, fits):
    """Return whether a data heap belongs to the scan before the pending start of its stream.

    Discard the pending start if the heap shows that the old scan continues after it.  ``fits`` is
    whether the heap has a place in the stream's epoch.
    """
    if not counts_tell(stream):
        return fits
    last, step = stream[0].last_count, stream[0].step
    continues = follows_count(last, step, count) or was_overtaken(
        last, stream[0].newest_ticks, step, count, ticks
    )
    after_start = follows_count(stream[0].pending_count, step, count)
    if not fits or not continues or (stream[0].pending_follows and after_start):
        return False
    if not stream[0].pending_follows or count >= stream[0].pending_count:
        stream[0].pending = 0
        stream[0].starts_undone += 1
    return True


@njit(nogil=True)
def begin_pending(shared, stream, epoch):
    """Apply the pending start of a stream to the epoch that the stream has just entered."""
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
    """Open an epoch and settle it at once."""
    open_epoch(opened, epoch, newest, horizon, dropped_until)
    raise_to(settled, 0, epoch)


@njit(nogil=True, cache=True)
def raise_from_python(array, index, value):
    """Raise ``array[index]`` to a value, atomically."""
    raise_to(array, index, value)
