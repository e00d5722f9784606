"""Scan ids that start heaps bring, for senders whose heaps of data bring none."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.table.shared_types import EPOCHS

if TYPE_CHECKING:
    from receive.stream.table.state import SharedState


class ScanIds:
    """Reads start heaps when they are whole, in the collector's thread.

    Parameters
    ----------
    state
        The shared arrays.
    """

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._first_row = state.pool_size.dumps
        # Of each epoch, by stream; the last one last.
        self._said: dict[int, dict[int, int]] = {}
        self._used: dict[int, int] = {}

    def read(self) -> None:
        """Take over what start heaps say that have come since the last call."""
        state = self._state
        # Of a copy: numpy refuses to list what the network threads change meanwhile.
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
        """Return what the last starts of most streams said, the last of several.

        It stays once it was used: what is handed on is part of that scan.
        """
        said = self._said.get(epoch)
        if epoch not in self._used and said:
            votes = Counter(reversed(said.values()))
            self._used[epoch] = votes.most_common(1)[0][0]
        return self._used.get(epoch)

    def forget(self, epoch: int) -> None:
        """Forget what was said of an epoch that is over, or was none."""
        self._said.pop(epoch, None)
        self._used.pop(epoch, None)

    def _epoch_of(self, row: int, stream: int) -> int:
        """Return the epoch that a start began, -1 if none so far."""
        if row >= EPOCHS:
            return int(self._state.start_epoch[row - EPOCHS, stream])
        newest = int(self._state.streams["epoch"][stream])
        return newest - (newest - row) % EPOCHS
