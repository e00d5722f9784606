"""Cells of the rows of one integration: read together, put where their baselines are.

Everything here runs on the thread that owns casacore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.measurement_set.read.opening import damaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from receive.model.rows import RowMap


@dataclass(frozen=True, eq=False)
class IntegrationRows:
    """Rows of one integration, ascending, and the baselines that they are of.

    `first` is set where they are simply all baselines in order, one row after the other.
    """

    first: int | None
    numbers: NDArray[np.int64]
    slots: NDArray[np.intp]
    present: NDArray[np.bool_]

    @property
    def consecutive(self) -> bool:
        """Whether the rows follow each other; casacore then need not look for each of them."""
        return bool(self.numbers[-1] - self.numbers[0] == len(self.numbers) - 1)

    @classmethod
    def of(cls, row_map: RowMap, index: int) -> IntegrationRows:
        """Return those of an integration."""
        rows = row_map.rows(index)
        present = rows >= 0
        slots = np.flatnonzero(present)
        slots = slots[np.argsort(rows[slots], kind="stable")]
        return cls(row_map.first_row(index), rows[slots], slots, present)

    def without(self, missing: NDArray[np.int64]) -> IntegrationRows:
        """Return them without the rows of these numbers."""
        if not missing.size:
            return self
        kept = ~np.isin(self.numbers, missing)
        if kept.all():
            return self
        present = np.zeros_like(self.present)
        present[self.slots[kept]] = True
        return IntegrationRows(None, self.numbers[kept], self.slots[kept], present)


def read_column(
    path: Path,
    table: Any,
    name: str,
    out: NDArray[Any],
    rows: IntegrationRows,
    fill: float,
    channels: slice | None = None,
) -> None:
    """Read a column of some rows into an array of all baselines, `fill` where there is none."""
    if not len(rows.numbers):
        out.fill(fill)
        return
    try:
        if rows.first is not None:
            _copy_cells(table, name, out, rows.first, channels)
            return
        cells = np.empty((len(rows.numbers), *out.shape[1:]), out.dtype)
        if rows.consecutive:
            _copy_cells(table, name, cells, int(rows.numbers[0]), channels)
        else:
            _copy_cells(table.selectrows(rows.numbers), name, cells, 0, channels)
        out[rows.slots] = cells
        out[~rows.present] = fill
    except RuntimeError as error:
        numbers = rows.numbers
        doing = f"reading {name} of rows {numbers.min()} to {numbers.max()}"
        raise damaged(path, error, doing) from None


def _copy_cells(
    table: Any, name: str, out: NDArray[Any], first: int, channels: slice | None
) -> None:
    """Read ``len(out)`` rows from number `first`, their channels where there are any, into `out`.

    casacore fills the array in place where it has the column's type; other types (DATA in double
    precision, say) are converted.
    """
    count = len(out)
    if _NUMPY_TYPES.get(table.coldatatype(name)) != out.dtype:
        cells = table.getcol(name, first, count)
        out[...] = cells if channels is None else cells[:, channels]
    elif channels is None:
        table.getcolnp(name, out, first, count)
    else:
        last = [channels.stop - 1, out.shape[-1] - 1]
        table.getcolslicenp(name, out, [channels.start, 0], last, [], first, count)


_NUMPY_TYPES = {
    "boolean": np.dtype(np.bool_),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "complex": np.dtype(np.complex64),
}
"""casacore's names of the types that the reader's arrays have."""
