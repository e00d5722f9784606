"""Scan ids of start heaps, for senders whose data heaps carry none."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.table.shared_types import EPOCHS

if TYPE_CHECKING:
    from receive.stream.table.state import SharedState


class ScanIds:
    """Reads complete start heaps, in the collector's thread.

    Parameters
    ----------
    state
        The shared arrays.
    """

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._first_row = state.pool_size.dumps
        # Scan ids of each epoch by stream, in order of arrival.
        self._said: dict[int, dict[int, int]] = {}
        self._used: dict[int, int] = {}

    def read(self) -> None:
        """Read the scan ids of start heaps completed since the last call."""
        state = self._state
        # A copy: argwhere raises if network threads change the array meanwhile.
        came = np.argwhere(state.present[self._first_row :].copy())
        for row, stream in came.tolist():
            epoch = self._epoch_of(row, stream)
            if epoch < 0:
                continue
            state.present[self._first_row + row, stream] = 0
            scan_id = state.scan_id(self._first_row + row, stream)
            if scan_id is not None:
                said = self._said.setdefault(epoch, {})
                said.pop(stream, None)
                said[stream] = scan_id
                self.forget(epoch - EPOCHS)

    def of_epoch(self, epoch: int) -> int | None:
        """Return the scan id in the last start heap of most streams; the newest of equals.

        It is fixed once used, since a dump of that scan was then handed on.
        """
        said = self._said.get(epoch)
        if epoch not in self._used and said:
            votes = Counter(reversed(said.values()))
            self._used[epoch] = votes.most_common(1)[0][0]
        return self._used.get(epoch)

    def forget(self, epoch: int) -> None:
        """Forget the scan ids of an epoch that is over, or of a false start."""
        self._said.pop(epoch, None)
        self._used.pop(epoch, None)

    def _epoch_of(self, row: int, stream: int) -> int:
        """Return the epoch that the start heap of a row began; -1 if none so far."""
        if row >= EPOCHS:
            return int(self._state.start_epoch[row - EPOCHS, stream])
        newest = int(self._state.streams["epoch"][stream])
        return newest - (newest - row) % EPOCHS
