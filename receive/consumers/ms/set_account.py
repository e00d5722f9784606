"""What one of the sets that part a scan holds: the ledger of that set alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.icd.times import iso_from_mjd_s

if TYPE_CHECKING:
    from receive.icd.payload import Payload


class SetAccount:
    """Counts what was written into a set, by channel group.

    As the scan's ledger, expected = received + missing; but missing is here also what was received
    and found no room with the consumer, or could not be written.

    Parameters
    ----------
    groups
        Channel groups of each integration.

    Attributes
    ----------
    written
        Integrations that were written as they came.
    with_data
        Those of them of which something had come.
    """

    def __init__(self, groups: int) -> None:
        self.written = self.with_data = 0
        self._received = np.zeros(groups, np.int64)
        self._dumps = 0
        self._first_mjd_s = 0.0
        self._last_mjd_s = 0.0

    def add(self, payload: Payload, *, lost: bool = False) -> None:
        """Count an integration; one that was lost before has its flagged rows only."""
        present = [part.present for part in payload.parts]
        self._received += present
        self._last_mjd_s = payload.mjd_time
        if not self._dumps:
            self._first_mjd_s = payload.mjd_time
        self._dumps += 1
        self.written += not lost
        self.with_data += any(present)

    @property
    def heaps(self) -> int:
        """Heaps that were received and written."""
        return int(self._received.sum())

    def lost_lines(self, name: str) -> list[str]:
        """Return for HISTORY what could not be written; nothing if there is none."""
        lost = self._dumps - self.written
        return [f"{name}: {lost} integrations could not be written, and are flagged"] * bool(lost)

    def lines(self, name: str) -> list[str]:
        """Return the account for HISTORY.

        Parameters
        ----------
        name
            What the set is a part of.
        """
        expected, received = self._dumps * len(self._received), self.heaps
        span = f"{iso_from_mjd_s(self._first_mjd_s)} to {iso_from_mjd_s(self._last_mjd_s)}"
        heaps = f"{expected} = received {received} + missing {expected - received}"
        lines = [f"{name}: {self._dumps} integrations {span}, heaps expected {heaps}"]
        lines += [
            f"{name}, channel group {group}: expected {self._dumps}, received "
            f"{self._received[group]}, missing {self._dumps - self._received[group]}"
            for group in np.flatnonzero(self._received != self._dumps)
        ]
        return lines
