"""Constants, codes and record types of what the network threads and the collector share."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from receive.stream.table.layout import CONTROL_BYTES, HEAD_ROOM_BYTES

ENTRIES = 8192
"""Slots of the table: twice the largest pool, so that heaps of closed dumps are still known."""
EPOCHS = 32
"""Starts of the sender that are told apart at one time."""
MAX_UNSETTLED = 12
"""Starts that may be open before the first of them is believed.

Well below half of `EPOCHS`: whoever opens one clears what is half a round away."""
MAX_TENTATIVE = 4
"""Buffers that heaps of unbelieved timestamps may take."""
NEAR_HEAPS = 16
"""So many heaps may be lost of a stream, and the count of the next still follows the last one's."""
LIVE_HEAPS = 16
"""Heaps that a stream may have in the air; spead2 gives up the oldest for a new one.

Duplicates and rejected heaps take such places too, so it is well above the two or three heaps
that networks really interleave."""


class EntryState(IntEnum):
    """Life of an entry, in order."""

    EMPTY = 0
    OPEN = 1
    BUSY = 2
    LIVE = 3
    CLOSED = 4


class Belief(IntEnum):
    """Whether an entry's timestamp is believed."""

    BELIEVED = 0
    TENTATIVE = 1
    """Far from the newest: discarded unless others agree."""
    PROBATION = 2
    """Before anything in its epoch is believed, or in an epoch that is not believed itself: held
    back until another one agrees, or the end shows that there is no other."""
    JUMPED = 3
    """Far from the newest, with a heap count that follows the last one of its stream: discarded
    unless others agree, of which there may be many."""
    MOVED = 4
    """The same, where count and time go on from those of a heap that came from so far."""


class Reason(IntEnum):
    """Why a heap was not placed; columns of the counters."""

    LATE = 0
    DUPLICATE = 1
    NO_BUFFER = 2
    SIZE = 3
    ITEMS = 4
    BASELINES = 5
    CHANNEL = 6
    BAD_TIME = 7
    UNPLACEABLE = 8


REASON_TEXT = {
    Reason.LATE: "late",
    Reason.DUPLICATE: "duplicate",
    Reason.NO_BUFFER: "no-buffer",
    Reason.SIZE: "size",
    Reason.ITEMS: "items",
    Reason.BASELINES: "baselines",
    Reason.CHANNEL: "channel",
    Reason.BAD_TIME: "bad-time",
    Reason.UNPLACEABLE: "unplaceable",
}

MALFORMED = (
    Reason.SIZE,
    Reason.ITEMS,
    Reason.BASELINES,
    Reason.CHANNEL,
    Reason.BAD_TIME,
    Reason.UNPLACEABLE,
)


MOST_AHEAD = EPOCHS // 2 - 2
"""Over a connection, the number of starts not yet handed on at which a new start waits."""
PENDING_ROWS = 16
"""Pending starts of a stream of which the collector may not have read the scan id yet."""
CONTROL_ROWS = EPOCHS + PENDING_ROWS
"""Rows for the payloads of start heaps: the first of an epoch, and those that were pending."""
REPEATED_START_MS = 500
"""A start heap that the network repeats or delays comes so soon after the first heap.

No sender starts, dies and starts again as quickly."""
ABANDONED = 2
"""Value of `seen` for a heap whose sender began again before it was whole."""
PUT_BACK = 3
"""The same for one that went into a start that was none, and is now where it belongs."""
BY_END_HEAP, BROKEN = 1, 2
"""Values of `ended`: the stream brought its end, or its connection ended without one."""

POINTERS = (
    "entry_state",
    "entry_time",
    "entry_epoch",
    "entry_block",
    "entry_rank",
    "entry_belief",
    "entry_model",
    "opened",
    "settled",
    "free_top",
    "free_below",
    "seen",
    "present",
    "owner",
    "begun_at",
    "scan_offset",
    "group_latest",
    "group_data_bytes",
    "newest",
    "horizon",
    "dropped_until",
    "start_epoch",
    "left",
    "model_time",
    "model_tolerance",
    "refused",
    "streams",
)

SHARED_DTYPE = np.dtype(
    [(name, np.intp) for name in POINTERS]
    + [
        ("taken", np.int64),
        ("head", np.int64),
        ("tail", np.int64),
        # Entries whose time was doubtful when they were claimed, and how many of them were judged.
        ("doubted", np.int64),
        # Entries that were not: what may be somebody else's moves no window on.
        ("ranked", np.int64),
        ("judged", np.int64),
        ("model_count", np.int64),
        ("pool", np.int64),
        ("groups", np.int64),
        ("baselines", np.int64),
        ("channels_per_stream", np.int64),
        ("first_channel_id", np.int64),
        ("slot_bytes", np.int64),
        ("dump_bytes", np.int64),
        ("interval_ticks", np.int64),
        ("span_ticks", np.int64),
        ("now_ms", np.int64),
        # Starts and ends come from whoever sends the data: over a connection.
        ("trusted", np.int64),
        ("reject_unknown", np.int64),
        ("backpressure", np.int64),
        ("stopping", np.int64),
        # The oldest start of the sender of which something waits to be handed on.
        ("oldest_epoch", np.int64),
    ],
    align=True,
)


