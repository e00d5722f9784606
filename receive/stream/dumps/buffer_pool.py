"""The pool of buffers that dumps borrow."""

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
    """Knows which buffers are lent, and makes them free for the network threads again.

    A buffer in which a heap began and did not end when its dump was handed on stays in
    quarantine until spead2 cannot write into it any more: until the heap completed, or so many
    newer heaps began on its stream that spead2 has given it up.
    """

    state: SharedState
    lock: Lock = field(init=False, default_factory=Lock)
    """Protects the number of users of every dump."""
    returned: deque[Dump] = field(init=False, default_factory=deque)
    """Dumps that their last user has released."""
    _freed: int = field(init=False, default=0)
    _leased: int = field(init=False, default=0)
    _quarantine: list[_Quarantined] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for block in reversed(range(self.state.pool_size.dumps)):
            self._free(block)

    def __len__(self) -> int:
        """Return how many buffers are free."""
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
        """Return a dump, whose first user is the caller: see there for the parameters."""
        self._leased += 1
        return Dump(block, ticks, epoch, present, begun, scan_id, model_index, complete, self)

    @property
    def lent(self) -> int:
        """How many dumps are with users."""
        return self._leased - len(self.returned)

    @property
    def in_window(self) -> int:
        """How many buffers receiving has in use: those of heaps that may still grow."""
        return self.state.pool_size.dumps - len(self) - self._leased

    @property
    def has_returned(self) -> bool:
        """Whether buffers came back that are not free yet."""
        return bool(self.returned)

    def recycle(self) -> None:
        """Make free what was returned, or put it in quarantine."""
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
