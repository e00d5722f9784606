"""Dumps that were handed on, and the pool of buffers that they borrow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.table.free_buffers import give
from receive.stream.table.state import LIVE_HEAPS, SharedState

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Dump:
    """One integration as it was handed on.

    Attributes
    ----------
    block
        Its buffer in the pool.
    ticks
        Timestamp, units of 2^-32 s since the UNIX epoch.
    epoch
        Which start of the sender it belongs to.
    present
        bool (groups,): which heaps came whole.
    begun
        bool (groups,): which heaps had at least begun.
    scan_id
        Scan id that its heaps or their start heap brought; None if none did.
    complete
        Whether all of its heaps are present.
    """

    block: int
    ticks: int
    epoch: int
    present: NDArray[np.bool_]
    begun: NDArray[np.bool_]
    scan_id: int | None
    complete: bool


@dataclass
class _Quarantined:
    block: int
    groups: NDArray[np.intp]


@dataclass
class BufferPool:
    """Knows who has the buffers, and makes them free for the network threads again.

    A buffer in which a heap began and did not end when its dump was handed on stays in
    quarantine until spead2 cannot write into it any more: until the heap completed, or so many
    newer heaps began on its stream that spead2 has given it up.
    """

    state: SharedState
    _freed: int = field(init=False)
    _quarantine: list[_Quarantined] = field(init=False, default_factory=list)
    _returned: deque[Dump] = field(init=False, default_factory=deque)
    _users: dict[int, int] = field(init=False, default_factory=dict)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._freed = 0
        for block in reversed(range(self.state.pool_size.dumps)):
            self._free(block)

    def __len__(self) -> int:
        """Return how many buffers are free."""
        return self._freed - self.state.get("taken")

    def lend(self, dump: Dump, users: int) -> None:
        """Note that so many users have the dump; the buffer returns after the last one."""
        with self._lock:
            if users:
                self._users[dump.block] = users
            else:
                self._returned.append(dump)

    def give_back(self, dump: Dump) -> None:
        """Return a dump; may be called from any thread."""
        with self._lock:
            self._users[dump.block] -= 1
            if not self._users[dump.block]:
                del self._users[dump.block]
                self._returned.append(dump)

    @property
    def lent(self) -> int:
        """How many dumps are with users."""
        return len(self._users)

    @property
    def in_window(self) -> int:
        """How many buffers receiving has in use: those of heaps that may still grow."""
        return self.state.pool_size.dumps - len(self) - len(self._users) - len(self._returned)

    @property
    def has_returned(self) -> bool:
        """Whether buffers came back that are not free yet."""
        return bool(self._returned)

    def recycle(self) -> None:
        """Make free what was returned, or put it in quarantine."""
        state = self.state
        while self._returned:
            dump = self._returned.popleft()
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
