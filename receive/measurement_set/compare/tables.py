"""Comparing two Measurement Sets, table by table and column by column.

Tables are compared row by row in the order in which they lie, a bounded slice at a time, so that
sets of any size can be compared.  How columns are stored (data managers, tiles, fixed or variable
shape) is no difference; names, types, shapes, keywords (units, reference frames) and values are.

:mod:`.diff_round_trip` compares a set with what came back of it over the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from casacore.tables import table as open_table

from receive.command.errors import ConfigError, InputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.report import MAIN, Report, Where, plural
from receive.measurement_set.compare.values import Tally, Tolerances, compare_cells, same
from receive.measurement_set.read.columns import read_cells, row_slices
from receive.measurement_set.read.opening import (
    NO_LOCK,
    is_subtable,
    open_main_table,
    subtable_paths,
)
from receive.measurement_set.read.table_name import table_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Main-table keyword of casacore's own: a sorted view of the set inside the set.
_SORTED_TABLE = "SORTED_TABLE"


@dataclass(frozen=True)
class Selection:
    """Which tables and columns are compared, by name or shell-like pattern.

    Parameters
    ----------
    columns : sequence of str
        Only these, where given: ``COLUMN`` of the main table, ``SUBTABLE/COLUMN``.
    ignore : sequence of str
        Not these: ``COLUMN``, ``SUBTABLE/COLUMN`` or all of ``SUBTABLE``.
    subtables : bool
        Whether subtables are compared at all.
    """

    columns: Sequence[str] = ()
    ignore: Sequence[str] = ()
    subtables: bool = True

    def takes_column(self, table: str, column: str) -> bool:
        """Tell whether a column is compared."""
        name = key_of(table, column)
        return not _matches(name, self.ignore) and (
            not self.columns or _matches(name, self.columns)
        )

    def takes_table(self, table: str) -> bool:
        """Tell whether anything of a subtable may be compared."""
        if not self.subtables or _matches(table, self.ignore):
            return False
        return not self.columns or any(name.startswith(f"{table}/") for name in self.columns)

    @property
    def whole_tables(self) -> bool:
        """Whether tables are compared as such: rows, keywords, which columns there are."""
        return not self.columns


@dataclass
class Comparison:
    """Two sets being compared; must run on the thread that owns casacore.

    Parameters
    ----------
    selection : Selection
        What is compared.
    tolerances : Tolerances
        What is no difference.
    """

    selection: Selection
    tolerances: Tolerances
    report: Report = field(default_factory=Report)
    _seen: set[Path] = field(default_factory=set)

    def tables(self, name: str, a: Any, b: Any) -> None:
        """Compare two tables with everything in them."""
        rows_a, rows_b = a.nrows(), b.nrows()
        if rows_a != rows_b and self.selection.whole_tables:
            self.report.add(
                name,
                None,
                "rows",
                f"A has {plural(rows_a, 'row')}, B {rows_b}; the first "
                f"{min(rows_a, rows_b)} are compared",
                a=rows_a,
                b=rows_b,
            )
        self.columns(name, a, b)
        if self.selection.whole_tables:
            self.keywords(name, None, a.getkeywords(), b.getkeywords())
        self.subtables(name, a, b)

    def columns(self, name: str, a: Any, b: Any) -> None:
        """Compare the columns of two tables."""
        in_b = set(b.colnames())
        for column in a.colnames():
            if not self.selection.takes_column(name, column):
                if self.selection.whole_tables:
                    self.report.not_compared.append(f"{name}.{column}: ignored")
            elif column not in in_b:
                self.report.add(name, column, "column", "is in A only")
            else:
                self.column(name, column, a, b)
        for column in b.colnames():
            if column not in a.colnames() and self.selection.takes_column(name, column):
                self.report.add(name, column, "column", "is in B only")

    def column(self, name: str, column: str, a: Any, b: Any, rows: int | None = None) -> None:
        """Compare a column that both tables have: type, keywords and values."""
        self.report.compared.append(f"{name}.{column}")
        kind_a, kind_b = kind_of(a, column), kind_of(b, column)
        if kind_a != kind_b:
            self.report.add(
                name, column, "type", f"is {kind_a} in A, {kind_b} in B", a=kind_a, b=kind_b
            )
        self.keywords(name, column, a.getcolkeywords(column), b.getcolkeywords(column))
        tally = Tally()
        key = key_of(name, column)
        for piece, cells_a, cells_b in column_pairs(a, b, column, rows):
            compare_cells(tally, key, piece.start, cells_a, cells_b, self.tolerances)
        self.report.add_tally(name, column, tally, Where(a, main=name == MAIN))

    def keywords(
        self, name: str, column: str | None, a: Mapping[str, Any], b: Mapping[str, Any]
    ) -> None:
        """Compare keywords of a table or column, but for those that refer to subtables."""
        for keyword in sorted(a.keys() | b.keys()):
            value_a, value_b = a.get(keyword), b.get(keyword)
            if is_subtable(value_a) or is_subtable(value_b):
                continue
            if keyword not in b or keyword not in a:
                only = "A" if keyword in a else "B"
                text = f"keyword {keyword} is in {only} only"
            elif not same(value_a, value_b):
                text = f"keyword {keyword} is {value_a!r} in A, {value_b!r} in B"
            else:
                continue
            self.report.add(name, column, "keywords", text, keyword=keyword)

    def subtables(self, parent: str, a: Any, b: Any) -> None:
        """Compare the tables that the keywords of two tables refer to."""
        in_a, in_b = subtables_of(a), subtables_of(b)
        for keyword in [*in_a, *(key for key in in_b if key not in in_a)]:
            name = keyword if parent == MAIN else f"{parent}/{keyword}"
            if not self.selection.takes_table(name):
                if self.selection.whole_tables:
                    self.report.not_compared.append(f"{name}: ignored")
            elif keyword not in in_b:
                self.report.add(name, None, "table", "is in A only")
            elif keyword not in in_a:
                self.report.add(name, None, "table", "is in B only")
            elif in_a[keyword] not in self._seen:
                # A table can refer to one that refers back to it.
                self._seen.add(in_a[keyword])
                self.subtable(name, in_a[keyword], in_b[keyword])

    def subtable(self, name: str, path_a: Path, path_b: Path) -> None:
        """Compare a subtable that both sets have."""
        self.tables(name, open_quietly(path_a), open_quietly(path_b))


def diff_sets(
    a: Path,
    b: Path,
    *,
    selection: Selection | None = None,
    tolerances: Tolerances | None = None,
) -> Report:
    """Compare two Measurement Sets.

    Parameters
    ----------
    a, b : Path
        The sets.
    selection : Selection, optional
        What is compared; by default everything.
    tolerances : Tolerances, optional
        What is no difference; by default nothing but NaN and NaN.

    Returns
    -------
    Report
        What differs.

    Raises
    ------
    InputError
        One of them is missing or cannot be read.
    ConfigError
        A column was asked for by name that neither has.
    """
    comparison = Comparison(selection or Selection(), tolerances or Tolerances())
    casacore_thread.run(compare_paths, comparison, a, b)
    return comparison.report


def compare_paths(comparison: Comparison, a: Path, b: Path, column: str = "DATA") -> None:
    """Compare two sets by path, of A that column; must run on the thread that owns casacore."""
    table_a, table_b = open_main_table(a, visibilities=column), open_main_table(b)
    try:
        check_names(comparison.selection, comparison.tolerances, table_a, table_b)
        comparison.tables(MAIN, table_a, table_b)
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise InputError(f"a table of {a} or {b} cannot be read: {one_line(error)}") from error
    finally:
        table_a.close()
        table_b.close()


def column_pairs(
    a: Any, b: Any, column: str, rows: int | None = None
) -> Iterator[tuple[slice, Any, Any]]:
    """Read a column of two tables side by side.

    Yields
    ------
    tuple
        A slice of rows and the cells of A and of B in it, up to the end of the shorter table, or
        to `rows`.
    """
    common = min(a.nrows(), b.nrows()) if rows is None else rows
    for piece in row_slices(a, column):
        if piece.start >= common:
            break
        cut = slice(piece.start, min(piece.stop, common))
        yield cut, read_cells(a, column, cut), read_cells(b, column, cut)


def open_quietly(path: Path) -> Any:
    """Open a table to look at it: without a word, without a lock.

    Raises
    ------
    InputError
        It cannot be opened.
    """
    try:
        return open_table(table_name(path), ack=False, lockoptions=NO_LOCK)
    except RuntimeError as error:
        raise InputError(f"{path} cannot be opened as a table: {one_line(error)}") from error


def subtables_of(table: Any) -> dict[str, Path]:
    """Return the paths of a table's subtables by their keywords, but for a view of itself."""
    found = subtable_paths(table)
    found.pop(_SORTED_TABLE, None)
    return found


