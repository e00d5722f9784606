"""Which row of one set is which of another: by order, or by time and antennas.

A set that went over the wire comes back with its rows in time order and the model's baselines at
every time.  Where the sent set was square and in that order, rows match by their numbers; where it
was not, they match by TIME and antennas, and rows of B that A never had must be flagged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.measurement_set.compare.report import MAIN, Report, Where, plural
from receive.measurement_set.read.columns import read_cells, row_slices
from receive.model.row_order import pack, repeat_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEYS = ("TIME", "ANTENNA1", "ANTENNA2")


@dataclass(frozen=True)
class MatchedRows:
    """Two tables whose rows correspond by number, and what was left over.

    Attributes
    ----------
    a, b : casacore.tables.table
        The tables, or views of those rows of them that have a counterpart.
    only_a, only_b : ndarray of int64
        Numbers of the rows without one.
    reordered : bool
        Whether the order of rows in B is another.
    """

    a: Any
    b: Any
    only_a: NDArray[np.int64]
    only_b: NDArray[np.int64]
    reordered: bool

    def report(self, report: Report, a: Any, b: Any) -> None:
        """Note rows that are missing in B, and rows of B's own that are not flagged."""
        if self.reordered:
            report.not_compared.append(
                "order of rows: they were matched by TIME, ANTENNA1 and ANTENNA2"
            )
        if self.only_a.size:
            first = int(self.only_a[0])
            where = Where(a, main=True)
            text = f"{plural(self.only_a.size, 'row')} of A are missing in B, first in "
            report.add(
                MAIN,
                None,
                "rows",
                text + where.row(first),
                rows=int(self.only_a.size),
                first=where.details(first, ()),
            )
        if self.only_b.size:
            self._report_holes(report, b)

    def _report_holes(self, report: Report, b: Any) -> None:
        view = b.selectrows(self.only_b)
        unflagged = [
            piece.start + row
            for piece in row_slices(view, "FLAG")
            for row, cell in enumerate(read_cells(view, "FLAG", piece))
            if cell is None or not np.all(cell)
        ]
        if not unflagged:
            count = plural(self.only_b.size, "flagged row")
            report.not_compared.append(f"{count} of B: A does not have their times and baselines")
            return
        where = Where(b, main=True)
        first = int(self.only_b[unflagged[0]])
        report.add(
            MAIN,
            None,
            "rows",
            f"{plural(len(unflagged), 'row')} of B that A does not have are not flagged, first in "
            + where.row(first),
            rows=len(unflagged),
            first=where.details(first, ()),
        )


def match_rows(a: Any, b: Any) -> MatchedRows:
    """Match the rows of two main tables.

    Rows match by order where both have equally many with the same antennas in every one of them.
    Otherwise all times and antenna numbers of both are held in memory, 16 bytes a row.

    Parameters
    ----------
    a, b : casacore.tables.table
        Open main tables.

    Returns
    -------
    MatchedRows
        Views of both in which rows correspond, in A's order.
    """
    none = np.empty(0, dtype=np.int64)
    if a.nrows() == b.nrows() and _same_antennas(a, b):
        return MatchedRows(a, b, none, none, reordered=False)
    rows_a, rows_b = _pair(_keys(a), _keys(b))
    return MatchedRows(
        a if len(rows_a) == a.nrows() else a.selectrows(rows_a),
        b.selectrows(rows_b),
        np.setdiff1d(np.arange(a.nrows()), rows_a),
        np.setdiff1d(np.arange(b.nrows()), rows_b),
        reordered=bool((np.diff(rows_b) < 0).any()),
    )


def _same_antennas(a: Any, b: Any) -> bool:
    return all(
        np.array_equal(
            np.asarray(read_cells(a, column, piece)), np.asarray(read_cells(b, column, piece))
        )
        for column in ("ANTENNA1", "ANTENNA2")
        for piece in row_slices(a, column)
    )


def _keys(table: Any) -> list[NDArray[Any]]:
    """Return time, antennas and which repeat of a baseline within a time, one array each."""
    time_s, antenna1, antenna2 = (np.asarray(table.getcol(name)) for name in _KEYS)
    return [time_s, antenna1, antenna2, repeat_numbers(time_s, pack(antenna1, antenna2))]


def _pair(
    keys_a: list[NDArray[Any]], keys_b: list[NDArray[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of A that have a counterpart in B, in order, and the counterparts."""
    count_a = len(keys_a[0])
    both = [np.concatenate(pair) for pair in zip(keys_a, keys_b, strict=True)]
    # Stable: of two equal keys, which are then one of A and one of B, that of A comes first.
    order = np.lexsort(both[::-1])
    pairs = np.flatnonzero(~_changes([column[order] for column in both]))
    rows_a, rows_b = order[pairs], order[pairs + 1] - count_a
    in_order = np.argsort(rows_a)
    return rows_a[in_order], rows_b[in_order]


def _changes(columns: list[NDArray[Any]]) -> NDArray[np.bool_]:
    """Tell between which neighbours any of some columns changes."""
    changes: NDArray[np.bool_] = np.zeros(max(len(columns[0]) - 1, 0), dtype=bool)
    for column in columns:
        changes |= column[1:] != column[:-1]
    return changes
