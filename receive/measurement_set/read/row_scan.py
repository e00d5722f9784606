"""One scan of a main table's rows: which data descriptions, times and baselines they are of."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.measurement_set.read.measures import conversion
from receive.measurement_set.read.opening import damaged
from receive.model.rows import RowMap, RowMapBuilder
from receive.model.times_apart import TimeGroups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from receive.measurement_set.read.choice import Pair
    from receive.measurement_set.read.measures import Conversion

logger = logging.getLogger(__name__)

# 256 Ki rows of the nine columns scanned are 14 MiB, whatever the size of the set.
_SCAN_ROWS = 1 << 18


class RowScan:
    """Reads the columns that say what a row is of; only on the casacore thread.

    Parameters
    ----------
    path : Path
        The set, for messages.
    table : casacore.tables.table
        Its main table.
    """

    def __init__(self, path: Path, table: Any) -> None:
        self._path = path
        self._table = table
        self._columns = frozenset(table.colnames())
        self._conversions: dict[str, Conversion] = {}

    def pairs(self) -> list[Pair]:
        """Return the data descriptions and fields that have rows, ascending."""
        pairs: set[Pair] = set()
        for start, count in self._slices():
            ids = np.stack([self._ids("DATA_DESC_ID", start, count),
                            self._ids("FIELD_ID", start, count)])  # fmt: skip
            pairs.update((int(dd), int(field)) for dd, field in np.unique(ids, axis=1).T)
        return sorted(pairs)

    def row_map(self, pair: Pair) -> RowMap:
        """Return which row is which baseline of which integration."""
        groups = self.time_groups(pair)
        builder = RowMapBuilder()
        for start, count in self._slices():
            chosen = self._chosen(pair, start, count)
            builder.add(
                groups.of(self.floats("TIME", start, count)[chosen]),
                self._ids("ANTENNA1", start, count)[chosen],
                self._ids("ANTENNA2", start, count)[chosen],
                self.floats("INTERVAL", start, count)[chosen],
                self.floats("EXPOSURE", start, count)[chosen],
                np.arange(start, start + count)[chosen],
            )
        row_map = builder.build()
        empty = row_map.exposures_s == 0
        if not empty.any():
            return row_map
        logger.warning(
            "%s: EXPOSURE of %d of %d integrations is 0: INTERVAL is taken for it",
            self._path,
            np.count_nonzero(empty),
            row_map.num_times,
        )
        return replace(
            row_map, exposures_s=np.where(empty, row_map.intervals_s, row_map.exposures_s)
        )

    def time_groups(self, pair: Pair) -> TimeGroups:
        """Return which times are the same integration; warn where any differ by rounding."""
        groups = TimeGroups()
        for start, count in self._slices():
            chosen = self._chosen(pair, start, count)
            groups.add(
                self.floats("TIME", start, count)[chosen],
                self.floats("INTERVAL", start, count)[chosen],
            )
        if not groups.any_near():
            return groups
        for start, count in self._slices():
            chosen = self._chosen(pair, start, count)
            groups.add_baselines(
                self._ids("ANTENNA1", start, count)[chosen],
                self._ids("ANTENNA2", start, count)[chosen],
            )
        groups.join()
        if groups.largest_s:
            logger.warning(
                "%s: TIME of rows of one integration differs by up to %.3g s: the time that most "
                "of its rows have is taken for all",
                self._path,
                groups.largest_s,
            )
        return groups

    def floats(self, name: str, start: int, count: int) -> NDArray[np.float64]:
        """Return a column of numbers of some rows, in the standard's units."""
        values = self._get(name, start, count, np.float64)
        return self.conversion(name)(values)

    def conversion(self, name: str) -> Conversion:
        """Return what a column's numbers go through."""
        if name not in self._conversions:
            self._conversions[name] = conversion(self._path, self._table, name)
        return self._conversions[name]

    def _chosen(self, pair: Pair, start: int, count: int) -> Any:
        wanted = self._ids("DATA_DESC_ID", start, count) == pair[0]
        wanted &= self._ids("FIELD_ID", start, count) == pair[1]
        return slice(None) if wanted.all() else wanted

    def _slices(self) -> Iterator[tuple[int, int]]:
        rows = self._table.nrows()
        for start in range(0, rows, _SCAN_ROWS):
            yield start, min(_SCAN_ROWS, rows - start)

    def _ids(self, name: str, start: int, count: int) -> NDArray[np.int32]:
        if name not in self._columns:
            return np.zeros(count, np.int32)
        return self._get(name, start, count, np.int32)

    def _get(self, name: str, start: int, count: int, dtype: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._table.getcol(name, start, count), dtype)
        except RuntimeError as error:
            rows = f"{start} to {start + count - 1}"
            raise damaged(self._path, error, f"reading {name} of rows {rows}") from None
