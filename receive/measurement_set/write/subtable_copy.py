"""Subtables of a new set: copied from its template, cut to its channels, made where missing.

Everything here runs on the thread that owns casacore.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from receive.command.errors import InputError
from receive.measurement_set.read.measures import unit_factor
from receive.measurement_set.read.opening import NO_LOCK, REQUIRED_SUBTABLES, subtable_paths
from receive.measurement_set.read.texts import read_cell
from receive.measurement_set.write.left_out import (
    COPYING,
    is_left_out,
    leave_out,
    leave_out_subtable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

MADE_IF_MISSING = ("FEED", "FLAG_CMD", "HISTORY", "OBSERVATION", "POINTING", "PROCESSOR", "STATE")

_FIXED_SHAPE = 4
"""Option of a column whose arrays all have the shape of its description."""


def copy_subtables(template: Any, template_path: Path, target: Path) -> list[str]:
    """Copy all subtables of a set, those that the standard does not know too.

    Parameters
    ----------
    template : casacore.tables.table
        The main table, open.
    template_path : Path
        Where it lies.
    target : Path
        Folder of the new set.

    Returns
    -------
    list of str
        Names of the subtables that the new set has, made ones included.

    Raises
    ------
    InputError
        If one is missing or damaged.
    """
    sources = subtable_paths(template)
    missing = [name for name in REQUIRED_SUBTABLES if name not in sources]
    if missing:
        raise InputError(
            f"{template_path} is not a Measurement Set that can serve as a model: "
            f"it has no subtable {', '.join(missing)}"
        )
    names = [
        name
        for name, source in sources.items()
        if _copy_subtable(name, source, target / name, template_path)
    ]
    for name in MADE_IF_MISSING:
        if name not in names:
            _make_subtable(name, target / name)
            names.append(name)
            if name == "OBSERVATION" and name not in sources:
                leave_out(f"{template_path} has no subtable {name}: new sets get an empty one")
    return names


def _make_subtable(name: str, target: Path) -> None:
    with tables.default_ms_subtable(name, str(target)) as table:
        if name == "OBSERVATION":
            # All rows of a set refer to an observation.
            table.addrows(1)
            table.putcell("TIME_RANGE", 0, np.zeros(2))
            for column in ("LOG", "SCHEDULE"):
                table.putcell(column, 0, np.array([""]))


def _copy_subtable(name: str, source: Path, target: Path, template_path: Path) -> bool:
    """Copy a subtable and return whether it is there; without some of them a set is still one."""
    if is_left_out(template_path, name):
        return False
    log.debug("%s%s", COPYING, name)
    inside = source.parent.resolve() == template_path.resolve()
    try:
        with tables.table(str(source), ack=False, lockoptions=NO_LOCK) as subtable:
            _touch(subtable)
            if not inside:
                # A reference table's, or one that several sets share.
                subtable.copy(str(target), deep=True, valuecopy=True).close()
        if inside:
            copy_folder(source, target)
    except (RuntimeError, OSError, MemoryError) as error:
        if getattr(error, "filename", None) is not None and not _reads(error, source):
            raise
        reason = " ".join(str(error).split())
        if name in REQUIRED_SUBTABLES:
            raise InputError(
                f"{template_path} cannot serve as a model: its subtable {name} cannot be copied "
                f"({reason})"
            ) from None
        leave_out_subtable(template_path, name, f"it cannot be read ({reason})")
        shutil.rmtree(target, ignore_errors=True)
        return False
    return True


def _touch(table: Any) -> None:
    """Read the last cell of each column: where a file is too short, it lacks that."""
    last = table.nrows() - 1
    for column in table.colnames() if last >= 0 else ():
        if table.iscelldefined(column, last):
            # Text that is not UTF-8 has been read, too.
            with contextlib.suppress(UnicodeDecodeError):
                table.getcell(column, last)


def _reads(error: Exception, source: Path) -> bool:
    """Tell whether an error of the system is of a file that was read."""
    filename = getattr(error, "filename", None)
    return filename is not None and source in [Path(filename), *Path(filename).parents]


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder's contents, but not its permissions: a model may be read-only."""
    target.mkdir()
    for entry in source.iterdir():
        if entry.is_dir():
            copy_folder(entry, target / entry.name)
        else:
            shutil.copyfile(entry, target / entry.name)


def row_count(target: Path, name: str) -> int:
    """Return the number of rows of a subtable."""
    with tables.table(str(target / name), ack=False, lockoptions=NO_LOCK) as subtable:
        return int(subtable.nrows())


