"""Counts the streams that left an epoch with an end heap, and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.stream.table.shared_types import BROKEN, BY_END_HEAP, EPOCHS

if TYPE_CHECKING:
    from receive.stream.table.state import SharedState


def stream_ends(state: SharedState, epoch: int) -> tuple[int, int, int]:
    """Count the streams that had data in an epoch, by how they left it.

    Parameters
    ----------
    state
        The shared arrays.
    epoch
        Which start of the sender.

    Returns
    -------
    ended, left, broken : int
        Streams with an end heap; streams without; and those of the latter whose connection ended
        and was not replaced.
    """
    streams = state.streams
    here = (streams["epoch"] == epoch) & (streams["data_in_epoch"] > 0)
    gone_on = streams["epoch"] > epoch
    left = state.left[epoch % EPOCHS]
    ended = (here & (streams["ended"] == BY_END_HEAP)) | (gone_on & (left == 2 * epoch + 1))
    without = (here & (streams["ended"] != BY_END_HEAP)) | (gone_on & (left == 2 * epoch))
    broken = here & (streams["ended"] == BROKEN)
    return int(ended.sum()), int(without.sum()), int(broken.sum())


def all_streams_over(state: SharedState, epoch: int) -> bool:
    """Whether every stream has ended an epoch or is in a newer settled one."""
    epochs = state.streams["epoch"]
    newer, unsettled = epochs > epoch, epochs > state.settled_epoch
    left = unsettled & (state.left[epoch % EPOCHS] == 2 * epoch + 1)
    over = (newer & ~unsettled) | left | ((epochs == epoch) & (state.streams["ended"] != 0))
    return bool(over.all())
