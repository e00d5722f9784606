"""Constants, codes and record types shared by the network threads and the collector."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from receive.stream.table.layout import CONTROL_BYTES, HEAD_ROOM_BYTES

ENTRIES = 8192
"""Slots of the table: twice the largest pool, so that recently closed dumps stay in it."""
EPOCHS = 32
"""Number of epochs that can be told apart at a time."""
MAX_UNSETTLED = 12
"""Epochs that may be open after the last settled one.

Well below half of `EPOCHS`, since opening an epoch clears the row half the table ahead."""
MAX_TENTATIVE = 4
"""Buffers that entries with unbelieved timestamps may use."""
NEAR_HEAPS = 16
"""Largest step between two heap counts, in units of the usual step, that still counts as next."""
LIVE_HEAPS = 16
"""Incomplete heaps per stream (spead2's ``max_heaps``); spead2 drops the oldest for a new one.

Duplicates and rejected heaps count too, so it is well above the two or three heaps that networks
really interleave."""


class EntryState(IntEnum):
    """States of an entry, in order (diagram: `receive.stream.dumps.window`)."""

    EMPTY = 0
    OPEN = 1
    BUSY = 2
    LIVE = 3
    CLOSED = 4


class Belief(IntEnum):
    """Whether an entry's timestamp is believed."""

    BELIEVED = 0
    TENTATIVE = 1
    """Far from the newest timestamp: discarded unless other entries agree."""
    PROBATION = 2
    """No timestamp of its epoch is believed yet, or the epoch is not settled: held back until
    another entry agrees, or until the end of the streams shows that there is no other."""
    JUMPED = 3
    """Far from the newest timestamp, but with a heap count that follows the last one of its stream:
    discarded unless other entries agree; may use up to half of the pool."""
    MOVED = 4
    """As `JUMPED`, but its count and timestamp continue those of an earlier far heap."""


class Reason(IntEnum):
    """Why a heap was refused; columns of the counters."""

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
"""Over TCP, a new epoch waits until it is at most this many after the oldest not handed on."""
PENDING_ROWS = 16
"""Pending starts of a stream whose scan id the collector may not have read yet."""
CONTROL_ROWS = EPOCHS + PENDING_ROWS
"""Rows for the payloads of start heaps: one per epoch, and one per pending start."""
REPEATED_START_MS = 500
"""A start heap this soon after the start of its epoch is a duplicate or delayed by the network.

No sender restarts as quickly."""
ABANDONED = 2
"""Value of `seen` for a heap that was incomplete when its sender restarted."""
PUT_BACK = 3
"""Value of `seen` for a heap moved from the epoch of a false start to the one it belongs to."""
BY_END_HEAP, BROKEN = 1, 2
"""Values of `ended`: an end heap came, or the connection ended without one."""

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
        # `doubted`: entries claimed with an unbelieved timestamp; `judged`: those decided since.
        # `ranked`: all other entries (over TCP all), which move the window on.
        ("doubted", np.int64),
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
        # True over TCP: start and end heaps come from the sender of the data.
        ("trusted", np.int64),
        ("reject_unknown", np.int64),
        ("backpressure", np.int64),
        ("stopping", np.int64),
        # The oldest epoch with a dump not handed on.
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
    """Return a digest of everything that `place` is compiled from in other modules.

    numba's cache notices changes of the function's own file only.
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
        # Never used: makes the signature of `place` depend on the digest.
        (f"for_{compiled_for()}", np.int8),
        ("shared", np.intp),
        ("index", np.int64),
        ("begun", np.int64),
        # Epoch of the stream; data heaps and start heaps in it; heap count of the last start.
        ("epoch", np.int64),
        ("data_in_epoch", np.int64),
        ("starts", np.int64),
        ("start_count", np.int64),
        # Heap count of the first data heap, if no start heap came before it.
        ("first_count", np.int64),
        ("epoch_begun_ms", np.int64),
        # Heap count of the last regular heap, and its step from the one before.
        ("last_count", np.int64),
        ("step", np.int64),
        # Consecutive heap counts so far, at most 3.
        ("regular", np.int64),
        # Latest timestamp of a regular heap in this epoch.
        ("newest_ticks", np.uint64),
        # Run of heaps far from the newest timestamp that continue each other: count and timestamp
        # of the last, whether the first followed the stream's count, length of the run, and far
        # heaps since that do not continue it.
        ("far_count", np.int64),
        ("far_ticks", np.uint64),
        ("far_follows", np.int64),
        ("far_run", np.int64),
        ("far_misses", np.int64),
        # Run of heaps older than the stream's newest: last timestamp, and length of the run.
        ("back_ticks", np.uint64),
        ("back_run", np.int64),
        # End of the stream; count of the end heap, and whether it follows the regular heaps or the
        # far ones; ends and starts that proved false.
        ("ended", np.int64),
        ("stop_count", np.int64),
        ("stop_follows", np.int64),
        ("stop_follows_far", np.int64),
        ("stops_undone", np.int64),
        ("starts_undone", np.int64),
        ("reconnected", np.int64),
        # Pending start: a start heap after data, not applied before a data heap follows it.
        ("pending", np.int64),
        ("pending_count", np.int64),
        ("pending_follows", np.int64),
        ("pending_ms", np.int64),
        # Whether the end heap of the pending start has come, ahead of its data.
        ("pending_stop", np.int64),
        ("pending_channel_id", np.int64),
        ("pending_baselines", np.int64),
        ("pending_hardware_id", np.int64),
        ("pending_polarisation_id", np.int64),
        ("pending_phase_bin_id", np.int64),
        ("pending_phase_bin_count", np.int64),
        # Whether heap counts show that the stream's own sender began this epoch; pending starts
        # applied so far.
        ("chained", np.int64),
        ("adoptions", np.int64),
        # State of the stream in its last settled epoch, restored by `return_to_settled`.
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
        # Small items for the payload; -1 if never received.
        ("hardware_id", np.int64),
        ("polarisation_id", np.int64),
        ("phase_bin_id", np.int64),
        ("phase_bin_count", np.int64),
        # Items of the start heap, for data heaps that lack them; -1 if absent.
        ("channel_id", np.int64),
        ("baseline_count", np.int64),
        # What the last heap refused for size, channel or baselines had.
        ("refused_bytes", np.int64),
        ("refused_channel_id", np.int64),
        ("refused_baselines", np.int64),
    ],
    align=True,
)