def cut_to_channels(target: Path, data_desc_id: int, start: int, count: int) -> None:
    """Cut the subtables of a set to a range of channels; all channels: nothing is touched.

    Parameters
    ----------
    target : Path
        Folder of the set.
    data_desc_id : int
        Row of DATA_DESCRIPTION that says which spectral window is meant.
    start, count : int
        First channel and number of channels.

    Raises
    ------
    InputError
        If the window does not have these channels.
    """
    path = target / "SPECTRAL_WINDOW"
    with tables.table(str(target / "DATA_DESCRIPTION"), ack=False, lockoptions=NO_LOCK) as table:
        window = int(table.getcell("SPECTRAL_WINDOW_ID", data_desc_id))
    with tables.table(str(path), ack=False, lockoptions=NO_LOCK) as windows:
        # What NUM_CHAN says may be wrong, or not be there: nobody looks at it but people.
        channels = len(windows.getcell("CHAN_FREQ", window))
        agrees = "NUM_CHAN" in windows.colnames() and windows.getcell("NUM_CHAN", window) == count
    if start < 0 or count < 1 or start + count > channels:
        raise InputError(
            f"channels {start} to {start + count - 1} were asked for, but spectral window "
            f"{window} of the model has {channels} (0 to {channels - 1})"
        )
    if count == channels and agrees:
        return
    taken = slice(start, start + count)
    if count < channels:
        free_shapes(path)
    with tables.table(str(path), readonly=False, ack=False) as windows:
        _cut_window(windows, window, channels, taken)
    if count < channels and (target / "SYSCAL").is_dir():
        free_shapes(target / "SYSCAL")
        with tables.table(str(target / "SYSCAL"), readonly=False, ack=False) as calibration:
            _cut_system_calibration(calibration, window, channels, taken)


def free_shapes(path: Path) -> None:
    """Rewrite a subtable whose arrays have fixed shapes, which cannot be cut, with free ones."""
    fresh = path.with_name(f"{path.name}.fresh")
    with tables.table(str(path), ack=False, lockoptions=NO_LOCK) as table:
        description = table.getdesc()
        fixed = [name for name in table.colnames() if description[name]["option"] & _FIXED_SHAPE]
        if not fixed:
            return
        for name in fixed:
            del description[name]["shape"]
            description[name]["option"] = 0
            # A tiled column needs its shape.
            description[name]["dataManagerType"] = "StandardStMan"
            description[name]["dataManagerGroup"] = "StandardStMan"
        rows = table.nrows()
        with tables.table(str(fresh), description, nrow=rows, ack=False) as copy:
            copy.putinfo(table.info())
            for name in table.colnames():
                for row in range(rows):
                    if table.iscelldefined(name, row):
                        copy.putcell(name, row, read_cell(table, name, row))
    shutil.rmtree(path)
    fresh.rename(path)


def _cut_window(windows: Any, window: int, channels: int, taken: slice) -> None:
    for column in windows.colnames():
        # ASSOC_SPW_ID and ASSOC_NATURE are lists of windows, however long they happen to be.
        if not windows.isscalarcol(column) and not column.startswith("ASSOC_"):
            _cut_cell(windows, column, window, channels, taken)
    frequency_hz = windows.getcell("CHAN_FREQ", window) * _hz(windows, "CHAN_FREQ", window)
    width_hz = np.abs(windows.getcell("CHAN_WIDTH", window) * _hz(windows, "CHAN_WIDTH", window))
    columns = windows.colnames()
    if "NUM_CHAN" in columns:
        windows.putcell("NUM_CHAN", window, len(frequency_hz))
    if "TOTAL_BANDWIDTH" in columns:
        total = float(width_hz.sum()) / _hz(windows, "TOTAL_BANDWIDTH", window)
        windows.putcell("TOTAL_BANDWIDTH", window, total)
    if "REF_FREQUENCY" not in columns:
        return
    unit_hz = _hz(windows, "REF_FREQUENCY", window)
    reference_hz = windows.getcell("REF_FREQUENCY", window) * unit_hz
    if not np.any(np.abs(frequency_hz - reference_hz) <= width_hz / 2):
        middle_hz = float(frequency_hz[len(frequency_hz) // 2])
        windows.putcell("REF_FREQUENCY", window, middle_hz / unit_hz)


def _hz(windows: Any, column: str, window: int) -> Any:
    return unit_factor(Path("SPECTRAL_WINDOW"), windows, column, window)


def _cut_system_calibration(calibration: Any, window: int, channels: int, taken: slice) -> None:
    columns = [name for name in calibration.colnames() if name.endswith("_SPECTRUM")]
    if "SPECTRAL_WINDOW_ID" not in calibration.colnames():
        return
    for row in range(calibration.nrows()):
        if calibration.getcell("SPECTRAL_WINDOW_ID", row) == window:
            for column in columns:
                _cut_cell(calibration, column, row, channels, taken)


def _cut_cell(table: Any, column: str, row: int, channels: int, taken: slice) -> None:
    """Cut an array whose slowest axis is the channel."""
    if table.iscelldefined(column, row):
        values = table.getcell(column, row)
        if isinstance(values, np.ndarray) and values.shape[0] == channels:
            table.putcell(column, row, np.ascontiguousarray(values[taken]))


def subtable_keywords(target: Path, names: list[str]) -> Mapping[str, str]:
    """Return the main table's keywords for its subtables."""
    return {name: f"Table: {target / name}" for name in names}
