"""The window of dumps: what has begun to arrive, and when it is handed on.

The collector calls `Window.step` again and again.  A dump is handed on when it is complete and
everything older has been handed on; with gaps when nothing more can be expected of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.dumps.beliefs import Beliefs, follow_each_other, have_moved
from receive.stream.dumps.buffer_pool import BufferPool
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
"""How long after the end of a stream one of its last heaps may come, overtaken by the end."""
REORDER_GRACE_S = 0.1
"""How long a complete dump waits for one that may be missing before it: the first of a sender,
or one after a gap, could have overtaken others on its way."""
LOOK_EVERY_S = 0.05
"""How often the window is looked at when nothing comes: the grain of everything that waits."""
LOOK_UNSETTLED_S = 0.01
"""The same while buffers fill that a start of the sender, not believed yet, holds."""
HISTORY = 256
"""Closed entries that are kept to tell duplicates from late heaps."""


@dataclass(frozen=True)
class _Live:
    """Entries that have begun and were not handed on, as arrays of equal length."""

    slots: NDArray[np.int64]
    present: NDArray[np.int64]
    seen: NDArray[np.int64]


class Window:
    """Follows the entries from the first heap to the handing on.

    Parameters
    ----------
    state
        The shared arrays.
    dump_timeout_s
        How long an incomplete dump waits for more after its last progress.
    packets
        Returns the number of packets received so far: a heap that is still growing is progress.
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
        # Packets can come before the first step; no time must go then on compiling.
        self.has_news(time.monotonic())
        self._hand_on_next(1)
        self._follows(0)
        complete_mark(0)
        state.model_index(0)
        self._open()
        self._look(0.0)

    def has_news(self, now_s: float) -> bool:
        """Whether a step would find anything that the last one did not."""
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
        """Look at what has come since the last call.

        Parameters
        ----------
        now_s
            Monotonic time.
        limit
            Hand on at most so many dumps.

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
        # No new look now: what has come since was not judged, and may be older than what was.
        # After the look: a stream's start heap is whole before its first heap of data is.
        self._scan_ids.read()
        handed = self._hand_on(live, now_s, limit) if limit > 0 else []
        self._open()
        # What was held back for want of room is looked at again at once.
        wait_s = LOOK_UNSETTLED_S if unsettled else LOOK_EVERY_S
        self._due_s = now_s if len(handed) >= limit else now_s + wait_s
        return handed

    @property
    def progress_s(self) -> float:
        """When a heap was last begun or completed, monotonic."""
        return self.pace.moved_s

    def is_empty(self, epoch: int | None = None) -> bool:
        """Whether no dump is in the window; none up to a start of the sender, if one is given."""
        state = self._state
        if not count_live(state.entry_state, state.get("tail"), state.get("head")):
            return True
        live = state.entry_state == EntryState.LIVE
        return epoch is not None and not np.any(live & (state.entry_epoch <= epoch))

    def is_over(self, epoch: int) -> bool:
        """Whether every stream has ended this start of the sender, or has begun a newer one."""
        streams = self._state.streams
        epochs = streams["epoch"]
        newer, unsettled = epochs > epoch, epochs > self._state.settled_epoch
        left = unsettled & (self._state.left[epoch % EPOCHS] == 2 * epoch + 1)
        over = (newer & ~unsettled) | left | ((epochs == epoch) & (streams["ended"] != 0))
        return bool(over.all())

    def ended_s(self) -> float:
        """Return how long nothing may come before streams that have ended are taken at their word.

        Over a connection, and after the model's last integration, an end is what it seems to be.
        A datagram may be anybody's: what goes on all the same comes within this time.
        """
        state = self._state
        final = state.is_final(state.horizon[state.settled_epoch % EPOCHS])
        return ENDED_GRACE_S if state.get("trusted") or final else self.pace.quiet_s

    def some_end_was_lost(self) -> bool:
        """Whether, once nothing comes any more, the streams that have not ended will not do so.

        A datagram with the end of a stream can be lost, and that of another stream says the same.
        A connection loses nothing: a stream that has brought data brings its end, or breaks.
        """
        streams = self._state.streams
        ended = streams["ended"] != 0
        alive = ~ended & (streams["data_in_epoch"] > 0)
        return bool(ended.any() and not (self._state.get("trusted") and alive.any()))

    def flush(self, now_s: float) -> list[Dump]:
        """Hand on everything that is in the window, complete or not, but what is not believed."""
        live = self._look(now_s)
        self._scan_ids.read()
        state = self._state
        if state.epoch > state.settled_epoch:
            self._settle(live, now_s, ending=True)
        for slot in self._beliefs.unbelieved_at_the_end(live.slots):
            self._discard(slot)
        return self._hand_on(live, float("inf"), len(live.slots))

    def _settle(self, live: _Live, now_s: float, *, ending: bool = False) -> None:
        """Believe starts of the sender since which nothing came of the scan before, or forget them.

        A start that was expected is believed sooner, and as it is when receiving ends.
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
            if not self._is_witnessed(epoch):
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

    def _is_witnessed(self, epoch: int) -> bool:
        """Whether heaps that go on from each other say that a start of the sender was one."""
        streams = self._state.streams
        there = streams["epoch"] >= epoch
        if have_moved(self._state, there):
            return True
        # The only integration that a sender sends is followed by the ends of most of its streams.
        only = there & (streams["data_in_epoch"] == 1)
        only &= (streams["ended"] != 0) & (streams["stop_follows"] != 0)
        return 2 * int(only.sum()) > len(streams)

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
        """Count the heaps of an entry that was not believed as refused."""
        state = self._state
        refused = (state.seen[slot] != 0) & (state.seen[slot] != PUT_BACK)
        state.discarded[:, self._beliefs.reason(slot)] += refused
        self._beliefs.judged(slot)
        self._close(slot)
        dump = self._dump(slot, complete=False, discarded=True)
        # Not kept as what was handed on is: heaps of that time that come yet are no duplicates.
        state.entry_epoch[slot] = -1
        dump.release()

    def _open(self) -> None:
        state = self._state
        head = state.get("head")
        # What was closed lately stays known, to tell duplicates by.
        tail = oldest_needed(state.entry_state, state.get("tail"), head - HISTORY)
        state.set("tail", tail)
        # An entry for every buffer, and no more than the ring holds.
        until = min(head + state.pool_size.dumps, tail + ENTRIES - 1)
        if until > self._opened:
            opened = state.entry_state, state.entry_sequence, state.seen, self._heaps
            open_entries(*opened, self._opened, until)
            self._opened = until

    def _hand_on_next(self, limit: int) -> list[Dump]:
        """Hand on what is complete and in order: the usual case, without a look at all the rest."""
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
        """Return whether no integration can lie between a dump and the last one handed on."""
        state = self._state
        last = state.horizon[state.entry_epoch[slot] % EPOCHS]
        ticks = state.entry_time[slot]
        return bool(follows(last, ticks, state.model_time, self._interval_ticks))

    def _waited(self, slot: int, now_s: float) -> bool:
        """Return whether nothing can come any more that this dump would have overtaken."""
        state = self._state
        newer = state.get("ranked") - int(state.entry_rank[slot])
        return bool(newer > self._window or now_s - self._first_s[slot] > REORDER_GRACE_S)

    def _given_up(self, slot: int, waiting: int, now_s: float) -> bool:
        """Return whether nothing more can be expected of an incomplete dump."""
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
        """Return what came of an entry that is closed; one known to be complete is so still."""
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
        """Return which heaps of an entry came whole, from the sender that began them."""
        state = self._state
        present = state.present[state.entry_block[slot]] != 0
        return np.asarray(present & (state.seen[slot] == 1), np.bool_)
