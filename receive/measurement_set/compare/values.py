"""How far two pieces of one column are apart: tolerances, and the tally of what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.measurement_set.read.columns import Cells

_NUMERIC = "biufc"
_MEASURED = "iufc"


@dataclass(frozen=True)
class Tolerances:
    """Which differences are none: ``|b - a| <= atol + rtol |a|``, by column or for all of them.

    Parameters
    ----------
    atol, rtol : float
        Of every column of floating point or complex numbers that is not named in the mappings.
    atol_of, rtol_of : mapping of str to float
        By column, ``COLUMN`` of the main table or ``SUBTABLE/COLUMN``; whole numbers too.
    """

    atol: float = 0.0
    rtol: float = 0.0
    atol_of: Mapping[str, float] = field(default_factory=dict)
    rtol_of: Mapping[str, float] = field(default_factory=dict)

    def of(self, column: str, values: NDArray[Any]) -> tuple[float, float]:
        """Return the tolerances (absolute, relative) that hold for values of a column."""
        everywhere = values.dtype.kind in "fc"
        return (
            self.atol_of.get(column, self.atol if everywhere else 0.0),
            self.rtol_of.get(column, self.rtol if everywhere else 0.0),
        )


@dataclass(frozen=True)
class FirstDifference:
    """Where two columns first differ: the row, the place in its cell, and both values."""

    row: int
    index: tuple[int, ...]
    a: Any
    b: Any


@dataclass
class Tally:
    """What was found of one column so far.

    Attributes
    ----------
    values, differing : int
        Numbers (strings, ...) compared, and those that differ.
    rows_differing : int
        Rows with at least one of them.
    rows_unlike : int
        Rows whose cells have different shapes or are defined in one set only.
    largest_absolute, largest_relative : float or None
        Of ``|b - a|`` and ``|b - a| / |a|`` over what differs, where these are finite.
    first : FirstDifference or None
        Where a value differs first.
    first_unlike : tuple of (int, str) or None
        The first row of ``rows_unlike``, and how it differs.
    """

    values: int = 0
    differing: int = 0
    rows_differing: int = 0
    rows_unlike: int = 0
    largest_absolute: float | None = None
    largest_relative: float | None = None
    first: FirstDifference | None = None
    first_unlike: tuple[int, str] | None = None

    def add(self, first_row: int, a: NDArray[Any], b: NDArray[Any], differs: NDArray[Any]) -> None:
        """Count a slice of rows.

        Parameters
        ----------
        first_row : int
            Number of the slice's first row.
        a, b : ndarray
            The two slices, ``(rows, ...)``.
        differs : ndarray of bool
            Where they differ, of the same shape.
        """
        self.values += differs.size
        count = int(np.count_nonzero(differs))
        if count == 0:
            return
        self.differing += count
        self.rows_differing += int(np.count_nonzero(differs.reshape(len(differs), -1).any(axis=1)))
        if self.first is None:
            at = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), differs.shape))
            self.first = FirstDifference(first_row + at[0], at[1:], _plain(a[at]), _plain(b[at]))
        if a.dtype.kind in _MEASURED and b.dtype.kind in _MEASURED:
            self._measure(_wide(a[differs]), _wide(b[differs]))

    def unlike(self, row: int, how: str) -> None:
        """Count a row whose cells cannot be compared value by value."""
        self.rows_unlike += 1
        if self.first_unlike is None:
            self.first_unlike = (row, how)

    def _measure(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        with np.errstate(all="ignore"):
            distance = np.abs(b - a)
            relative = distance / np.abs(a)
        self.largest_absolute = _larger(self.largest_absolute, distance)
        self.largest_relative = _larger(self.largest_relative, relative)


def compare_cells(
    tally: Tally, column: str, first_row: int, a: Cells, b: Cells, tolerances: Tolerances
) -> None:
    """Compare one slice of rows of a column and count what differs.

    Parameters
    ----------
    tally : Tally
        Is added to.
    column : str
        As it is named in ``tolerances``.
    first_row : int
        Number of the first row of the slice.
    a, b : ndarray or list
        The cells, from :func:`.cells.read_cells`, of equally many rows.
    tolerances : Tolerances
        What is no difference.
    """
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape == b.shape:
        tally.add(first_row, a, b, differing(a, b, *tolerances.of(column, a)))
        return
    for row, (cell_a, cell_b) in enumerate(zip(a, b, strict=True), start=first_row):
        if cell_a is None and cell_b is None:
            continue
        if cell_a is None or cell_b is None:
            tally.unlike(row, f"is defined in {'B' if cell_a is None else 'A'} only")
            continue
        one_a, one_b = np.asarray(cell_a)[np.newaxis], np.asarray(cell_b)[np.newaxis]
        if one_a.shape != one_b.shape:
            tally.unlike(
                row, f"has shape {list(one_a.shape[1:])} in A, {list(one_b.shape[1:])} in B"
            )
            continue
        tally.add(row, one_a, one_b, differing(one_a, one_b, *tolerances.of(column, one_a)))


def differing(
    a: NDArray[Any], b: NDArray[Any], atol: float = 0.0, rtol: float = 0.0
) -> NDArray[np.bool_]:
    """Find where two arrays of one shape differ; a NaN equals a NaN.

    Complex numbers are equal when both their parts are; with a tolerance, when the distance in
    the plane is within it.

    Parameters
    ----------
    a, b : ndarray
        Of one shape and any type.
    atol, rtol : float
        A distance up to ``atol + rtol * |a|`` is no difference.

    Returns
    -------
    ndarray of bool
        True where they differ.
    """
    if a.dtype.kind not in _NUMERIC or b.dtype.kind not in _NUMERIC:
        return _differing_objects(a, b)
    differs = _unequal(a, b)
    if (atol > 0 or rtol > 0) and differs.any():
        wide_a, wide_b = _wide(a[differs]), _wide(b[differs])
        with np.errstate(all="ignore"):
            near = np.abs(wide_b - wide_a) <= atol + rtol * np.abs(wide_a)
        # An infinity is near nothing but itself, although rtol x infinity would allow it all.
        differs[differs] = ~(near & np.isfinite(wide_a) & np.isfinite(wide_b))
    return differs


def differing_bits(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Find where two arrays of one shape and dtype are not the same to the last bit."""
    if a.dtype != b.dtype:
        return differing(a, b)
    size = a.dtype.itemsize
    bytes_a = np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(-1, size)
    bytes_b = np.ascontiguousarray(b).reshape(-1).view(np.uint8).reshape(-1, size)
    differs: NDArray[np.bool_] = (bytes_a != bytes_b).any(axis=1)
    return differs.reshape(a.shape)


