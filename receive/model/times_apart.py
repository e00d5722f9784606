"""Groups row times into integrations: equal times, and times that differ only by rounding.

Times converted through single precision, days or another time scale may differ slightly from row to
row.  Times within a small fraction of INTERVAL after the first are one integration, unless they
have more rows than an integration can have: then they are separate integrations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receive.model.row_order import pack

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING_INTERVALS = 0.01
"""Largest difference of times within an integration, as a fraction of INTERVAL."""


@dataclass
class TimeGroups:
    """Times of rows, collected in slices, and the integration of each.

    Attributes
    ----------
    largest_s : float
        Largest difference of times within one integration; 0 if none differ.
    """

    largest_s: float = 0.0
    _pieces: list[tuple[Floats, Ints]] = field(default_factory=list)
    _near_s: float = np.inf
    _baselines: list[Ints] = field(default_factory=list)
    _times: Floats = field(default_factory=lambda: np.zeros(0))
    _rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    _common: Floats = field(default_factory=lambda: np.zeros(0))

    def add(self, time: Floats, interval: Floats) -> None:
        """Add rows: TIME (MJD seconds) and INTERVAL (seconds)."""
        self._pieces.append(np.unique(time, return_counts=True))
        usable = interval[interval > 0]
        if usable.size:
            self._near_s = min(self._near_s, float(usable.min()) * ROUNDING_INTERVALS)

    def any_near(self) -> bool:
        """Return, once all rows are added, whether different times may be one integration."""
        times, rows = (np.concatenate(columns) for columns in zip(*self._pieces, strict=True))
        self._times, which = np.unique(times, return_inverse=True)
        self._rows = np.bincount(which, weights=rows).astype(np.int64)
        return bool((np.diff(self._times) <= self._near_s).any()) and np.isfinite(self._near_s)

    def add_baselines(self, antenna1: NDArray[Any], antenna2: NDArray[Any]) -> None:
        """Add antenna numbers of rows; those of all rows are needed before `join`."""
        self._baselines.append(np.unique(pack(antenna1, antenna2)))

    def join(self) -> None:
        """Find the integrations, once all baselines are added."""
        baselines = len(np.unique(np.concatenate(self._baselines)))
        most_rows = max(baselines, int(self._rows.max()))
        self._common = self._times.copy()
        first = 0
        while first < len(self._times):
            near_s = self._times[first] + self._near_s
            last = int(np.searchsorted(self._times, near_s, "right"))
            group = slice(first, last)
            if last - first > 1 and self._rows[group].sum() <= most_rows:
                self._common[group] = self._times[first + int(self._rows[group].argmax())]
                spread_s = float(self._times[last - 1] - self._times[first])
                self.largest_s = max(self.largest_s, spread_s)
            first = last

    def of(self, time: Floats) -> Floats:
        """Return the time of the integration to which each time belongs."""
        if not self.largest_s:
            return time
        return np.asarray(self._common[np.searchsorted(self._times, time)])
