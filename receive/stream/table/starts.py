"""Start heaps of a stream: what they say, and which of them the sender's data follow.

A start that comes after data may be anybody's.  It is *pending*: what it says is kept beside what
the stream goes by, until data come that follow it.
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
    """Return whether a heap's count may be the next after another, a few lost between them."""
    return 0 < count - last <= NEAR_HEAPS * max(step, 1)


@njit(nogil=True)
def was_overtaken(last, newest, step, count, ticks):
    """Return whether a heap may be one that others of its stream, sent later, have overtaken.

    ``last`` and ``newest`` are their count and their time.
    """
    return 0 < last - count <= NEAR_HEAPS * max(step, 1) and ticks < newest


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
def keep_items(stream, hardware_id, polarisation_id, phase_bin_id, phase_bin_count):
    """Keep small items for the payload; -1 for what did not come."""
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
    """Let a start heap say what the heaps of data behind it hold."""
    stream[0].starts += 1
    stream[0].start_count = count
    if channel_id >= 0:
        stream[0].channel_id = channel_id
    if baselines >= 0:
        stream[0].baseline_count = baselines


@njit(nogil=True)
def take_pending(shared, stream, epoch):
    """Let the pending start begin an epoch, and say what the heaps of data behind it hold."""
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
    """Take over what a start heap says, or keep it until data show whether it begins anything.

    ``alone`` is whether nothing is believed of the epoch that the stream is in.  Return the control
    row for its payload, -1 if that is of no use.
    """
    began = stream[0].data_in_epoch > 0
    # Over a connection the last one counts: the one before may have been of another connection.
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
    # In an epoch that may be somebody else's, counts that follow prove nothing.
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