def _unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    if "c" in a.dtype.kind + b.dtype.kind:
        return _unequal(a.real, b.real) | _unequal(a.imag, b.imag)
    unequal: NDArray[np.bool_] = np.asarray(a != b)
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        unequal &= ~(np.isnan(a) & np.isnan(b))
    return unequal


def _differing_objects(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    pairs = zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)
    return np.fromiter((not same(x, y) for x, y in pairs), dtype=bool, count=a.size).reshape(
        a.shape
    )


def same(a: Any, b: Any) -> bool:
    """Compare two values of keywords or records, arrays inside them included; NaN equals NaN."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return type(a) is type(b) and bool(a == b)
    array_a, array_b = np.asarray(a), np.asarray(b)
    if array_a.shape != array_b.shape:
        return False
    if array_a.dtype.kind in _NUMERIC and array_b.dtype.kind in _NUMERIC:
        return not _unequal(array_a, array_b).any()
    return bool(array_a.tolist() == array_b.tolist())


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    """Return values with enough bits to subtract them: whole numbers and bools would wrap."""
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _larger(largest: float | None, values: NDArray[Any]) -> float | None:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return largest
    found = float(finite.max())
    return found if largest is None else max(largest, found)


def _plain(value: Any) -> Any:
    """Return a Python object of a numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value