_INLINED = (
    "atomics.py",
    "entries.py",
    "epochs.py",
    "far_times.py",
    "free_buffers.py",
    "items.py",
    "model_times.py",
    "starts.py",
)


def compiled_for() -> str:
    """Return a digest of all that the compiled placement function takes from other modules.

    numba keeps what it compiled until the function's own file changes, and looks no further.
    """
    constants = (
        [(name, str(dtype), offset) for name, (dtype, offset) in _fields(SHARED_DTYPE)],
        (ENTRIES, EPOCHS, MAX_UNSETTLED, MAX_TENTATIVE, NEAR_HEAPS, MOST_AHEAD),
        (PENDING_ROWS, REPEATED_START_MS, ABANDONED, BY_END_HEAP),
        [[(member.name, member.value) for member in kind] for kind in (EntryState, Belief, Reason)],
        (CONTROL_BYTES, HEAD_ROOM_BYTES),
        [Path(__file__).with_name(name).read_bytes() for name in _INLINED],
    )
    return hashlib.sha256(repr(constants).encode()).hexdigest()[:16]


def _fields(dtype: np.dtype[Any]) -> list[tuple[str, Any]]:
    return [(name, dtype.fields[name][:2]) for name in dtype.names or () if dtype.fields]


STREAM_DTYPE = np.dtype(
    [
        # Never used: it makes the compiled function's type depend on what it was compiled for.
        (f"for_{compiled_for()}", np.int8),
        ("shared", np.intp),
        ("index", np.int64),
        ("begun", np.int64),
        # Where the stream is: the start of the sender, and what it has brought of it.
        ("epoch", np.int64),
        ("data_in_epoch", np.int64),
        ("starts", np.int64),
        ("start_count", np.int64),
        # Of the first data heap, where no start heap came before it.
        ("first_count", np.int64),
        ("epoch_begun_ms", np.int64),
        # Of the last heap that was placed regularly: its count, and by how much that had grown.
        ("last_count", np.int64),
        ("step", np.int64),
        # How many counts in turn have followed the last one.
        ("regular", np.int64),
        # The latest time that such a heap brought in this epoch.
        ("newest_ticks", np.uint64),
        # Of heaps far from the newest time, those that go on from each other: the last one,
        # whether the first one's count followed the stream's, how many times have followed the
        # first, and how many heaps have come since that do not go on from them.
        ("far_count", np.int64),
        ("far_ticks", np.uint64),
        ("far_follows", np.int64),
        ("far_run", np.int64),
        ("far_misses", np.int64),
        # The last one before what the stream had brought, and how many have followed that by an
        # interval.
        ("back_ticks", np.uint64),
        ("back_run", np.int64),
        # The end of the stream, and whether its count follows those of the heaps before, or of
        # those far away; how many ends and starts were none, since data followed.
        ("ended", np.int64),
        ("stop_count", np.int64),
        ("stop_follows", np.int64),
        ("stop_follows_far", np.int64),
        ("stops_undone", np.int64),
        ("starts_undone", np.int64),
        ("reconnected", np.int64),
        # A start that came after data: it begins nothing before data of its own come.
        ("pending", np.int64),
        ("pending_count", np.int64),
        ("pending_follows", np.int64),
        ("pending_ms", np.int64),
        # Whether an end has come since that is its own: it has overtaken the data.
        ("pending_stop", np.int64),
        ("pending_channel_id", np.int64),
        ("pending_baselines", np.int64),
        ("pending_hardware_id", np.int64),
        ("pending_polarisation_id", np.int64),
        ("pending_phase_bin_id", np.int64),
        ("pending_phase_bin_count", np.int64),
        # Whether counts say that the sender itself has begun this epoch; how many pending starts
        # have begun one.
        ("chained", np.int64),
        ("adoptions", np.int64),
        # Where the stream was in the last epoch that is believed, to which it may have to return.
        ("back_epoch", np.int64),
        ("back_data", np.int64),
        ("back_starts", np.int64),
        ("back_start_count", np.int64),
        ("back_count", np.int64),
        ("back_step", np.int64),
        ("back_regular", np.int64),
        ("back_newest_ticks", np.uint64),
        ("back_channel_id", np.int64),
        ("back_baselines", np.int64),
        # Small items that go into the payload; -1 until one came.
        ("hardware_id", np.int64),
        ("polarisation_id", np.int64),
        ("phase_bin_id", np.int64),
        ("phase_bin_count", np.int64),
        # From the start heap: what the data heaps hold that do not say so themselves; else -1.
        ("channel_id", np.int64),
        ("baseline_count", np.int64),
        # Of the last heap that was refused for it: what it had instead.
        ("refused_bytes", np.int64),
        ("refused_channel_id", np.int64),
        ("refused_baselines", np.int64),
    ],
    align=True,
)