def kind_of(table: Any, column: str) -> str:
    """Describe a column's type: ``complex array of 2 axes``; any number of axes is left out."""
    description = table.getcoldesc(column)
    kind = str(description["valueType"]).lower()
    if "ndim" not in description:
        return kind
    axes = int(description["ndim"])
    return (
        f"{kind} array"
        if axes < 0
        else f"{kind} array of {plural(axes, 'axis')}".replace("axiss", "axes")
    )


def key_of(table: str, column: str) -> str:
    """Return the name by which options mean a column: that of a subtable has its prefix."""
    return column if table == MAIN else f"{table}/{column}"


def check_names(selection: Selection, tolerances: Tolerances, a: Any, b: Any) -> None:
    """Complain about columns of the main table that are named in options but exist nowhere.

    Raises
    ------
    ConfigError
        Naming the first.
    """
    known = set(a.colnames()) | set(b.colnames())
    tables = subtables_of(a).keys() | subtables_of(b).keys()
    for name in [*selection.columns, *selection.ignore, *tolerances.atol_of, *tolerances.rtol_of]:
        column_or_table = name.split("/", 1)[0]
        candidates = tables if "/" in name else known | tables
        if not any(fnmatchcase(candidate, column_or_table) for candidate in candidates):
            columns = ", ".join(sorted(known))
            raise ConfigError(
                f"neither set has {name}; the main tables have {columns}; "
                "columns of subtables are written SUBTABLE/COLUMN"
            )


def one_line(error: Exception) -> str:
    """Return an error's message as one line."""
    return " ".join(str(error).split())


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
