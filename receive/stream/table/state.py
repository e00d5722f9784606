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

from typing import TYPE_CHECKING, Any

import numpy as np

from receive.host.memory import Allocator, private_memory
from receive.stream.table.free_buffers import NONE
from receive.stream.table.layout import CONTROL_BYTES, PoolSize, StreamLayout
from receive.stream.table.model_times import index_in_model
from receive.stream.table.shared_types import (
    CONTROL_ROWS,
    ENTRIES,
    EPOCHS,
    PENDING_ROWS,
    POINTERS,
    SHARED_DTYPE,
    STREAM_DTYPE,
    Reason,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


_UNKNOWN_AT_FIRST = (
    "hardware_id",
    "polarisation_id",
    "phase_bin_id",
    "phase_bin_count",
    "channel_id",
    "baseline_count",
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
    allocate
        Where the memory of the buffers comes from.
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
        allocate: Allocator = private_memory,
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
        self.entry_model = np.full(ENTRIES, -1, np.int64)
        """Which of the model's integrations it is; -1 if none."""
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
        control_bytes = CONTROL_ROWS * groups * CONTROL_BYTES
        self.memory = allocate(pool * layout.dump_bytes + control_bytes)
        self.streams = np.zeros(groups, STREAM_DTYPE)
        self._shared = np.zeros(1, SHARED_DTYPE)
        for name in POINTERS:
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
        for name in _UNKNOWN_AT_FIRST:
            self.streams[name] = -1

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

    def model_index(self, ticks: int) -> int | None:
        """Return which of the model's integrations a timestamp belongs to; None if to none."""
        index = int(index_in_model(self.model_time, self.model_tolerance, np.uint64(ticks)))
        return index if index >= 0 else None

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
