"""Open a Measurement Set to read it, and say in one line what is wrong where that cannot be.

casacore tells a missing file, a short one and a foreign one by the texts of its exceptions, some of
them only when a cell is read; a locked set by waiting for ever.  `open_main_table` asks each of
these questions by itself, before anything relies on the answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from casacore import tables

from receive.command.errors import InputError
from receive.measurement_set.read.table_name import WORK, table_name

REQUIRED_COLUMNS = ("TIME", "ANTENNA1", "ANTENNA2", "UVW", "INTERVAL", "EXPOSURE", "DATA_DESC_ID")
MODEL_COLUMNS = (*REQUIRED_COLUMNS, "FIELD_ID")
SPECTRA = ("FLAG", "TIME_CENTROID", "WEIGHT_SPECTRUM")
"""What is read with visibilities, where it is there."""

VISIBILITIES = ("DATA", "CORRECTED_DATA", "MODEL_DATA", "FLOAT_DATA")
REQUIRED_SUBTABLES = ("ANTENNA", "DATA_DESCRIPTION", "FIELD", "POLARIZATION", "SPECTRAL_WINDOW")

_SUBTABLE = "Table: "
_LOCK_REFUSED = "lock on table"
_LOCK_HELD = ("Resource temporarily unavailable", "Permission denied")
# Never takes a lock: reading must not make a writer of the same set wait, nor wait for one.
NO_LOCK = {"option": "usernoread"}


def open_main_table(path: Path, *, visibilities: str | None = "DATA") -> Any:
    """Open the main table of a Measurement Set for reading; only on the casacore thread.

    Parameters
    ----------
    path : Path
        The set's folder.  No permission to write is needed.
    visibilities : str or None
        Column of those that will be read; a model needs none.

    Returns
    -------
    casacore.tables.table
        Has rows, the columns that a reader needs, and files as long as they should be.

    Raises
    ------
    InputError
        If it is missing, a file, not a Measurement Set, locked, truncated or empty, or casacore
        would take its path for another.
    """
    table_name(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: the path of a Measurement Set was expected")
    if not path.is_dir():
        raise InputError(
            f"{path} is a file: a Measurement Set is a folder (an archive must be unpacked first)"
        )
    if not (path / "table.dat").exists():
        raise InputError(f"{path} is not a Measurement Set: there is no table.dat in this folder")
    try:
        return _open_main_table(path, visibilities=visibilities)
    except UNUSUAL as error:
        raise unusual(path, error) from error


def _open_main_table(path: Path, *, visibilities: str | None) -> Any:
    _refuse_locked(path)
    table = _open(path)
    _refuse_foreign(path, table, visibilities=visibilities)
    if table.nrows() == 0:
        raise InputError(f"{path} is empty: its main table has no rows")
    columns = MODEL_COLUMNS if visibilities is None else (*MODEL_COLUMNS, visibilities, *SPECTRA)
    _refuse_truncated(path, table, columns)
    return table


def open_subtable(path: Path, name: str, main: Any = None) -> Any:
    """Open a subtable for reading; only on the casacore thread.

    The main table's keyword says where it lies: elsewhere, where the set is a selection of another.

    Parameters
    ----------
    path : Path
        The set's folder.
    name : str
        Of the keyword.
    main : casacore.tables.table, optional
        The main table, where it is open.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    folder = subtable_paths(_open(path) if main is None else main).get(name)
    if folder is None:
        raise InputError(f"{path} is damaged: its keyword {name} refers to no subtable")
    if not (folder / "table.dat").exists():
        where = (
            "" if folder.parent.resolve() == path.resolve() else f" where it should be, {folder}"
        )
        raise InputError(f"{path} is damaged: its subtable {name} is missing{where}")
    return _open(folder)


def is_subtable(value: Any) -> bool:
    """Tell whether a keyword's value refers to a subtable."""
    return isinstance(value, str) and value.startswith(_SUBTABLE)


def subtable_paths(table: Any) -> dict[str, Path]:
    """Return where the subtables of a table lie, by keyword."""
    return {
        name: Path(value.removeprefix(_SUBTABLE))
        for name, value in table.getkeywords().items()
        if is_subtable(value)
    }


def damaged(path: Path, error: Exception, doing: str) -> InputError:
    """Return the error for something that casacore could not read."""
    reason = " ".join(str(error).split()).replace(f"{path}/", "")
    hint = f"; ms-recover {path} can mend it" if (path / WORK).exists() else ""
    return InputError(f"{path} is truncated or damaged: {doing} failed ({reason}){hint}")


UNUSUAL = (
    *(ArithmeticError, AttributeError, LookupError),
    *(MemoryError, RuntimeError, TypeError, ValueError),
)
"""What comes of reading a table whose columns have types and shapes that nobody expects."""


def unusual(path: Path, error: Exception) -> InputError:
    """Return the error for a set that cannot be read, for whatever reason."""
    reason = " ".join(str(error).split())
    return InputError(
        f"{path} cannot be read as a Measurement Set: {type(error).__name__}: {reason}"
    )


def _open(path: Path) -> Any:
    try:
        return tables.table(table_name(path), ack=False, lockoptions=NO_LOCK)
    except RuntimeError as error:
        raise damaged(path, error, "opening it") from None


def _refuse_locked(path: Path) -> None:
    """Raise if another process holds the set's lock.

    Of casacore's lock options only ``permanent`` asks without waiting.  For a reader it asks for a
    shared lock, which other readers do not mind, and gives it back here.
    """
    try:
        tables.table(table_name(path), ack=False, lockoptions="permanent").close()
    except RuntimeError as error:
        text = str(error)
        if _LOCK_REFUSED in text and any(reason in text for reason in _LOCK_HELD):
            raise InputError(
                f"{path} is locked by another process that is writing it: wait until it is closed"
            ) from None
        # A file system without locks is no obstacle to reading; any other trouble shows up again
        # when the table is opened without a lock.


def _refuse_foreign(path: Path, table: Any, *, visibilities: str | None) -> None:
    columns = set(table.colnames())
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise InputError(
            f"{path} is a casacore table but not a Measurement Set: "
            f"it has no column {', '.join(missing)}"
        )
    keywords = set(table.keywordnames())
    absent = [name for name in REQUIRED_SUBTABLES if name not in keywords]
    if absent:
        raise InputError(
            f"{path} is a casacore table but not a Measurement Set: "
            f"it has no subtable {', '.join(absent)}"
        )
    if visibilities is not None and visibilities not in columns:
        others = ", ".join(name for name in VISIBILITIES if name in columns)
        instead = (
            f"{others}; reader.column, or ms-diff's --column, chooses it"
            if others
            else (f"columns: {', '.join(sorted(columns))}")
        )
        raise InputError(
            f"{path} has no {visibilities} column: there are no visibilities to read in it "
            f"({instead})"
        )


def _refuse_truncated(path: Path, table: Any, columns: tuple[str, ...]) -> None:
    """Touch the last row of what will be read.

    The headers of storage managers are read when the table is opened, their data only when a cell
    is asked for; the last row lies at the end of each file, so a short one cannot hide.
    """
    last = table.nrows() - 1
    present = set(table.colnames())
    for name in columns:
        if name not in present:
            continue
        try:
            if table.iscelldefined(name, last):
                table.getcell(name, last)
        except RuntimeError as error:
            raise damaged(path, error, f"reading {name} of the last row, {last},") from None
