"""Which streams brought the end of a start of the sender, and which left it without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.stream.table.shared_types import BROKEN, BY_END_HEAP, EPOCHS

if TYPE_CHECKING:
    from receive.stream.table.state import SharedState


def stream_ends(state: SharedState, epoch: int) -> tuple[int, int, int]:
    """Count the streams that brought data in an epoch.

    Parameters
    ----------
    state
        The shared arrays.
    epoch
        Which start of the sender.

    Returns
    -------
    ended, left, broken : int
        Those that brought their end; those that did not, and of them those whose connection is
        gone and no other has taken its place.
    """
    streams = state.streams
    here = (streams["epoch"] == epoch) & (streams["data_in_epoch"] > 0)
    gone_on = streams["epoch"] > epoch
    left = state.left[epoch % EPOCHS]
    ended = (here & (streams["ended"] == BY_END_HEAP)) | (gone_on & (left == 2 * epoch + 1))
    without = (here & (streams["ended"] != BY_END_HEAP)) | (gone_on & (left == 2 * epoch))
    broken = here & (streams["ended"] == BROKEN)
    return int(ended.sum()), int(without.sum()), int(broken.sum())
