"""Start heaps of a stream: their items, and which of them the sender's data follow.

A start heap after data may be of any sender.  It is *pending*: its items are stored apart from
those in use until a data heap follows it.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit
from spead2.numba import intp_to_voidptr

from receive.stream.table.shared_types import (
    EPOCHS,
    NEAR_HEAPS,
    PENDING_ROWS,
    REPEATED_START_MS,
)


@njit(nogil=True)
def follows_count(last, step, count):
    """Return whether `count` is 1 to `NEAR_HEAPS` steps after `last`: heaps may be lost between."""
    return 0 < count - last <= NEAR_HEAPS * max(step, 1)


@njit(nogil=True)
def was_overtaken(last, newest, step, count, ticks):
    """Return whether a heap was reordered: sent shortly before one already received on its stream.

    ``last`` and ``newest`` are the latest count and timestamp received.
    """
    return 0 < last - count <= NEAR_HEAPS * max(step, 1) and ticks < newest


@njit(nogil=True)
def note_regular(stream, count, ticks, follows):
    """Record the heap count and timestamp of a data heap that continues its stream.

    ``follows`` is whether the count follows the last one.  A reordered heap changes no count.
    """
    last, newest = stream[0].last_count, stream[0].newest_ticks
    if not was_overtaken(last, newest, stream[0].step, count, ticks):
        stream[0].regular = min(stream[0].regular + 1, 3) if follows else 0
        stream[0].step = count - last if follows else 1
        stream[0].last_count = count
    stream[0].newest_ticks = max(newest, ticks)


@njit(nogil=True)
def is_repeated_start(shared, stream, heap_count):
    """Return whether the network duplicated a start heap, or delayed it behind its data."""
    if stream[0].reconnected or stream[0].ended:
        return False
    if shared[0].now_ms - stream[0].epoch_begun_ms > REPEATED_START_MS:
        return False
    if stream[0].starts == 0:  # A delayed start has a lower count than its data.
        return heap_count < stream[0].first_count
    return stream[0].start_count == heap_count


@njit(nogil=True)
def keep_items(stream, hardware_id, polarisation_id, phase_bin_id, phase_bin_count):
    """Keep small items for the payload; -1 means absent."""
    if hardware_id >= 0:
        stream[0].hardware_id = hardware_id
    if polarisation_id >= 0:
        stream[0].polarisation_id = polarisation_id
    if phase_bin_id >= 0:
        stream[0].phase_bin_id = phase_bin_id
    if phase_bin_count >= 0:
        stream[0].phase_bin_count = phase_bin_count


@njit(nogil=True)
def take_start(stream, count, channel_id, baselines):
    """Use the items of a start heap for the data heaps after it."""
    stream[0].starts += 1
    stream[0].start_count = count
    if channel_id >= 0:
        stream[0].channel_id = channel_id
    if baselines >= 0:
        stream[0].baseline_count = baselines


@njit(nogil=True)
def take_pending(shared, stream, epoch):
    """Begin an epoch with the pending start, and use its items for the data heaps after it."""
    start_epoch = numba.carray(
        intp_to_voidptr(shared[0].start_epoch), (PENDING_ROWS, shared[0].groups), dtype=np.int64
    )
    start_epoch[(stream[0].adoptions + 1) % PENDING_ROWS, stream[0].index] = -1
    start_epoch[stream[0].adoptions % PENDING_ROWS, stream[0].index] = epoch
    stream[0].adoptions += 1
    stream[0].last_count = stream[0].pending_count
    take_start(
        stream,
        stream[0].pending_count,
        stream[0].pending_channel_id,
        stream[0].pending_baselines,
    )
    keep_items(
        stream,
        stream[0].pending_hardware_id,
        stream[0].pending_polarisation_id,
        stream[0].pending_phase_bin_id,
        stream[0].pending_phase_bin_count,
    )


@njit(nogil=True)
def note_start(
    shared,
    stream,
    settled,
    alone,
    count,
    channel_id,
    baselines,
    hardware_id,
    polarisation_id,
    phase_bin_id,
    phase_bin_count,
):
    """Use the items of a start heap, or store them as the pending start.

    ``alone`` is whether the stream's epoch has no believed timestamp.  Return the control row for
    the payload of the heap, -1 if the heap is ignored.
    """
    began = stream[0].data_in_epoch > 0
    # Over TCP the last start counts: the one before may be of an earlier connection.
    own = alone and (stream[0].starts == 0 or shared[0].trusted)
    if is_repeated_start(shared, stream, count) if began else own:
        take_start(stream, count, channel_id, baselines)
        keep_items(stream, hardware_id, polarisation_id, phase_bin_id, phase_bin_count)
        if not began:
            stream[0].epoch_begun_ms = shared[0].now_ms
        return stream[0].epoch % EPOCHS
    last = stream[0].last_count
    if stream[0].ended and stream[0].stop_follows:
        last = max(last, stream[0].stop_count)
    # In an epoch that may be another sender's, consecutive counts prove nothing.
    known = stream[0].epoch <= settled[0] or stream[0].chained
    follows = began and known and follows_count(last, stream[0].step, count)
    now_ms = shared[0].now_ms
    if (
        stream[0].pending
        and stream[0].pending_follows
        and not follows
        and now_ms - stream[0].pending_ms <= REPEATED_START_MS
    ):
        return np.int64(-1)
    stream[0].pending = 1
    stream[0].pending_count = count
    stream[0].pending_follows = follows
    stream[0].pending_ms = now_ms
    stream[0].pending_stop = 0
    stream[0].pending_channel_id = channel_id
    stream[0].pending_baselines = baselines
    stream[0].pending_hardware_id = hardware_id
    stream[0].pending_polarisation_id = polarisation_id
    stream[0].pending_phase_bin_id = phase_bin_id
    stream[0].pending_phase_bin_count = phase_bin_count
    return np.int64(EPOCHS + stream[0].adoptions % PENDING_ROWS)
