"""Moves heaps placed in the epoch of a false start to the epoch where their stream continues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from receive.stream.table.atomics import compare_and_swap, full_fence
from receive.stream.table.shared_types import PUT_BACK, EntryState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.stream.table.state import SharedState


def put_back_strays(state: SharedState, slots: NDArray[np.int64]) -> None:
    """Move complete heaps out of unsettled epochs that their stream has returned from.

    Only into a live entry of the same timestamp that lacks the heap; any other heap may be of
    another sender.

    Parameters
    ----------
    state
        The shared arrays; called by the collector, which alone closes entries.
    slots
        Live entries.
    """
    settled = state.settled_epoch
    unsettled = state.entry_epoch[slots] > settled
    believed = slots[~unsettled]
    for stray in slots[unsettled].tolist():
        alike = believed[state.entry_time[believed] == state.entry_time[stray]]
        if not len(alike):
            continue
        block = int(state.entry_block[stray])
        whole = (state.seen[stray] == 1) & (state.present[block] == 1)
        for group in np.flatnonzero(whole).tolist():
            epoch = state.streams["epoch"][state.owner[block, group]]
            for slot in alike[state.entry_epoch[alike] == epoch].tolist():
                if state.entry_state[slot] == EntryState.LIVE and _claim(state.seen[slot], group):
                    state.seen[stray, group] = PUT_BACK
                    _copy(state, block, int(state.entry_block[slot]), group)


def _copy(state: SharedState, source: int, target: int, group: int) -> None:
    layout = state.layout
    begins = [block * layout.dump_bytes + group * layout.slot_bytes for block in (source, target)]
    here, there = (slice(begin, begin + layout.slot_bytes) for begin in begins)
    state.memory[there] = state.memory[here]
    offset = state.scan_offset[source, group]
    state.scan_offset[target, group] = offset if offset < 0 else offset + begins[1] - begins[0]
    for array in (state.owner, state.begun_at):
        array[target, group] = array[source, group]
    full_fence()
    state.present[target, group] = 1


@njit(nogil=True, cache=True)
def _claim(seen: Any, group: int) -> Any:
    """Claim the place of a heap unless a network thread has done so."""
    return compare_and_swap(seen, group, np.uint8(0), np.uint8(1))  # type: ignore[call-arg] # numba passes the typing context
