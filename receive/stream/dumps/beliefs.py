"""Which timestamps are believed.

A timestamp far from the newest is believed when other entries agree with it and the streams are
silent where they were.  So a corrupt timestamp, or one of another sender, does no harm, and a
sender that really has jumped loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from receive.stream.table.epochs import begin_epoch, raise_from_python
from receive.stream.table.shared_types import EPOCHS, MAX_TENTATIVE, Belief, EntryState, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from receive.stream.dumps.pace import Pace
    from receive.stream.table.state import SharedState

FAR_RUN = 2
"""Far heaps of all streams together that continue a run and prove a move; 1 for one stream."""

BACK_RUN = 2
"""Consecutive timestamps behind the newest that prove that their stream has gone back."""


def have_moved(state: SharedState, streams: NDArray[Any]) -> bool:
    """Whether runs of far heaps prove that some streams have moved."""
    run = int(state.streams["far_run"][streams].sum())
    return run >= min(FAR_RUN, state.layout.group_count)


def is_witnessed(state: SharedState, epoch: int) -> bool:
    """Whether consecutive heaps confirm that an epoch is a real start of the sender."""
    streams = state.streams
    there = streams["epoch"] >= epoch
    if have_moved(state, there):
        return True
    # A scan of one integration is confirmed by the end heaps of most streams.
    only = there & (streams["data_in_epoch"] == 1)
    only &= (streams["ended"] != 0) & (streams["stop_follows"] != 0)
    return 2 * int(only.sum()) > len(streams)


def follow_each_other(state: SharedState, slots: NDArray[np.int64]) -> bool:
    """Whether any two entries are consecutive integrations of one epoch."""
    ordered = slots[np.lexsort((state.entry_time[slots], state.entry_epoch[slots]))]
    same = np.diff(state.entry_epoch[ordered]) == 0
    near = np.diff(state.entry_time[ordered]) <= next_ticks(state)
    return bool(np.any(same & near))


def next_ticks(state: SharedState) -> np.uint64:
    """Return the largest distance of consecutive integrations: 1.25 intervals."""
    return np.uint64(state.get("interval_ticks") * 5 // 4)


class Beliefs:
    """Judges entries with unbelieved timestamps, in the collector's thread.

    Parameters
    ----------
    state
        The shared arrays.
    pace
        Silence after which a scan counts as over.
    dump_timeout_s
        Shortest wait of an unbelieved timestamp for others.
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

    def judge(self, slots: NDArray[np.int64], seen: NDArray[np.int64], now_s: float) -> list[int]:
        """Believe entries, or return which to discard.

        Parameters
        ----------
        slots, seen
            Live entries, and how many heaps of each have begun.
        now_s
            Monotonic time.

        Returns
        -------
        list of int
            Slots of those to discard.
        """
        state = self._state
        open_still = state.entry_state[slots] == EntryState.LIVE
        slots, seen = slots[open_still], seen[open_still]
        discarded = self._oldest_first(slots)
        for i in np.flatnonzero(state.entry_belief[slots] != Belief.BELIEVED):
            slot = int(slots[i])
            if slot in discarded:
                continue
            settled = state.entry_epoch[slot] <= state.settled_epoch
            heard = (
                settled
                and not self._was_reached(slot)
                and (
                    self._agreed(slot, slots, int(seen[i]), now_s)
                    or self._alone_at_the_end(slot, slots, now_s)
                )
            )
            if state.entry_belief[slot] == Belief.BELIEVED:
                continue  # with another one
            if heard and self._believe(self._together(slot, slots)):
                self._pace.resumed(now_s)
            elif self._expired(slot, slots, now_s) or self._was_reached(slot):
                discarded.append(slot)
            elif settled and self._turned_out_far(slot):
                state.entry_belief[slot] = Belief.TENTATIVE
        return discarded

    def _oldest_first(self, slots: NDArray[np.int64]) -> list[int]:
        """Return the oldest incomplete first entries beyond the number that may wait."""
        state = self._state
        first = [
            slot for slot in slots.tolist() if self._is_first(slot) and not state.seen[slot].all()
        ]
        most = max(MAX_TENTATIVE, state.pool_size.dumps // 4)
        if len(first) <= most:
            return []
        first.sort(key=lambda slot: int(state.entry_sequence[slot]))
        return first[: len(first) - most]

    def unbelieved_at_the_end(self, slots: NDArray[np.int64]) -> list[int]:
        """Believe entries first in a settled epoch or near its newest; return the others."""
        state = self._state
        left = []
        for slot in slots.tolist():
            if state.entry_state[slot] != EntryState.LIVE:
                continue
            settled = state.entry_epoch[slot] <= state.settled_epoch
            near = state.entry_belief[slot] == Belief.PROBATION and self._is_near(slot)
            if settled and (near or self._is_first(slot)):
                self._believe([slot])
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
        """Count an unbelieved entry as judged, so that another may be claimed in doubt."""
        state = self._state
        if state.entry_belief[slot] != Belief.BELIEVED:
            state.set("judged", state.get("judged") + 1)

    def _agreed(self, slot: int, slots: NDArray[np.int64], seen: int, now_s: float) -> bool:
        """Whether other heaps have that timestamp or a near one, and the streams are silent."""
        state = self._state
        span = np.uint64(state.get("span_ticks"))
        ticks = state.entry_time[slot]
        others = slots[
            (slots != slot)
            & (state.entry_epoch[slots] == state.entry_epoch[slot])
            & (state.entry_state[slots] == EntryState.LIVE)
        ]
        times = state.entry_time[others]
        apart = np.maximum(times, ticks) - np.minimum(times, ticks)
        next_one = apart <= next_ticks(state)
        if state.entry_belief[slot] == Belief.PROBATION:
            believed = state.entry_belief[others] == Belief.BELIEVED
            if bool(np.any(believed & (apart <= span))):
                return True
            if not np.all(apart <= span):
                # Several senders: complete consecutive integrations are the right one's.
                whole = state.seen[others].all(axis=1)
                return bool(state.seen[slot].all() and np.any(next_one & whole))
        elif not (state.get("trusted") or self._moved_on(slot)):
            return False
        return bool(seen > 1 or np.any(next_one)) and self._is_free(slot, now_s)

    def _moved_on(self, slot: int) -> bool:
        """Whether a far entry has heaps of all streams, or its streams continued from it."""
        state = self._state
        groups = np.flatnonzero(state.seen[slot])
        if 1 < len(groups) == state.layout.group_count:
            return True
        brought_by = np.unique(state.owner[state.entry_block[slot], groups])
        return have_moved(state, brought_by)

    def _is_free(self, slot: int, now_s: float) -> bool:
        """Whether an entry is near the newest of its epoch, or the streams are silent there."""
        state = self._state
        epoch = int(state.entry_epoch[slot])
        if self._is_near(slot) or not state.newest[epoch % EPOCHS]:
            return True
        ticks = state.entry_time[slot]
        if (
            state.get("trusted")
            and state.horizon[epoch % EPOCHS] < ticks < state.newest[epoch % EPOCHS]
        ):
            # Of a stream that is behind the others: it displaces no other dump.
            return True
        if self._is_over(epoch) and not self._ended_there(slot):
            # All streams ended elsewhere: what comes after is not theirs.
            return False
        pace = self._pace
        waits_s = {Belief.JUMPED: pace.brief_s, Belief.MOVED: pace.quiet_s}
        wait_s = waits_s.get(Belief(int(state.entry_belief[slot])), pace.long_s)
        return now_s - self._pace.moved_s > wait_s

    def _ended_there(self, slot: int) -> bool:
        """Whether the end heaps of the streams of an entry follow its far heaps."""
        state = self._state
        brought_by = state.owner[state.entry_block[slot], np.flatnonzero(state.seen[slot])]
        return bool((state.streams["stop_follows_far"][brought_by] != 0).all())

    def _turned_out_far(self, slot: int) -> bool:
        """Whether an entry in probation is far from what is believed since."""
        probation = self._state.entry_belief[slot] == Belief.PROBATION
        return bool(probation and not self._is_first(slot) and not self._is_near(slot))

    def _is_near(self, slot: int) -> bool:
        """Whether the timestamp of an entry is near the newest of its epoch."""
        state = self._state
        newest, ticks = state.newest[state.entry_epoch[slot] % EPOCHS], state.entry_time[slot]
        return bool(max(newest, ticks) - min(newest, ticks) <= np.uint64(state.get("span_ticks")))

    def _alone_at_the_end(self, slot: int, slots: NDArray[np.int64], now_s: float) -> bool:
        """Whether an entry is the only integration that a sender sent."""
        state = self._state
        epoch = int(state.entry_epoch[slot])
        if not (self._is_first(slot) and self._is_over(epoch)):
            return False
        if np.count_nonzero(state.entry_epoch[slots] == epoch) > 1:
            return False
        if state.get("trusted") or state.is_final(state.entry_time[slot]):
            return True
        return now_s - float(self._first_s[slot]) > self._pace.quiet_s

    def _is_first(self, slot: int) -> bool:
        """Whether an entry is on probation, and nothing in its epoch, which is settled, is."""
        state = self._state
        epoch = int(state.entry_epoch[slot])
        probation = state.entry_belief[slot] == Belief.PROBATION
        return bool(probation and epoch <= state.settled_epoch and not state.newest[epoch % EPOCHS])

    def _together(self, slot: int, slots: NDArray[np.int64]) -> list[int]:
        """Return the entries of doubtful time that are believed with one, in order of time.

        Those of which each is near the next: of a sender that has jumped they are what it has sent
        since.
        """
        state = self._state
        alike = slots[
            (state.entry_epoch[slots] == state.entry_epoch[slot])
            & (state.entry_belief[slots] != Belief.BELIEVED)
            & (state.entry_state[slots] == EntryState.LIVE)
        ]
        alike = alike[np.argsort(state.entry_time[alike], kind="stable")]
        steps = np.diff(state.entry_time[alike]) > np.uint64(state.get("span_ticks"))
        part = np.concatenate(([0], np.cumsum(steps)))
        own = part[np.flatnonzero(alike == slot)[0]]
        return [int(one) for one in alike[part == own]]

    def _believe(self, slots: list[int]) -> bool:
        """Believe entries of times near each other; return whether that is possible."""
        state = self._state
        epoch = int(state.entry_epoch[slots[0]])
        first = state.entry_time[slots[0]]
        probation = all(state.entry_belief[slot] == Belief.PROBATION for slot in slots)
        far_back = not probation and first < state.newest[epoch % EPOCHS]
        if far_back and not any(self._went_back(slot) for slot in slots):
            # Streams that are far behind the others; what was handed on is too late for them.
            slots = [s for s in slots if state.entry_time[s] > state.horizon[epoch % EPOCHS]]
        elif far_back:
            # Nothing but older times comes in: the sender has gone back.
            if (state.streams["epoch"] > state.settled_epoch).any():
                return False  # or has it begun anew?  That is decided first.
            if epoch == state.settled_epoch:
                begin_epoch(
                    state.opened,
                    state.settled,
                    state.epoch + 1,
                    state.newest,
                    state.horizon,
                    state.dropped_until,
                )
            epoch = state.settled_epoch
            state.entry_epoch[slots] = epoch
        for slot in slots:
            raise_from_python(state.newest, epoch % EPOCHS, state.entry_time[slot])
            self.judged(slot)
            state.entry_belief[slot] = Belief.BELIEVED
        return bool(slots)

    def _went_back(self, slot: int) -> bool:
        """Whether the streams of an entry have gone back in time, not just one heap."""
        state = self._state
        groups = np.flatnonzero(state.seen[slot])
        brought_by = state.owner[state.entry_block[slot], groups]
        if 1 < len(groups) == state.layout.group_count:
            return bool((state.streams["newest_ticks"][brought_by] > state.entry_time[slot]).any())
        return bool((state.streams["back_run"][brought_by] >= BACK_RUN).any())

    def _was_reached(self, slot: int) -> bool:
        """Whether the streams have advanced to a timestamp that was far when it came.

        Its earlier heaps are not theirs and must not block the integration.
        """
        state = self._state
        if state.entry_belief[slot] == Belief.PROBATION:
            return False
        newest = state.newest[state.entry_epoch[slot] % EPOCHS]
        ticks = state.entry_time[slot]
        return bool(newest < ticks <= newest + np.uint64(state.get("span_ticks")))

    def _expired(self, slot: int, slots: NDArray[np.int64], now_s: float) -> bool:
        """Return whether an unbelieved entry has waited long enough for others to agree."""
        state = self._state
        waited_s = now_s - float(self._first_s[slot])
        if self._is_first(slot):
            # Alone it may be the first of a sender that takes its time.
            of_epoch = state.entry_epoch[slots] == state.entry_epoch[slot]
            alone = int(np.count_nonzero(of_epoch)) == 1
            newest = state.entry_epoch[slot] == state.settled_epoch
            return not (alone and newest) and waited_s > self._pace.long_s
        return waited_s > max(self._dump_timeout_s, 2 * self._pace.quiet_s)
