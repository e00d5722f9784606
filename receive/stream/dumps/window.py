"""The window: dumps that have begun to arrive, until they are handed on.

The collector calls `Window.step` repeatedly.  A dump is handed on in order of time when it is
complete, or with gaps when no more of its heaps are expected.  States of an entry::

             window              network thread: first heap of a new timestamp
    EMPTY ----------->  OPEN  -------------------------------------> BUSY ---> LIVE
      ^                  ^------------- no buffer free --------------'          |
      | window: slot after the        window: handed on (complete or given up), |
      | last open entry               or discarded (timestamp not believed)     |
      '------------------------------ CLOSED <----------------------------------'

Example: heaps of integrations 7 and 8 arrive on two streams, one heap of 7 is lost.  8 is complete
and waits for 7.  7 is handed on with one group absent as soon as all streams have ended, its
missing group has brought a heap `window` entries later, or no progress was made for `dump_timeout`.
8 follows at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.dumps.beliefs import Beliefs, follow_each_other, is_witnessed
from receive.stream.dumps.buffer_pool import BufferPool
from receive.stream.dumps.ends import all_streams_over
from receive.stream.dumps.pace import Pace
from receive.stream.dumps.put_back import put_back_strays
from receive.stream.dumps.scan_ids import ScanIds
from receive.stream.dumps.table_scan import (
    close_complete,
    complete_mark,
    count_live,
    fingerprint,
    follows,
    list_live,
    oldest_needed,
    open_entries,
)
from receive.stream.table.atomics import full_fence
from receive.stream.table.shared_types import ENTRIES, EPOCHS, PUT_BACK, Belief, EntryState

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from receive.stream.dumps.dump import Dump
    from receive.stream.table.state import SharedState

ENDED_GRACE_S = 0.1
"""How long after an end heap a reordered data heap of its stream may still come."""
REORDER_GRACE_S = 0.1
"""How long a complete dump that is first or follows a gap waits for a reordered older one."""
LOOK_EVERY_S = 0.05
"""Interval of full passes over the window while nothing arrives: the resolution of timeouts."""
LOOK_UNSETTLED_S = 0.01
"""The same while an unsettled epoch holds buffers."""
HISTORY = 256
"""Closed entries kept to tell duplicates from late heaps."""


@dataclass(frozen=True)
class _Live:
    """Live entries: slots, and numbers of complete and of begun heaps."""

    slots: NDArray[np.int64]
    present: NDArray[np.int64]
    seen: NDArray[np.int64]


class Window:
    """Opens entries, follows their progress and hands their dumps on.

    Parameters
    ----------
    state
        The shared arrays.
    dump_timeout_s
        How long an incomplete dump waits after its last progress.
    packets
        Returns the number of packets received so far: a growing heap is progress.
    """

    def __init__(
        self, state: SharedState, dump_timeout_s: float, packets: Callable[[], int]
    ) -> None:
        self._state = state
        self._dump_timeout_s = dump_timeout_s
        self._packets = packets
        self._packets_seen = 0
        self.pool = BufferPool(state)
        self._groups = state.layout.group_count
        self._window = state.pool_size.window
        self._interval_ticks = state.get("interval_ticks")
        self._opened = 0
        self._everything = np.ones(self._groups, np.bool_)
        self._everything.setflags(write=False)
        self._first_s = np.zeros(ENTRIES)
        self._progress_s = np.zeros(ENTRIES)
        self._heaps = np.full(ENTRIES, -1, np.int64)
        self._moved_s = np.zeros(EPOCHS)
        self.pace = Pace(state.get("interval_ticks") / 2**32)
        self._beliefs = Beliefs(state, self.pace, dump_timeout_s, self._first_s, self.is_over)
        self._scan_ids = ScanIds(state)
        self._start_present = state.present[state.pool_size.dumps :]
        self._ended, self._epochs = state.streams["ended"], state.streams["epoch"]
        self._mark = -1
        self._due_s = 0.0
        self._scratch = tuple(np.zeros(ENTRIES, np.int64) for _ in range(3))
        self._closed = np.zeros(ENTRIES, np.int64)
        # Compile now: packets can arrive before the first step.
        self.has_news(time.monotonic())
        self._hand_on_next(1)
        self._follows(0)
        complete_mark(0)
        state.model_index(0)
        self._open()
        self._look(0.0)

    def has_news(self, now_s: float) -> bool:
        """Whether `step` would find anything new."""
        if held_up_s := self.pace.looked(now_s):
            self._first_s += held_up_s
            self._progress_s += held_up_s
        self._state.set("now_ms", int(now_s * 1000))
        return (
            now_s >= self._due_s
            or self.pool.has_returned
            or not len(self.pool)
            or self._marked() != self._mark
        )

    def _marked(self) -> int:
        state = self._state
        mark: int = fingerprint(
            state.entry_state,
            state.entry_block,
            state.seen,
            state.present,
            self._start_present,
            self._ended,
            self._epochs,
            state.get("tail"),
            state.get("head"),
        )
        return mark

    def step(self, now_s: float, *, limit: int) -> list[Dump]:
        """Hand on the dumps that are due.

        Parameters
        ----------
        now_s
            Monotonic time.
        limit
            Largest number of dumps to hand on.

        Returns
        -------
        list of Dump
            Dumps handed on, in the order of their times.
        """
        state = self._state
        state.set("now_ms", int(now_s * 1000))
        self.pool.recycle()
        handed = self._hand_on_next(limit) if now_s < self._due_s else []
        if handed:
            self.pace.moved(now_s)
            self._open()
            return handed
        self._mark = self._marked()
        newest = state.epoch
        live = self._look(now_s)
        state.set("oldest_epoch", int(state.entry_epoch[live.slots].min(initial=newest)))
        unsettled = state.epoch > state.settled_epoch
        if unsettled:
            put_back_strays(state, live.slots)
            self._settle(live, now_s)
        for slot in self._beliefs.judge(live.slots, live.seen, now_s):
            self._discard(slot)
        # `live` is not renewed: what came since is not judged yet, and may be older.
        # Scan ids are read after it: a start heap is complete before its first data heap is.
        self._scan_ids.read()
        handed = self._hand_on(live, now_s, limit) if limit > 0 else []
        self._open()
        # Dumps held back by the limit are due at once.
        wait_s = LOOK_UNSETTLED_S if unsettled else LOOK_EVERY_S
        self._due_s = now_s if len(handed) >= limit else now_s + wait_s
        return handed

    @property
    def progress_s(self) -> float:
        """Monotonic time at which a believed heap was last begun or completed."""
        return self.pace.moved_s

    def is_empty(self, epoch: int | None = None) -> bool:
        """Whether the window has no live entry, or none up to an epoch if one is given."""
        state = self._state
        if not count_live(state.entry_state, state.get("tail"), state.get("head")):
            return True
        live = state.entry_state == EntryState.LIVE
        return epoch is not None and not np.any(live & (state.entry_epoch <= epoch))

    def is_over(self, epoch: int) -> bool:
        """Whether every stream has ended an epoch or is in a newer settled one."""
        return all_streams_over(self._state, epoch)

    def ended_s(self) -> float:
        """Return how long streams must be silent after their end heaps before these are believed.

        Short over TCP and after the model's last integration.  Otherwise an end heap may be of
        another sender, and data that continue come within this time.
        """
        state = self._state
        final = state.is_final(state.horizon[state.settled_epoch % EPOCHS])
        return ENDED_GRACE_S if state.get("trusted") or final else self.pace.quiet_s

    def some_end_was_lost(self) -> bool:
        """Whether, after silence, streams without an end heap are taken as ended, too.

        Over UDP an end heap can be lost, and that of any other stream is sufficient.  Over TCP a
        stream that has had data ends with its end heap or with its connection.
        """
        streams = self._state.streams
        ended = streams["ended"] != 0
        alive = ~ended & (streams["data_in_epoch"] > 0)
        return bool(ended.any() and not (self._state.get("trusted") and alive.any()))

    def flush(self, now_s: float) -> list[Dump]:
        """Hand on all believed dumps in the window, complete or not; discard the others."""
        live = self._look(now_s)
        self._scan_ids.read()
        state = self._state
        if state.epoch > state.settled_epoch:
            self._settle(live, now_s, ending=True)
        for slot in self._beliefs.unbelieved_at_the_end(live.slots):
            self._discard(slot)
        return self._hand_on(live, float("inf"), len(live.slots))

    def _settle(self, live: _Live, now_s: float, *, ending: bool = False) -> None:
        """Settle epochs since which the scan before is silent; forget those that no stream is in.

        An expected epoch (consecutive heap counts, or all streams ended before) is settled sooner,
        and at once when receiving ends.
        """
        state = self._state
        streams = state.streams
        while state.epoch > state.settled_epoch:
            epoch = state.settled_epoch + 1
            there = streams["epoch"] >= epoch
            if not there.any():
                unsettled = state.entry_epoch[live.slots] >= epoch
                for slot in live.slots[unsettled].tolist():
                    if state.entry_state[slot] == EntryState.LIVE:
                        self._discard(slot)
                for forgotten in range(epoch, state.epoch + 1):
                    row = forgotten % EPOCHS
                    state.newest[row] = state.horizon[row] = state.dropped_until[row] = 0
                    self._scan_ids.forget(forgotten)
                return
            if not is_witnessed(state, epoch):
                return
            expected = bool(streams["chained"][there].any()) or self.is_over(state.settled_epoch)
            wait_s = self.pace.brief_s if expected else self.pace.quiet_s
            if not self.pace.moved_s:
                return
            short = expected and 2 * len(self.pool) < self._state.pool_size.dumps
            if not (short or now_s - self.pace.moved_s > wait_s or (ending and expected)):
                return
            state.settled[0] = max(epoch, state.settled_epoch)
            self.pace.moved_s = max(self.pace.moved_s, float(self._moved_s[epoch % EPOCHS]))

    def _look(self, now_s: float) -> _Live:
        state = self._state
        slots, present, seen = self._scratch
        count = list_live(
            state.entry_state,
            state.entry_block,
            state.seen,
            state.present,
            state.get("tail"),
            state.get("head"),
            *self._scratch,
        )
        live = _Live(slots[:count].copy(), present[:count].copy(), seen[:count].copy())
        heaps = live.present + live.seen
        fresh = self._heaps[live.slots] < 0
        self._first_s[live.slots[fresh]] = now_s
        if np.count_nonzero(fresh) > 1 and follow_each_other(state, live.slots[fresh]):
            self.pace.came_together()
        moved = self._heaps[live.slots] != heaps
        self._progress_s[live.slots[moved]] = now_s
        self._heaps[live.slots] = heaps
        self._moved_s[state.entry_epoch[live.slots[moved]] % EPOCHS] = now_s
        believed = state.entry_belief[live.slots] == Belief.BELIEVED
        if np.any(moved & believed & (state.entry_epoch[live.slots] <= state.settled_epoch)):
            self.pace.moved(now_s)
        return live

    def _discard(self, slot: int) -> None:
        """Discard an entry that is not believed, and count its heaps as refused."""
        state = self._state
        refused = (state.seen[slot] != 0) & (state.seen[slot] != PUT_BACK)
        state.discarded[:, self._beliefs.reason(slot)] += refused
        self._beliefs.judged(slot)
        self._close(slot)
        dump = self._dump(slot, complete=False, discarded=True)
        # Later heaps of that timestamp are no duplicates.
        state.entry_epoch[slot] = -1
        dump.release()

    def _open(self) -> None:
        state = self._state
        head = state.get("head")
        # Recently closed entries are kept, to recognise duplicates.
        tail = oldest_needed(state.entry_state, state.get("tail"), head - HISTORY)
        state.set("tail", tail)
        # One entry per buffer, as far as the ring has room.
        until = min(head + state.pool_size.dumps, tail + ENTRIES - 1)
        if until > self._opened:
            opened = state.entry_state, state.entry_sequence, state.seen, self._heaps
            open_entries(*opened, self._opened, until)
            self._opened = until

    def _hand_on_next(self, limit: int) -> list[Dump]:
        """Hand on dumps that are complete and in order: the usual case, without a full pass."""
        state = self._state
        count = close_complete(
            state.entry_state,
            state.entry_time,
            state.entry_epoch,
            state.entry_belief,
            state.entry_block,
            state.seen,
            state.present,
            state.horizon,
            state.settled_epoch,
            state.model_time,
            self._interval_ticks,
            state.get("tail"),
            state.get("head"),
            min(limit, len(self._closed)),
            self._closed,
        )
        return [self._dump(slot, complete=True) for slot in self._closed[:count].tolist()]

    def _hand_on(self, live: _Live, now_s: float, limit: int) -> list[Dump]:
        state = self._state
        believed = state.entry_belief[live.slots] == Belief.BELIEVED
        settled = state.entry_epoch[live.slots] <= state.settled_epoch
        open_still = state.entry_state[live.slots] == EntryState.LIVE
        waiting = np.flatnonzero(believed & settled & open_still)
        slots = live.slots[waiting]
        order = waiting[np.lexsort((state.entry_time[slots], state.entry_epoch[slots]))]
        handed: list[Dump] = []
        for position, i in enumerate(order):
            if len(handed) >= limit:
                break
            slot = int(live.slots[i])
            if live.present[i] == self._groups:
                if not self._follows(slot) and not self._waited(slot, now_s):
                    break
            elif not self._given_up(slot, len(order) - position, now_s):
                break
            epoch = int(state.entry_epoch[slot])
            self._close(slot)
            dump = self._dump(slot, complete=bool(live.present[i] == self._groups))
            if dump.complete:
                gone = int(complete_mark(int(state.entry_sequence[slot])))
                self._mark = (self._mark - gone) % 2**64
            state.horizon[epoch % EPOCHS] = state.entry_time[slot]
            handed.append(dump)
        return handed

    def _follows(self, slot: int) -> bool:
        """Return whether a dump is the next integration after the last one handed on."""
        state = self._state
        last = state.horizon[state.entry_epoch[slot] % EPOCHS]
        ticks = state.entry_time[slot]
        return bool(follows(last, ticks, state.model_time, self._interval_ticks))

    def _waited(self, slot: int, now_s: float) -> bool:
        """Return whether a complete dump has waited long enough for a reordered older one."""
        state = self._state
        newer = state.get("ranked") - int(state.entry_rank[slot])
        return bool(newer > self._window or now_s - self._first_s[slot] > REORDER_GRACE_S)

    def _given_up(self, slot: int, waiting: int, now_s: float) -> bool:
        """Return whether no more heaps of an incomplete dump are expected."""
        state = self._state
        epoch = int(state.entry_epoch[slot])
        idle_s = now_s - self._progress_s[slot]
        if self.is_over(epoch):
            ended = epoch < state.settled_epoch
            return bool(idle_s > (ENDED_GRACE_S if ended else self.ended_s()))
        missing = ~self._whole(slot)
        rank = int(state.entry_rank[slot])
        if (state.group_latest[missing] >= rank + self._window).all():
            return True
        if not state.get("backpressure") and waiting > self._window and not len(self.pool):
            return True
        if idle_s <= self._dump_timeout_s:
            return False
        packets = self._packets()
        growing = (state.seen[slot] != 0) & missing & (state.group_latest <= rank)
        if packets > self._packets_seen and growing.any():
            self._progress_s[slot] = now_s
            self._packets_seen = packets
            return False
        self._packets_seen = packets
        return True

    def _close(self, slot: int) -> None:
        self._state.entry_state[slot] = EntryState.CLOSED
        full_fence()

    def _dump(self, slot: int, *, complete: bool, discarded: bool = False) -> Dump:
        """Lease the buffer of a closed entry as a dump."""
        state = self._state
        block = int(state.entry_block[slot])
        epoch = int(state.entry_epoch[slot])
        present = self._everything if complete else self._whole(slot)
        begun = self._everything if complete else state.seen[slot] != 0
        with_id = np.flatnonzero(present & (state.scan_offset[block] >= 0))
        scan_id = state.scan_id(block, int(with_id[0])) if len(with_id) else None
        if scan_id is None and not discarded:
            scan_id = self._scan_ids.of_epoch(epoch)
        ticks = int(state.entry_time[slot])
        model_index = int(state.entry_model[slot])
        return self.pool.lease(
            block,
            ticks,
            epoch,
            present,
            begun,
            scan_id=scan_id,
            model_index=model_index if model_index >= 0 else None,
            complete=complete or bool(present.all()),
        )

    def _whole(self, slot: int) -> NDArray[np.bool_]:
        """Return which heaps of an entry are complete: bool (groups,)."""
        state = self._state
        present = state.present[state.entry_block[slot]] != 0
        return np.asarray(present & (state.seen[slot] == 1), np.bool_)
