"""What the numbers of a column are: units and references of measures, by the column's own keywords.

casacore's tables say for each column in which unit it is (``QuantumUnits``, ``UNIT`` in old ones,
``VariableUnits`` for a unit of each row), and in which frame or time scale (``MEASINFO``; a column
of each row's is its ``VarRefCol``).  Where they say nothing the standard's is meant (MS version 2,
casacore note 229).  Everything here runs on the thread that owns casacore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import quanta

from receive.command.errors import InputError
from receive.model.time_scales import UTC, known_scale, to_utc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STANDARD_UNIT = {
    "TIME": "s",
    "TIME_CENTROID": "s",
    "INTERVAL": "s",
    "EXPOSURE": "s",
    "UVW": "m",
    "CHAN_FREQ": "Hz",
    "CHAN_WIDTH": "Hz",
    "REF_FREQUENCY": "Hz",
    "TOTAL_BANDWIDTH": "Hz",
    "POSITION": "m",
    "PHASE_DIR": "rad",
}
"""Columns that are read, and what their numbers are converted to."""

EPOCHS = ("TIME", "TIME_CENTROID")

_UVW_FRAMES = frozenset({"J2000", "ICRS", "ITRF"})
"""What UVW of the sky's frame are labelled with: casacore's own new sets say ITRF."""


@dataclass(frozen=True)
class Conversion:
    """From a column's numbers to the standard's units, and epochs to UTC.

    Attributes
    ----------
    column : str
        Whose numbers they are, for messages.
    factor : float or ndarray of float64
        Of units; an array where a vector's components have several.
    scale : str
        Time scale; UTC for what is no epoch.
    """

    column: str
    factor: float | NDArray[np.float64] = 1.0
    scale: str = UTC

    @property
    def is_identity(self) -> bool:
        """Whether numbers stay what they are."""
        return self.scale == UTC and bool(np.all(self.factor == 1.0))

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert numbers."""
        if self.is_identity:
            return values
        try:
            return to_utc(np.asarray(values * self.factor, np.float64), self.scale)
        except InputError as error:
            raise InputError(f"{self.column} is {error}") from None


def conversion(path: Path, table: Any, column: str, row: int | None = None) -> Conversion:
    """Return what a column's numbers must go through.

    Parameters
    ----------
    path : Path
        The set, for messages.
    table : casacore.tables.table
        The table with the column.
    column : str
        One of `STANDARD_UNIT`.
    row : int, optional
        The only row that is read; None: all are.

    Raises
    ------
    InputError
        If they are in a unit or time scale that cannot be converted, or in several.
    """
    factor = unit_factor(path, table, column, row)
    if column not in EPOCHS:
        return Conversion(column, factor)
    try:
        scale = known_scale(reference(path, table, column, UTC, row))
    except InputError as error:
        raise _refused(path, column, error) from None
    return Conversion(column, factor, scale)


def unit_factor(
    path: Path, table: Any, column: str, row: int | None = None
) -> float | NDArray[np.float64]:
    """Return what a column's numbers must be multiplied with; parameters as of `conversion`."""
    wanted = STANDARD_UNIT[column]
    keywords = table.getcolkeywords(column)
    given = keywords.get("QuantumUnits", keywords.get("UNIT", wanted))
    if "VariableUnits" in keywords:
        given = _of_rows(path, table, column, str(keywords["VariableUnits"]), row)
    units = [str(unit) or wanted for unit in np.atleast_1d(given)] or [wanted]
    factors = [_factor(path, column, unit, wanted) for unit in units]
    return factors[0] if len(set(factors)) == 1 else np.array(factors)


def _factor(path: Path, column: str, unit: str, wanted: str) -> float:
    if unit == wanted:
        return 1.0
    try:
        one = quanta.quantity(1.0, unit)
        # Asked for a value in a unit of something else, casacore gives the number as it is.
        if one.conforms(quanta.quantity(1.0, wanted)):
            return float(one.get_value(wanted))
    except RuntimeError:
        pass
    raise _refused(path, column, f"in the unit {unit!r}, which is not one of {wanted}")


def reference(path: Path, table: Any, column: str, standard: str, row: int | None = None) -> str:
    """Return the frame or time scale of a column, in capitals; parameters as of `conversion`."""
    keywords = table.getcolkeywords(column)
    info = keywords.get("MEASINFO", {})
    for offset in ("RefOffMsr", "RefOffCol"):
        if offset in info:
            raise _refused(path, column, f"counted from an offset ({offset}), which is not added")
    name = info.get("VarRefCol")
    if name is None:
        return str(info.get("Ref", keywords.get("MEASURE_REFERENCE", standard))).upper()
    given = _of_rows(path, table, column, str(name), row)
    if isinstance(given, str):
        return given.upper()
    codes = np.asarray(info.get("TabRefCodes", [])).tolist()
    if int(given) in codes:
        return str(info["TabRefTypes"][codes.index(int(given))]).upper()
    first_of_directions = standard == "J2000" and int(given) == 0
    return standard if first_of_directions else f"the frame with casacore's number {given}"


def uvw_is_usable(keywords: dict[str, Any]) -> bool:
    """Tell whether UVW with these keywords are of the frame that the standard means."""
    info = keywords.get("MEASINFO", {})
    return "VarRefCol" not in info and str(info.get("Ref", "J2000")).upper() in _UVW_FRAMES


def _of_rows(path: Path, table: Any, column: str, other: str, row: int | None) -> Any:
    """Return what another column says of one row, or of all rows together."""
    if row is not None:
        return table.getcell(other, row)
    values = set(np.asarray(table.getcol(other)).reshape(-1).tolist())
    if len(values) != 1:
        raise _refused(path, column, f"not the same from row to row: {other} holds several values")
    return values.pop()


def _refused(path: Path, column: str, why: object) -> InputError:
    return InputError(f"{path}: {column} is {why}")
