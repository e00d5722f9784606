"""The pool of buffers that dumps lease."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.dumps.dump import Dump
from receive.stream.table.free_buffers import give
from receive.stream.table.shared_types import LIVE_HEAPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.stream.table.state import SharedState


@dataclass
class _Quarantined:
    block: int
    groups: NDArray[np.intp]


@dataclass
class BufferPool:
    """Leases buffers to dumps, and returns them to the network threads.

    A buffer with an incomplete heap stays in quarantine after its dump until spead2 cannot write
    into it any more: until the heap is complete, or `LIVE_HEAPS` newer heaps have begun on its
    stream, so that spead2 has dropped it.
    """

    state: SharedState
    lock: Lock = field(init=False, default_factory=Lock)
    """Protects `Dump.users` of every dump."""
    returned: deque[Dump] = field(init=False, default_factory=deque)
    """Dumps released by their last user."""
    _freed: int = field(init=False, default=0)
    _leased: int = field(init=False, default=0)
    _quarantine: list[_Quarantined] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for block in reversed(range(self.state.pool_size.dumps)):
            self._free(block)

    def __len__(self) -> int:
        """Return the number of free buffers."""
        return self._freed - self.state.get("taken")

    def lease(
        self,
        block: int,
        ticks: int,
        epoch: int,
        present: NDArray[np.bool_],
        begun: NDArray[np.bool_],
        *,
        scan_id: int | None,
        model_index: int | None,
        complete: bool,
    ) -> Dump:
        """Return a dump with the caller as its first user; for the parameters see `Dump`."""
        self._leased += 1
        return Dump(block, ticks, epoch, present, begun, scan_id, model_index, complete, self)

    @property
    def lent(self) -> int:
        """Number of dumps in use."""
        return self._leased - len(self.returned)

    @property
    def in_window(self) -> int:
        """Number of buffers used by receiving: live entries and quarantine."""
        return self.state.pool_size.dumps - len(self) - self._leased

    @property
    def has_returned(self) -> bool:
        """Whether released dumps wait for `recycle`."""
        return bool(self.returned)

    def recycle(self) -> None:
        """Free the buffers of released dumps, or put them in quarantine."""
        state = self.state
        while self.returned:
            dump = self.returned.popleft()
            self._leased -= 1
            if dump.complete:
                self._free(dump.block)
                continue
            dirty = np.flatnonzero(dump.begun & (state.present[dump.block] == 0))
            if len(dirty):
                self._quarantine.append(_Quarantined(dump.block, dirty))
            else:
                self._free(dump.block)
        still: list[_Quarantined] = []
        for item in self._quarantine:
            item.groups = item.groups[self._may_be_written(item)]
            if len(item.groups):
                still.append(item)
            else:
                self._free(item.block)
        self._quarantine = still

    def _free(self, block: int) -> None:
        give(self.state.free_top, self.state.free_below, self.state.present, block)
        self._freed += 1

    def _may_be_written(self, item: _Quarantined) -> NDArray[np.bool_]:
        state = self.state
        owners = state.owner[item.block, item.groups]
        begun_since = state.streams["begun"][owners] - state.begun_at[item.block, item.groups]
        unfinished = state.present[item.block, item.groups] == 0
        return np.asarray(unfinished & (begun_since < LIVE_HEAPS), np.bool_)
