"""Put pieces of time one after the other: really, or as one set that refers to them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casacore import tables

from receive import __version__
from receive.command.errors import InputError, OutputError
from receive.command.progress import Progress
from receive.icd.times import iso_from_mjd_s
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.tables import kind_of
from receive.measurement_set.join.pieces import other_history
from receive.measurement_set.read.columns import read_cells, row_slices
from receive.measurement_set.read.opening import open_main_table
from receive.measurement_set.read.table_name import table_name
from receive.measurement_set.write.growing import folder_bytes
from receive.measurement_set.write.history import append_lines
from receive.measurement_set.write.placing import Place
from receive.measurement_set.write.space import check_free_space

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receive.measurement_set.join.pieces import Piece

_SPARE_BYTES = 16 << 20
"""Beside the pieces: tiles that are begun, and HISTORY."""


def order_times(pieces: Sequence[Piece]) -> list[Piece]:
    """Put pieces in the order of their times.

    Raises
    ------
    InputError
        If two of them cover the same time.
    """
    ordered = sorted(pieces, key=lambda piece: float(piece.model.times_mjd_s[0]))
    for before, after in itertools.pairwise(ordered):
        last, first = float(before.model.times_mjd_s[-1]), float(after.model.times_mjd_s[0])
        if first <= last:
            raise InputError(
                f"{before.path} (until {iso_from_mjd_s(last)}) and {after.path} (from "
                f"{iso_from_mjd_s(first)}) overlap in time and have the same channels: each "
                f"integration may be in one piece only"
            )
    return ordered


def join_times(out: Path, pieces: Sequence[Piece], *, overwrite: bool) -> int:
    """Write one set of pieces that follow each other in time.

    Returns
    -------
    int
        Integrations written.

    Raises
    ------
    InputError
        If two cover the same time, or their columns differ.
    OutputError
        If the set cannot be written.
    """
    ordered = order_times(pieces)
    for piece in ordered[1:]:
        casacore_thread.run(_check_columns, ordered[0].path, piece.path)
    check_free_space(out, sum(folder_bytes(piece.path) for piece in ordered) + _SPARE_BYTES)
    rows = [casacore_thread.run(_row_count, piece.path) for piece in ordered]
    history = [
        *other_history(ordered),
        f"vis-receive {__version__} ms-concat",
        *(f"{count} rows of {piece.path}" for count, piece in zip(rows, ordered, strict=True)),
    ]

    def fill(target: Path) -> None:
        with Progress("joining", sum(rows), "rows") as progress:
            casacore_thread.run(_copy_first, target, ordered[0].path)
            progress.update(rows[0])
            for piece in ordered[1:]:
                _append(target, piece.path, progress)
        casacore_thread.run(append_lines, target / "HISTORY", history)

    _make(out, fill, overwrite=overwrite)
    return sum(piece.model.num_times for piece in ordered)


def link_times(out: Path, pieces: Sequence[Piece], *, overwrite: bool) -> int:
    """Make a set that refers to pieces, which stay where they are and must.

    Returns
    -------
    int
        Integrations of all.

    Raises
    ------
    InputError
        If two cover the same time, or their columns differ.
    OutputError
        If the set cannot be written.
    """
    ordered = order_times(pieces)
    for piece in ordered[1:]:
        casacore_thread.run(_check_columns, ordered[0].path, piece.path)

    def fill(target: Path) -> None:
        # Absolute paths, which casacore writes down relative to the set's folder where it can.
        casacore_thread.run(
            _link, target, [table_name(Path(os.path.realpath(piece.path))) for piece in ordered]
        )

    _make(out, fill, overwrite=overwrite)
    return sum(piece.model.num_times for piece in ordered)


def _make(out: Path, fill: Callable[[Path], None], *, overwrite: bool) -> None:
    """Have a set made under a temporary name, and give it its own when it is complete."""
    place = Place(out, overwrite=overwrite)
    try:
        fill(place.temporary)
        place.put_in_place()
        place.remove_replaced()
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"{out} cannot be written: {reason}") from error
    finally:
        if not place.placed:
            place.clean_up()


def _check_columns(first: Path, other: Path) -> None:
    with open_main_table(first) as a, open_main_table(other) as b:
        names_a, names_b = set(a.colnames()), set(b.colnames())
        if names_a != names_b:
            differing = ", ".join(sorted(names_a ^ names_b))
            raise InputError(f"of {first} and {other} only one has the columns {differing}")
        for name in sorted(names_a):
            if kind_of(a, name) != kind_of(b, name):
                raise InputError(
                    f"{name} is {kind_of(a, name)} in {first}, {kind_of(b, name)} in {other}"
                )


def _row_count(path: Path) -> int:
    with open_main_table(path) as table:
        return int(table.nrows())


def _copy_first(target: Path, path: Path) -> None:
    with open_main_table(path) as table:
        table.copy(str(target), deep=True).close()


def _append(target: Path, path: Path, progress: Progress) -> None:
    """Append the rows of a set, a few MB of a column at a time."""
    source: Any = casacore_thread.run(open_main_table, path)
    out: Any = casacore_thread.run(_open_to_write, target)
    try:
        start = out.nrows()
        casacore_thread.run(out.addrows, source.nrows())
        names = source.colnames()
        for number, name in enumerate(names):
            for rows in casacore_thread.run(_slices, source, name):
                casacore_thread.run(_copy_cells, source, out, name, rows, start)
                if number == len(names) - 1:
                    progress.update(rows.stop - rows.start)
    finally:
        casacore_thread.run(source.close)
        casacore_thread.run(out.close)


def _slices(table: Any, name: str) -> list[slice]:
    return list(row_slices(table, name))


def _open_to_write(path: Path) -> Any:
    return tables.table(str(path), readonly=False, ack=False)


def _copy_cells(source: Any, out: Any, name: str, rows: slice, start: int) -> None:
    cells = read_cells(source, name, rows)
    if not isinstance(cells, list) and cells.dtype != object:
        out.putcol(name, cells, start + rows.start, len(cells))
        return
    for row in range(rows.start, rows.stop):
        if source.iscelldefined(name, row):
            out.putcell(name, start + row, source.getcell(name, row))


def _link(target: Path, paths: Sequence[str]) -> None:
    table = tables.table(list(paths), ack=False)
    table.rename(str(target))
    table.close()
