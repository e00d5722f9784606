"""What the network threads and the collector share.

The network threads run the compiled placement function (`placement`) without the GIL; the
collector (`window`) is one Python thread.  They share plain arrays, with one writer for each
field or an atomic claim (`atomics`), and never a lock.

The table of entries is a ring.  Entry number *n* (slot ``n % ENTRIES``) is one dump: the
collector opens it (``OPEN``), the first heap of a new timestamp claims it and takes a buffer for
it (``BUSY``, then ``LIVE``), the collector hands the dump on (``CLOSED``) and later forgets it
(``EMPTY``).  Entries are claimed strictly in turn, so a thread that looked at all entries up to
the head cannot miss that another thread has just claimed one for the same timestamp.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.stream.table.free_buffers import NONE
from receive.stream.table.layout import CONTROL_BYTES, HEAD_ROOM_BYTES, PoolSize, StreamLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

_POINTERS = (
    "entry_state",
    "entry_time",
    "entry_epoch",
    "entry_block",
    "entry_rank",
    "entry_belief",
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
    [(name, np.intp) for name in _POINTERS]
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


class SharedState:
    """Allocates the shared arrays and the pool of buffers.

    Parameters
    ----------
    layout
        Byte layout of a dump.
    pool_size
        Number of buffers and the window.
    model_time, model_tolerance
        Times of the model's integrations in ticks of 2^-32 s (sorted), and how far from each a
        timestamp may be and still belong to it, in ticks.
    interval_ticks
        The usual integration.
    span_ticks
        How far from the newest timestamp another is believed without further evidence.
    first_channel_id
        Channel id that the first channel of this receiver carries.
    reject_unknown
        Refuse timestamps that the model does not hold.
    backpressure
        Make the network threads wait for a buffer instead of dropping the heap.
    trusted
        Whatever comes on a stream is of one sender: the stream is a connection.
    """

    def __init__(
        self,
        layout: StreamLayout,
        pool_size: PoolSize,
        *,
        model_time: NDArray[np.uint64],
        model_tolerance: NDArray[np.int64],
        interval_ticks: int,
        span_ticks: int,
        first_channel_id: int,
        reject_unknown: bool,
        backpressure: bool,
        trusted: bool = False,
    ) -> None:
        groups, pool = layout.group_count, pool_size.dumps
        self.layout = layout
        self.pool_size = pool_size
        self.entry_state = np.zeros(ENTRIES, np.int64)
        self.entry_time = np.zeros(ENTRIES, np.uint64)
        self.entry_epoch = np.zeros(ENTRIES, np.int64)
        self.entry_block = np.full(ENTRIES, -1, np.int64)
        self.entry_sequence = np.zeros(ENTRIES, np.int64)
        self.entry_rank = np.zeros(ENTRIES, np.int64)
        """How many entries that may not be somebody else's were claimed before it."""
        self.entry_belief = np.zeros(ENTRIES, np.int64)
        self.opened = np.zeros(1, np.int64)
        """The newest start of the sender that a stream has brought data of."""
        self.settled = np.zeros(1, np.int64)
        """The newest one that is believed: what came before it is over."""
        self.free_top = np.full(1, NONE)
        self.free_below = np.full(pool, NONE)
        self.seen = np.zeros((ENTRIES, groups), np.uint8)
        # Usually a group comes on its own stream: what is read too early is right nevertheless.
        self.owner = np.tile(np.arange(groups), (pool, 1))
        self.begun_at = np.zeros((pool, groups), np.int64)
        self.scan_offset = np.full((pool + CONTROL_ROWS, groups), -1, np.int64)
        self.group_latest = np.full(groups, -1, np.int64)
        """The highest rank of the entries, of those counted in ranks, that a group has brought."""
        self.group_data_bytes = np.array([layout.data_bytes(g) for g in range(groups)], np.int64)
        self.newest = np.zeros(EPOCHS, np.uint64)
        self.horizon = np.zeros(EPOCHS, np.uint64)
        self.dropped_until = np.zeros(EPOCHS, np.uint64)
        self.start_epoch = np.full((PENDING_ROWS, groups), -1, np.int64)
        """The epoch that a pending start began; -1 until it has begun one."""
        self.left = np.full((EPOCHS, groups), -1, np.int64)
        """Epochs that a stream has brought data of and left: twice the number, 1 more if ended."""
        self.model_time = np.ascontiguousarray(model_time, np.uint64)
        self.model_tolerance = np.ascontiguousarray(model_tolerance, np.int64)
        self.refused = np.zeros((groups, len(Reason)), np.int64)
        """Counted by the network threads."""
        self.discarded = np.zeros((groups, len(Reason)), np.int64)
        """Counted by the collector."""
        self.present = np.zeros((pool + CONTROL_ROWS, groups), np.uint8)
        """Set by spead2 when a heap is complete; last come rows for start heaps."""
        # np.empty of this size is fresh memory from the system: pages are taken when touched.
        control_bytes = CONTROL_ROWS * groups * CONTROL_BYTES
        self.memory = np.empty(pool * layout.dump_bytes + control_bytes, np.uint8)
        self.streams = np.zeros(groups, STREAM_DTYPE)
        self._shared = np.zeros(1, SHARED_DTYPE)
        for name in _POINTERS:
            self._shared[name] = getattr(self, name).ctypes.data
        for name, value in {
            "model_count": len(self.model_time),
            "pool": pool,
            "groups": groups,
            "baselines": layout.baseline_count,
            "channels_per_stream": layout.channels_per_stream,
            "first_channel_id": first_channel_id,
            "slot_bytes": layout.slot_bytes,
            "dump_bytes": layout.dump_bytes,
            "interval_ticks": interval_ticks,
            "span_ticks": span_ticks,
            "reject_unknown": reject_unknown,
            "backpressure": backpressure,
            "trusted": trusted,
        }.items():
            self._shared[name] = value
        self.streams["shared"] = self._shared.ctypes.data
        self.streams["index"] = np.arange(groups)
        for name in ("hardware_id", "polarisation_id", "phase_bin_id", "phase_bin_count"):
            self.streams[name] = -1
        self.streams["channel_id"] = self.streams["baseline_count"] = -1

    @property
    def counters(self) -> NDArray[np.int64]:
        """Refused heaps so far, int64 (groups, reasons): a copy."""
        return np.asarray(self.refused + self.discarded, np.int64)

    @property
    def epoch(self) -> int:
        """The newest start of the sender that a stream has brought data of."""
        return int(self.opened[0])

    @property
    def settled_epoch(self) -> int:
        """The newest start of the sender that is believed."""
        return int(self.settled[0])

    def is_final(self, ticks: np.uint64) -> bool:
        """Whether nothing of the model comes after a time."""
        if not len(self.model_time):
            return False
        reach = ticks + self.model_tolerance[-1].astype(np.uint64)
        return bool(reach >= self.model_time[-1])

    def get(self, name: str) -> int:
        """Return a scalar of the shared record."""
        return int(self._shared[name][0])

    def set(self, name: str, value: int) -> None:
        """Set a scalar of the shared record; each has one writer."""
        self._shared[name][0] = value

    def stream_pointer(self, stream: int) -> int:
        """Return the address of a stream's record, which the placement function is given."""
        return int(self.streams[stream : stream + 1].ctypes.data)

    def records(self, block: int, group: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the records of a group in a block: a view (channels, baselines)."""
        begin = self.layout.records_offset(block, group)
        view = self.memory[begin : begin + self.layout.data_bytes(group)].view(dtype)
        return view.reshape(self.layout.group_channels(group), self.layout.baseline_count)

    def scan_id(self, block: int, group: int) -> int | None:
        """Return the scan id that a group's heap brought; blocks past the pool are start heaps."""
        offset = int(self.scan_offset[block, group])
        if offset < 0:
            return None
        return int.from_bytes(self.memory[offset : offset + 8].tobytes(), "little")
