"""Which timestamps are believed.

A time that is far from where the streams are is believed when others agree and nothing comes any
more where they were: a corrupt time costs nothing then, nor does somebody else's, and a sender
that really has jumped loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.stream.epochs import begin_epoch, raise_from_python
from receive.stream.state import EPOCHS, Belief, EntryState, Reason, SharedState

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from receive.stream.pace import Pace

BACK_RUN = 2
"""Times that follow each other, far behind the newest: their stream has gone back."""


class Beliefs:
    """Judges entries of doubtful time, in the collector's thread.

    Parameters
    ----------
    state
        The shared arrays.
    pace
        How long nothing comes when something is over.
    dump_timeout_s
        How long a doubtful time waits for others, at least.
    first_s
        When each entry was first seen, by slot.
    is_over
        Whether all streams have ended an epoch.
    """

    def __init__(
        self,
        state: SharedState,
        pace: Pace,
        dump_timeout_s: float,
        first_s: NDArray[np.float64],
        is_over: Callable[[int], bool],
    ) -> None:
        self._state = state
        self._pace = pace
        self._dump_timeout_s = dump_timeout_s
        self._first_s = first_s
        self._is_over = is_over

    def judge(
        self, slots: NDArray[np.int64], seen: NDArray[np.int64], now_s: float
    ) -> list[int] | None:
        """Believe entries of doubtful time, or tell which to discard.

        Parameters
        ----------
        slots, seen
            Live entries, and how many heaps of each have begun.
        now_s
            Monotonic time.

        Returns
        -------
        list of int, or None
            Slots to discard; None if nothing has changed.
        """
        state = self._state
        changed, discarded = False, []
        for i in np.flatnonzero(state.entry_belief[slots] != Belief.BELIEVED):
            slot = int(slots[i])
            settled = state.entry_epoch[slot] <= state.settled_epoch
            heard = settled and (
                self._agreed(slot, slots, int(seen[i]), now_s) or self._alone_at_the_end(slot)
            )
            if heard and self._believe(slot):
                changed = True
            elif self._expired(slot, now_s):
                discarded.append(slot)
        return discarded if changed or discarded else None

    def unbelieved_at_the_end(self, slots: NDArray[np.int64]) -> list[int]:
        """Believe what is the first of an epoch; return the slots of what is not believed."""
        state = self._state
        left = []
        for slot in slots.tolist():
            if state.entry_state[slot] != EntryState.LIVE:
                continue
            settled = state.entry_epoch[slot] <= state.settled_epoch
            if settled and self._is_first(slot):
                self._believe(slot)
            elif not settled or state.entry_belief[slot] != Belief.BELIEVED:
                left.append(slot)
        return left

    def reason(self, slot: int) -> Reason:
        """Return why the heaps of an entry that is discarded are refused."""
        state = self._state
        epoch = min(int(state.entry_epoch[slot]), state.settled_epoch)
        back = state.entry_time[slot] < state.newest[epoch % EPOCHS]
        first = state.entry_belief[slot] == Belief.PROBATION and epoch == state.entry_epoch[slot]
        return Reason.LATE if back and not first else Reason.BAD_TIME

    def judged(self, slot: int) -> None:
        """Note that an entry is believed, or closed: another may be in doubt instead of it."""
        state = self._state
        if state.entry_belief[slot] != Belief.BELIEVED:
            state.set("judged", state.get("judged") + 1)

    def _agreed(self, slot: int, slots: NDArray[np.int64], seen: int, now_s: float) -> bool:
        """Whether other heaps have that time, or one near it, and it is free to be believed."""
        state = self._state
        span = np.uint64(state.get("span_ticks"))
        ticks = state.entry_time[slot]
        others = slots[
            (slots != slot)
            & (state.entry_epoch[slots] == state.entry_epoch[slot])
            & (state.entry_state[slots] == EntryState.LIVE)
        ]
        times = state.entry_time[others]
        near = np.maximum(times, ticks) - np.minimum(times, ticks) <= span
        believed = state.entry_belief[others] == Belief.BELIEVED
        if state.entry_belief[slot] == Belief.PROBATION and bool(np.any(near & believed)):
            return True
        return bool(seen > 1 or near.any()) and self._is_free(slot, now_s)

    def _is_free(self, slot: int, now_s: float) -> bool:
        """Whether nothing comes any more where the streams of an entry's epoch were."""
        state = self._state
        epoch, ticks = int(state.entry_epoch[slot]), state.entry_time[slot]
        newest = state.newest[epoch % EPOCHS]
        if not newest or max(newest, ticks) - min(newest, ticks) <= np.uint64(
            state.get("span_ticks")
        ):
            return True
        jumped = state.entry_belief[slot] == Belief.JUMPED
        wait_s = self._pace.brief_s if jumped else self._pace.long_s
        return now_s - self._pace.moved_s > wait_s

    def _alone_at_the_end(self, slot: int) -> bool:
        """Whether this was the only integration that a sender sent."""
        return self._is_first(slot) and self._is_over(int(self._state.entry_epoch[slot]))

    def _is_first(self, slot: int) -> bool:
        """Whether an entry is on probation, and nothing in its epoch is believed."""
        state = self._state
        probation = state.entry_belief[slot] == Belief.PROBATION
        return bool(probation and not state.newest[state.entry_epoch[slot] % EPOCHS])

    def _believe(self, slot: int) -> bool:
        state = self._state
        epoch = int(state.entry_epoch[slot])
        ticks = state.entry_time[slot]
        far_back = (
            state.entry_belief[slot] != Belief.PROBATION and ticks < state.newest[epoch % EPOCHS]
        )
        if far_back and not self._went_back(slot):
            # Streams that are far behind the others; what was handed on is too late for them.
            if ticks <= state.horizon[epoch % EPOCHS]:
                return False
        elif far_back:
            # Nothing but older times comes in: the sender has gone back.
            if epoch == state.epoch:
                begin_epoch(
                    state.opened,
                    state.settled,
                    epoch + 1,
                    state.newest,
                    state.horizon,
                    state.dropped_until,
                )
            epoch = state.epoch
            state.entry_epoch[slot] = epoch
        raise_from_python(state.newest, epoch % EPOCHS, ticks)
        self.judged(slot)
        state.entry_belief[slot] = Belief.BELIEVED
        return True

    def _went_back(self, slot: int) -> bool:
        """Whether the streams of an entry have gone back in time, and not one heap alone."""
        state = self._state
        groups = np.flatnonzero(state.seen[slot])
        brought_by = state.owner[state.entry_block[slot], groups]
        if 1 < len(groups) == state.layout.group_count:
            return bool((state.streams["newest_ticks"][brought_by] > state.entry_time[slot]).any())
        return bool((state.streams["back_run"][brought_by] >= BACK_RUN).any())

    def _expired(self, slot: int, now_s: float) -> bool:
        """Return whether an unbelieved entry has waited long enough for others to agree."""
        if self._is_first(slot):
            return False
        wait_s = max(self._dump_timeout_s, self._pace.quiet_s)
        return now_s - float(self._first_s[slot]) > wait_s
