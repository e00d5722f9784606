"""The arrays that the network threads and the collector share.

The network threads run the compiled placement function (`placement`) without the GIL; the
collector (`window`) is one Python thread.  They share plain arrays, with one writer for each
field or an atomic claim (`atomics`), and never a lock.

The table of entries is a ring.  Entry number *n* (slot ``n % ENTRIES``) is one dump: the
collector opens it (``OPEN``), the first heap of a new timestamp claims it with a buffer (``BUSY``,
then ``LIVE``), the collector hands the dump on (``CLOSED``) and later clears it (``EMPTY``).
Entries are claimed strictly in order, so a thread that has searched all entries up to the head
cannot miss one that another thread has just claimed for the same timestamp.
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
        Times of the model's integrations (sorted) and the largest deviation of a timestamp that
        still belongs to each, in ticks of 2^-32 s.
    interval_ticks
        Usual length of an integration.
    span_ticks
        Largest distance from the newest timestamp that is believed without further evidence.
    first_channel_id
        Channel id of this receiver's first channel.
    reject_unknown
        Refuse timestamps that the model does not hold.
    backpressure
        Make the network threads wait for a buffer instead of dropping the heap.
    trusted
        True over TCP: all heaps of a stream are of one sender.
    allocate
        Allocator of the buffers.
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
        """Ranked entries (believed when claimed; over TCP all) that were claimed before it."""
        self.entry_belief = np.zeros(ENTRIES, np.int64)
        self.entry_model = np.full(ENTRIES, -1, np.int64)
        """Index of the integration in the model; -1 if none."""
        self.opened = np.zeros(1, np.int64)
        """The newest epoch that is open."""
        self.settled = np.zeros(1, np.int64)
        """The newest settled epoch: those before it are over."""
        self.free_top = np.full(1, NONE)
        self.free_below = np.full(pool, NONE)
        self.seen = np.zeros((ENTRIES, groups), np.uint8)
        # Initially group = stream, which is usual: a read before the first write is right, too.
        self.owner = np.tile(np.arange(groups), (pool, 1))
        self.begun_at = np.zeros((pool, groups), np.int64)
        self.scan_offset = np.full((pool + CONTROL_ROWS, groups), -1, np.int64)
        self.group_latest = np.full(groups, -1, np.int64)
        """The highest rank of a believed entry (over TCP any) that has a heap of the group."""
        self.group_data_bytes = np.array([layout.data_bytes(g) for g in range(groups)], np.int64)
        self.newest = np.zeros(EPOCHS, np.uint64)
        self.horizon = np.zeros(EPOCHS, np.uint64)
        self.dropped_until = np.zeros(EPOCHS, np.uint64)
        self.start_epoch = np.full((PENDING_ROWS, groups), -1, np.int64)
        """The epoch that a pending start has begun; -1 before."""
        self.left = np.full((EPOCHS, groups), -1, np.int64)
        """Epochs that a stream left after data: 2 * epoch, plus 1 if its end heap came."""
        self.model_time = np.ascontiguousarray(model_time, np.uint64)
        self.model_tolerance = np.ascontiguousarray(model_tolerance, np.int64)
        self.refused = np.zeros((groups, len(Reason)), np.int64)
        """Heaps refused by the network threads."""
        self.discarded = np.zeros((groups, len(Reason)), np.int64)
        """Heaps discarded by the collector."""
        self.present = np.zeros((pool + CONTROL_ROWS, groups), np.uint8)
        """Set by spead2 when a heap is complete; the last rows are for start heaps."""
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
        """The newest epoch that is open."""
        return int(self.opened[0])

    @property
    def settled_epoch(self) -> int:
        """The newest settled epoch."""
        return int(self.settled[0])

    def is_final(self, ticks: np.uint64) -> bool:
        """Whether a time is that of the model's last integration, or later."""
        if not len(self.model_time):
            return False
        reach = ticks + self.model_tolerance[-1].astype(np.uint64)
        return bool(reach >= self.model_time[-1])

    def model_index(self, ticks: int) -> int | None:
        """Return the model's index of the integration of a timestamp; None if there is none."""
        index = int(index_in_model(self.model_time, self.model_tolerance, np.uint64(ticks)))
        return index if index >= 0 else None

    def get(self, name: str) -> int:
        """Return a scalar of the shared record."""
        return int(self._shared[name][0])

    def set(self, name: str, value: int) -> None:
        """Set a scalar of the shared record; each has one writer."""
        self._shared[name][0] = value

    def stream_pointer(self, stream: int) -> int:
        """Return the address of a stream's record, the argument of the placement function."""
        return int(self.streams[stream : stream + 1].ctypes.data)

    def records(self, block: int, group: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the records of a group in a block: a view (channels, baselines)."""
        begin = self.layout.records_offset(block, group)
        view = self.memory[begin : begin + self.layout.data_bytes(group)].view(dtype)
        return view.reshape(self.layout.group_channels(group), self.layout.baseline_count)

    def scan_id(self, block: int, group: int) -> int | None:
        """Return the scan id in a group's heap; blocks past the pool are start heaps."""
        offset = int(self.scan_offset[block, group])
        if offset < 0:
            return None
        return int.from_bytes(self.memory[offset : offset + 8].tobytes(), "little")
