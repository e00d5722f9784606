"""What a comparison of two Measurement Sets found, and how it is told to people and programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.measurement_set.compare.values import Tally

#: The name under which the main table is reported; subtables have their keyword's name.
MAIN = "MAIN"

_MJD_EPOCH = datetime(1858, 11, 17)

#: Cells of these dimensions are (channel, polarisation) in the main table.
_SPECTRUM_AXES = ("channel", "polarisation")


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes
    ----------
    table : str
        `MAIN` or the name of a subtable (``SUBTABLE/INNER`` for one inside it).
    column : str or None
        The column, None where the table as a whole differs.
    kind : str
        ``table``, ``rows``, ``column``, ``type``, ``keywords``, ``shape`` or ``values``; after a
        trip over the wire also ``consistency``: columns of B that do not follow from one another.
    text : str
        What differs, for people.
    details : dict
        The same for programs: numbers and places, JSON types only.
    """

    table: str
    column: str | None
    kind: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the line that tells it."""
        where = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{where}: {self.text}"


@dataclass
class Report:
    """All that a comparison found.

    Attributes
    ----------
    differences : list of Difference
        In the order in which they were found: main table first.
    compared : list of str
        ``TABLE.COLUMN`` of everything that was looked at.
    not_compared : list of str
        Columns and tables that were left out, each as ``NAME: reason``.
    """

    differences: list[Difference] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def add(self, table: str, column: str | None, kind: str, text: str, **details: Any) -> None:
        """Note a difference."""
        self.differences.append(Difference(table, column, kind, text, details))

    def add_tally(
        self, table: str, column: str, tally: Tally, where: Where, *, expected: str = "A"
    ) -> None:
        """Note what a tally of a column holds, if anything differed.

        Parameters
        ----------
        table, column : str
            What was compared.
        tally : Tally
            What was counted.
        where : Where
            Names the places.
        expected : str
            What the first of the two values is: set A's, or one that was computed.
        """
        if tally.first_unlike is not None:
            row, how = tally.first_unlike
            self.add(
                table,
                column,
                "shape",
                f"{plural(tally.rows_unlike, 'cell')} of another shape, first in "
                f"{where.row(row)}, which {how}",
                rows=tally.rows_unlike,
                first=where.details(row, ()),
            )
        if tally.first is not None:
            first = tally.first
            text = f"{tally.differing} of {plural(tally.values, 'value')} in "
            text += f"{plural(tally.rows_differing, 'row')} differ"
            if tally.largest_absolute is not None:
                text += f", by up to {tally.largest_absolute:.6g}"
                if tally.largest_relative is not None:
                    text += f" (relative {tally.largest_relative:.3g})"
            text += f", first in {where.cell(first.row, first.index)}: "
            text += f"{expected} {_short(first.a)}, B {_short(first.b)}"
            self.add(
                table,
                column,
                "values",
                text,
                differing=tally.differing,
                values=tally.values,
                rows=tally.rows_differing,
                largest_absolute=tally.largest_absolute,
                largest_relative=tally.largest_relative,
                first={
                    **where.details(first.row, first.index),
                    "a": _json(first.a),
                    "b": _json(first.b),
                },
            )

    def to_dict(self, a: str, b: str) -> dict[str, Any]:
        """Return the report as JSON types, with the names of the two sets."""
        return {
            "a": a,
            "b": b,
            "same": self.same,
            "differences": [asdict(difference) for difference in self.differences],
            "compared": self.compared,
            "not_compared": self.not_compared,
        }

    def lines(self) -> list[str]:
        """Return the report as lines for people, the verdict last."""
        lines = [str(difference) for difference in self.differences]
        reasons: dict[str, list[str]] = {}
        for text in self.not_compared:
            name, _, reason = text.partition(": ")
            reasons.setdefault(reason, []).append(name)
        lines += [
            f"not compared: {', '.join(names)}: {reason}" for reason, names in reasons.items()
        ]
        if self.same:
            lines.append(f"the same: {plural(len(self.compared), 'column')} compared")
        else:
            lines.append(
                f"{plural(len(self.differences), 'difference')} "
                f"in {plural(len(self.compared), 'column')} compared"
            )
        return lines


class Where:
    """Says where in a table a cell is, in words an astronomer looks for.

    Parameters
    ----------
    table : casacore.tables.table
        The open table (set A's).
    main : bool
        Whether it is a main table, whose rows have a time and two antennas.
    """

    def __init__(self, table: Any, *, main: bool) -> None:
        self._table = table
        self._main = main and {"TIME", "ANTENNA1", "ANTENNA2"} <= set(table.colnames())

    def details(self, row: int, index: Sequence[int]) -> dict[str, Any]:
        """Return row, time, antennas and the place in the cell as JSON types."""
        found: dict[str, Any] = {"row": row}
        if self._main:
            found["time_mjd_s"] = float(self._table.getcell("TIME", row))
            found["time"] = utc(found["time_mjd_s"])
            found["antennas"] = [int(self._table.getcell(f"ANTENNA{n}", row)) for n in (1, 2)]
        if self._main and len(index) == len(_SPECTRUM_AXES):
            found.update(zip(_SPECTRUM_AXES, index, strict=True))
        elif index:
            found["index"] = list(index)
        return found

    def row(self, row: int) -> str:
        """Return the row in words."""
        return self.cell(row, ())

    def cell(self, row: int, index: Sequence[int]) -> str:
        """Return the row and the place in its cell in words."""
        found = self.details(row, index)
        text = f"row {row}"
        if self._main:
            text += f" ({found['time']}, antennas {found['antennas'][0]}-{found['antennas'][1]}"
            if "channel" in found:
                text += f", channel {found['channel']}, polarisation {found['polarisation']}"
            text += ")"
        if "index" in found:
            text += f" at {found['index']}"
        return text


def utc(time_mjd_s: float) -> str:
    """Write MJD seconds as date and time; as they are where no calendar has them."""
    try:
        moment = _MJD_EPOCH + timedelta(seconds=time_mjd_s)
    except (OverflowError, ValueError):
        return f"TIME {time_mjd_s!r}"
    return moment.isoformat(sep=" ", timespec="milliseconds")


def plural(count: int, noun: str) -> str:
    """Write a number of things: ``1 row``, ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _short(value: Any, length: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def _json(value: Any) -> Any:
    """Return a value as JSON can hold it: complex as a pair, NaN and infinities as words."""
    if isinstance(value, complex):
        return [_json(value.real), _json(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
