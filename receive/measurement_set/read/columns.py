"""Columns of any kind, read a few rows at a time: what comparing and plotting stand on.

A casacore column holds numbers, truth values, strings or records, one or an array of them in each
row, and the arrays need not have one shape, or be there at all.  :func:`read_cells` answers all of
these with one of two things: an array whose first axis is the row, where the rows of a slice agree
in shape, or else a list of one array (or ``None``: undefined) a row.

Everything here must run on the thread that owns casacore (:mod:`.casacore_thread`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from receive.measurement_set.read.texts import read_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of one column that are in memory at a time; comparisons hold a few times this.
SLICE_BYTES = 8 << 20

#: Rows in a slice at most, whatever their size: strings are Python objects of unknown length.
SLICE_ROWS = 65536

#: How many bytes a value is taken for when its type does not say (strings, records).
_UNSIZED_BYTES = 64

Cells = NDArray[Any] | list[NDArray[Any] | None]


def row_slices(table: Any, column: str, slice_bytes: int = SLICE_BYTES) -> Iterator[slice]:
    """Divide the rows of a table into slices of one column that fit into memory.

    Parameters
    ----------
    table : casacore.tables.table
        An open table.
    column : str
        The column that will be read; its first defined cell of the first few rows tells its size.
    slice_bytes : int
        About how many bytes a slice may have.

    Yields
    ------
    slice
        Of rows, in order, together all of them.
    """
    rows = table.nrows()
    step = max(1, min(SLICE_ROWS, slice_bytes // cell_bytes(table, column)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def cell_bytes(table: Any, column: str) -> int:
    """Estimate the bytes of one cell of a column from its first defined cell."""
    for row in range(min(table.nrows(), 16)):
        if table.iscelldefined(column, row):
            cell = np.asarray(read_cell(table, column, row))
            sized = cell.dtype.kind in "biufc"
            return max(1, cell.nbytes if sized else cell.size * _UNSIZED_BYTES)
    return _UNSIZED_BYTES


def read_cells(table: Any, column: str, rows: slice) -> Cells:
    """Read the cells of a column in a slice of rows.

    Parameters
    ----------
    table : casacore.tables.table
        An open table.
    column : str
        Its name.
    rows : slice
        Start and stop; the step is 1.

    Returns
    -------
    ndarray or list
        ``(rows, *shape)`` where every cell is there and all have one shape, else one array a row,
        ``None`` where the cell is undefined.  Strings and records come as arrays of objects.
    """
    count = rows.stop - rows.start
    try:
        values = table.getcol(column, rows.start, count)
    except (RuntimeError, TypeError, UnicodeDecodeError):
        # No array in some row, several shapes, or text that is not UTF-8.
        return [_read_cell(table, column, row) for row in range(rows.start, rows.stop)]
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, dict) and "array" in values:
        return _objects(values["array"]).reshape(values["shape"])
    return _objects(values)


def _read_cell(table: Any, column: str, row: int) -> NDArray[Any] | None:
    if not table.iscelldefined(column, row):
        return None
    value = read_cell(table, column, row)
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, dict) and "array" in value:
        return _objects(value["array"]).reshape(value["shape"])
    if isinstance(value, list):
        return _objects(value)
    return _objects([value]).reshape(())


def _objects(values: Any) -> NDArray[Any]:
    """Make an array of Python objects of a sequence; a plain np.array would look inside them."""
    sequence = list(values)
    array = np.empty(len(sequence), dtype=object)
    array[:] = sequence
    return array
