"""A main table as a sender takes it: its rows and columns, with the values that travel.

Comparing what came back with what was sent needs the same choices, conversions and fillings that
the reader makes; they are the reader's own.  Only on the casacore thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from receive.measurement_set.read.choice import Choice, choose
from receive.measurement_set.read.measures import uvw_is_usable
from receive.measurement_set.read.row_scan import RowScan
from receive.measurement_set.read.spectra_cells import SpectraCells
from receive.measurement_set.read.subtables import Description, read_description

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from receive.measurement_set.read.choice import Pair

_QUANTITIES = ("TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "UVW")


class SentView:
    """Looks like a casacore table; what it does not say itself the table says.

    Parameters
    ----------
    path : Path
        The set.
    table : casacore.tables.table
        Its main table.
    column : str
        Which visibilities were sent.
    pair : (int, int) or None
        Data description and field that were sent; None: the first that will do.

    Attributes
    ----------
    description : Description
        Of the rows.
    converted : set of str
        Columns that are in other units or time scales, or of another name.
    uvw_is_usable : bool
        Whether UVW are read, not computed.
    """

    def __init__(self, path: Path, table: Any, column: str, pair: Pair | None) -> None:
        self._column = column
        scan = RowScan(path, table)
        pairs = scan.pairs()
        if pair in pairs:
            self.description = read_description(path, table, *pair)
        else:
            self.description = choose(path, table, pairs, Choice(), _any_will_do)
        chosen = (self.description.data_desc_id, self.description.field_id)
        self._cells = SpectraCells.look(path, table, self.description, column)
        self._columns = frozenset(table.colnames())
        self._conversions = {
            name: scan.conversion(name) for name in _QUANTITIES if name in self._columns
        }
        self.converted = {
            name for name, convert in self._conversions.items() if not convert.is_identity
        }
        if column != "DATA":
            self.converted.add("DATA")
        self.uvw_is_usable = uvw_is_usable(table.getcolkeywords("UVW"))
        groups = scan.time_groups(chosen)
        self._table, self._rows = table, np.arange(table.nrows())
        if len(pairs) > 1:
            wanted = np.ones(table.nrows(), np.bool_)
            for name, number in zip(("DATA_DESC_ID", "FIELD_ID"), chosen, strict=True):
                if name in self._columns:
                    wanted &= table.getcol(name) == number
            self._rows = np.flatnonzero(wanted)
            self._table = table.selectrows(self._rows)
        raw_s = np.asarray(self._table.getcol("TIME"), np.float64)
        self._times = groups.of(self._conversions["TIME"](raw_s))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def selectrows(self, numbers: NDArray[np.int64]) -> Self:
        """Return some of the rows."""
        view = type(self).__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._table = self._table.selectrows(numbers)  # noqa: SLF001 (of its own kind)
        view._rows = self._rows[numbers]  # noqa: SLF001
        view._times = self._times[numbers]  # noqa: SLF001
        return view

    def colnames(self) -> list[str]:
        """Return the columns that a sender sees; it sees flags even where there are none."""
        names = [name for name in self._table.colnames() if name not in {"DATA", self._column}]
        if "WEIGHT_SPECTRUM" in names and "WEIGHT_SPECTRUM" not in self._cells.missing:
            names.remove("WEIGHT_SPECTRUM")
        return ["DATA", *names] if "FLAG" in names else ["DATA", "FLAG", *names]

    def iscelldefined(self, name: str, row: int) -> bool:
        """Return whether a cell is there."""
        return bool(self._table.iscelldefined(self._name(name), row))

    def getcell(self, name: str, row: int) -> Any:
        """Return a cell; of quantities the value that travels."""
        if name in self._conversions:
            return self.getcol(name, row, 1)[0]
        return self._table.getcell(self._name(name), row)

    def getcoldesc(self, name: str) -> Any:
        """Return the description of a column."""
        return self._table.getcoldesc(self._name(name))

    def coldatatype(self, name: str) -> str:
        """Return the type of a column."""
        return str(self._table.coldatatype(self._name(name)))

    def isscalarcol(self, name: str) -> bool:
        """Return whether a column holds no arrays."""
        return bool(self._table.isscalarcol(self._name(name)))

    def getcol(self, name: str, start: int = 0, count: int = -1) -> Any:
        """Return the values that travel."""
        rows = slice(start, len(self._rows) if count < 0 else start + count)
        if name == "TIME":
            return self._times[rows]
        if name in {"DATA", "FLAG", "WEIGHT_SPECTRUM"}:
            return self._spectra(name, rows)
        values = self._table.getcol(self._name(name), rows.start, rows.stop - rows.start)
        if name not in self._conversions:
            return values
        values = np.asarray(values, np.float64)
        if name == "EXPOSURE":
            values = self._conversions[name](values)
            return np.where(values == 0, self.getcol("INTERVAL", start, count), values)
        if name == "TIME_CENTROID":
            given = values != 0
            centroids = self._times[rows].copy()
            centroids[given] = self._conversions[name](values[given])
            return centroids
        return self._conversions[name](values)

    def unset(self, name: str) -> int:
        """Return in how many rows a column is 0, for which something else travels."""
        return int(np.count_nonzero(self._table.getcol(name) == 0)) if name in self._columns else 0

    def _name(self, name: str) -> str:
        return self._column if name == "DATA" else name

    def _spectra(self, name: str, rows: slice) -> Any:
        missing = np.isin(self._rows[rows], self._missing(name))
        numbers = np.arange(rows.start, rows.stop)
        channels, pols = len(self.description.channel_freq_hz), len(self.description.corr_types)
        if name == "FLAG" and "FLAG" not in self._columns:
            values = np.zeros((len(numbers), channels, pols), np.bool_)
        elif not missing.any():
            values = self._table.getcol(self._name(name), rows.start, len(numbers))
        else:
            dtype = {"DATA": np.complex64, "FLAG": np.bool_, "WEIGHT_SPECTRUM": np.float32}[name]
            values = np.zeros((len(numbers), channels, pols), dtype)
            if not missing.all():
                there = self._table.selectrows(numbers[~missing])
                values[~missing] = there.getcol(self._name(name))
            if name == "WEIGHT_SPECTRUM":
                exposures_s = self.getcol("EXPOSURE", rows.start, len(numbers))[missing]
                widths_hz = np.abs(self.description.channel_width_hz)
                values[missing] = (exposures_s[:, np.newaxis] * widths_hz)[..., np.newaxis]
        if name == "FLAG":
            values[np.isin(self._rows[rows], self._missing("DATA"))] = True
        return values.astype(np.complex64, copy=False) if name == "DATA" else values

    def _missing(self, name: str) -> NDArray[np.int64]:
        return self._cells.missing.get(self._name(name), np.zeros(0, np.int64))


def _any_will_do(_description: Description) -> None:
    """Take the first that can be read."""
