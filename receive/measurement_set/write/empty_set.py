"""A new set without rows: main table's description, subtables, and the layout of its files.

Everything here runs on the thread that owns casacore.
"""

from __future__ import annotations

import logging
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from receive.command.errors import InputError
from receive.measurement_set.read.measures import uvw_is_usable
from receive.measurement_set.read.opening import subtable_paths
from receive.measurement_set.read.table_name import table_name
from receive.measurement_set.tiled.headers import (
    check_tiled_header,
    find_lock_row_field,
    find_row_fields,
)
from receive.measurement_set.tiled.tiles import TiledColumn, plan_columns
from receive.measurement_set.write.built_aside import built_aside
from receive.measurement_set.write.file_layout import SetLayout
from receive.measurement_set.write.growing import folder_bytes
from receive.measurement_set.write.history import append_lines
from receive.measurement_set.write.left_out import leave_out
from receive.measurement_set.write.subtable_copy import (
    copy_subtables,
    cut_to_channels,
    row_count,
    subtable_keywords,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from receive.model.telescope import TelescopeModel

log = logging.getLogger(__name__)

MS_VERSION = np.float32(2.0)

EMPTY_SET_BYTES = 2 << 20
"""Main table, subtables that have to be made, and what is kept for closing."""

_SCAN_NUMBERS = 2**31

_CONSTANT_GROUP = "Constants"
_CONSTANT_BUCKET_BYTES = 4096
_CONSTANT_COLUMNS = (
    "DATA_DESC_ID",
    "FIELD_ID",
    "SCAN_NUMBER",
    "ARRAY_ID",
    "OBSERVATION_ID",
    "PROCESSOR_ID",
    "STATE_ID",
    "FEED1",
    "FEED2",
)
_CATEGORY_COLUMN = "FLAG_CATEGORY"

_EPOCH = {"QuantumUnits": ["s"], "MEASINFO": {"type": "epoch", "Ref": "UTC"}}
_SECONDS = {"QuantumUnits": ["s"]}
_KEYWORDS: Mapping[str, dict[str, Any]] = {
    "TIME": _EPOCH,
    "TIME_CENTROID": _EPOCH,
    "INTERVAL": _SECONDS,
    "EXPOSURE": _SECONDS,
    "UVW": {"QuantumUnits": ["m", "m", "m"], "MEASINFO": {"type": "uvw", "Ref": "J2000"}},
}
"""Keywords that the standard wants (MS v2, casacore note 229): what they say is written."""

_COMMENTS = {
    "DATA": "The data column",
    "FLAG": "The data flags, array of bools with same shape as data",
    "WEIGHT_SPECTRUM": "Weight for each data point: fraction x channel width x exposure",
    "UVW": "Vector with uvw coordinates (in meters)",
    "TIME": "Modified Julian Day, centre of the integration",
    "TIME_CENTROID": "Modified Julian Day, centroid of the data",
    "INTERVAL": "The sampling interval",
    "EXPOSURE": "The effective integration time",
    "ANTENNA1": "ID of first antenna in interferometer",
    "ANTENNA2": "ID of second antenna in interferometer",
    "WEIGHT": "Weight for each polarization spectrum",
    "SIGMA": "Estimated rms noise for channel with unity bandpass response",
    "FLAG_ROW": "Row flag - flag all data in this row if True",
    _CATEGORY_COLUMN: "The flag category, NUM_CAT flags for each datum",
}
WRITTEN_COLUMNS = frozenset((*_COMMENTS, *_CONSTANT_COLUMNS))
"""Columns of the main table of a new set."""

_ZERO = {"?": False, "<i4": 0, "<f4": 0.0, "<f8": 0.0, "<c8": 0j}
_VALUE_TYPE = {"?": "boolean", "<i4": "int", "<f4": "float", "<f8": "double", "<c8": "complex"}
_DIRECT_FIXED_SHAPE = 5


def build_skeleton(
    folder: Path,
    template_path: Path,
    model: TelescopeModel,
    *,
    channels: tuple[int, int] | None,
    scan_number: int,
    history: Sequence[str],
    weight_spectrum: bool,
    expected_dumps: int | None,
) -> SetLayout:
    """Make a set of no rows in an empty folder.

    Parameters
    ----------
    folder : Path
        Does not exist yet.
    template_path : Path
        Measurement Set whose subtables are copied.
    model : TelescopeModel
        Says how many rows an integration has, and the channels and polarisations of a row.
    channels : (int, int) or None
        First channel and number of channels to cut the subtables to.
    scan_number : int
        SCAN_NUMBER of all rows.
    history : sequence of str
        First lines of HISTORY.
    weight_spectrum : bool
        Whether there is a column WEIGHT_SPECTRUM.
    expected_dumps : int or None
        How many integrations there will be, if that is known.

    Returns
    -------
    SetLayout
        The main table's tiled files are not there yet: `write.growing` makes them.
    """
    template = open_template(template_path)
    with template, built_aside(folder, _needed_bytes(template, history)) as made:
        columns = plan_columns(
            model.num_pols,
            model.num_channels,
            model.num_baselines,
            weight_spectrum=weight_spectrum,
            expected_dumps=expected_dumps,
        )
        _make_tables(made, columns, template, template_path, model, scan_number)
        start, count = channels if channels is not None else (0, model.num_channels)
        _check_window(made, template_path, model, start, count)
        cut_to_channels(made, model.data_desc_id, start, count)
        _begin_history(made / "HISTORY", template_path, history)
        return _learn_layout(made, columns, model.num_baselines)


def _make_tables(
    folder: Path,
    columns: Sequence[TiledColumn],
    template: Any,
    template_path: Path,
    model: TelescopeModel,
    scan_number: int,
) -> None:
    description, managers = _describe(columns)
    table = tables.table(
        str(folder), description, dminfo=managers, nrow=0, endian="little", ack=False
    )
    with table:
        names = copy_subtables(template, template_path, folder)
        for name, reference in subtable_keywords(folder, names).items():
            table.putkeyword(name, reference)
        table.putkeyword("MS_VERSION", MS_VERSION)
        _take_over_keywords(table, template, template_path)
        # In a description, an empty list of strings would become one of integers.
        table.putcolkeyword(_CATEGORY_COLUMN, "CATEGORY", np.array([], dtype="U1"))
        table.putinfo(_table_info(template))
        table.addrows(1)
        for name, value in _constants(folder, model, scan_number).items():
            table.putcell(name, 0, value)


def _begin_history(target: Path, template_path: Path, lines: Sequence[str]) -> None:
    """Add the first lines to the template's HISTORY, or to a new one where it takes none."""
    try:
        append_lines(target, lines)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        leave_out(f"{template_path}: its HISTORY is left out, it takes no lines ({reason})")
        shutil.rmtree(target)
        tables.default_ms_subtable("HISTORY", str(target)).close()
        append_lines(target, lines)


def _needed_bytes(template: Any, history: Sequence[str]) -> int:
    """Return what the subtables take, and a table of two rows."""
    subtables = sum(map(folder_bytes, subtable_paths(template).values()))
    # Cutting them to channels makes a copy, and lines of HISTORY lie there twice at most.
    return 2 * subtables + 2 * sum(map(len, history)) + EMPTY_SET_BYTES


def open_template(path: Path) -> Any:
    """Open the main table of a set that serves as a model; it may have no rows.

    Raises
    ------
    InputError
        If it is not there or is not a casacore table.
    """
    name = table_name(path)
    if not (path / "table.dat").is_file():
        raise InputError(f"{path} is not a Measurement Set that can serve as a model")
    try:
        return tables.table(name, ack=False, lockoptions="usernoread")
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be opened as a Measurement Set ({reason})") from None


def _check_window(
    folder: Path, template_path: Path, model: TelescopeModel, start: int, count: int
) -> None:
    described = row_count(folder, "DATA_DESCRIPTION")
    if model.data_desc_id >= described:
        raise InputError(
            f"{template_path} has {described} rows in DATA_DESCRIPTION; "
            f"row {model.data_desc_id} is wanted"
        )
    if count != model.num_channels:
        raise InputError(
            f"channels {start} to {start + count - 1} of {template_path} are {count}, "
            f"but {model.num_channels} are to be written"
        )


def _table_info(template: Any) -> dict[str, str]:
    info = template.info()
    return {"type": "Measurement Set", "subType": "", "readme": info.get("readme", "")}


def _constants(folder: Path, model: TelescopeModel, scan_number: int) -> dict[str, int]:
    values = dict.fromkeys(_CONSTANT_COLUMNS, 0)
    values["DATA_DESC_ID"] = model.data_desc_id
    values["FIELD_ID"] = model.field_id
    values["SCAN_NUMBER"] = _int32(scan_number)
    for column, subtable in (("PROCESSOR_ID", "PROCESSOR"), ("STATE_ID", "STATE")):
        # The standard's "not given" where there is no row to point to.
        values[column] = 0 if row_count(folder, subtable) else -1
    return values


def _int32(scan_number: int) -> int:
    """Return a scan's number as the column can hold it; the correlator's has 64 bits."""
    if 0 <= scan_number < _SCAN_NUMBERS:
        return scan_number
    log.warning(
        "scan %d does not fit SCAN_NUMBER, %d is written instead",
        scan_number,
        scan_number % _SCAN_NUMBERS,
    )
    return scan_number % _SCAN_NUMBERS


def _describe(columns: Sequence[TiledColumn]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the description of the main table and of its data managers."""
    entries = []
    managers: dict[str, Any] = {}
    hypercolumns: dict[str, Any] = {}
    for column in columns:
        entries.append(_describe_tiled(column, dict(_KEYWORDS.get(column.name, {}))))
        cell = column.tiling.cell
        if not cell:
            # Without this a tiled storage manager refuses scalar columns.
            hypercolumns[column.group] = {"HCdatanames": [column.name], "HCndim": 1}
        managers[f"*{column.sequence + 1}"] = {
            "TYPE": "TiledColumnStMan",
            "NAME": column.group,
            "SEQNR": column.sequence,
            "COLUMNS": [column.name],
            # casacore writes a tile for the first row, so one that is to be thrown away is small.
            "SPEC": {"DEFAULTTILESHAPE": list(scratch_tile(column))},
        }
    entries += [
        tables.makescacoldesc(
            name,
            0,
            datamanagertype="IncrementalStMan",
            datamanagergroup=_CONSTANT_GROUP,
        )
        for name in _CONSTANT_COLUMNS
    ]
    entries.append(
        tables.makearrcoldesc(
            _CATEGORY_COLUMN,
            value=False,
            ndim=3,
            datamanagertype="IncrementalStMan",
            datamanagergroup=_CONSTANT_GROUP,
            comment=_COMMENTS[_CATEGORY_COLUMN],
        )
    )
    managers[f"*{len(columns) + 1}"] = {
        "TYPE": "IncrementalStMan",
        "NAME": _CONSTANT_GROUP,
        "SEQNR": len(columns),
        "COLUMNS": [*_CONSTANT_COLUMNS, _CATEGORY_COLUMN],
        "SPEC": {"BUCKETSIZE": _CONSTANT_BUCKET_BYTES},
    }
    description = tables.maketabdesc(entries)
    description["_define_hypercolumn_"] = hypercolumns
    return description, managers


def _take_over_keywords(table: Any, template: Any, template_path: Path) -> None:
    """Give the columns the template's keywords, but for those that say what is written."""
    known = set(template.colnames())
    for name in table.colnames():
        if name not in known or name == _CATEGORY_COLUMN:
            continue
        own = _KEYWORDS.get(name, {})
        theirs = dict(template.getcolkeywords(name))
        if own:
            # A unit of each row is in a column that new sets do not have.
            theirs.pop("VariableUnits", None)
        if name == "UVW" and _is_measure(theirs.get("MEASINFO")) and uvw_is_usable(theirs):
            # They are copied as they are.
            own = own | {"MEASINFO": theirs["MEASINFO"]}
        for keyword, value in (theirs | own).items():
            try:
                table.putcolkeyword(name, keyword, value)
            except (RuntimeError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())
                leave_out(f"{template_path}: keyword {keyword} of {name} is left out ({reason})")


def _is_measure(info: Any) -> bool:
    return isinstance(info, dict) and info.get("type") == "uvw" and isinstance(info.get("Ref"), str)


def _describe_tiled(column: TiledColumn, keywords: dict[str, Any]) -> Any:
    kind = "?" if column.dtype.kind == "b" else column.dtype.str
    common = {
        "datamanagertype": "TiledColumnStMan",
        "datamanagergroup": column.group,
        "comment": _COMMENTS[column.name],
        "valuetype": _VALUE_TYPE[kind],
        "keywords": keywords,
    }
    if not column.tiling.cell:
        return tables.makescacoldesc(column.name, _ZERO[kind], **common)
    return tables.makearrcoldesc(
        column.name,
        _ZERO[kind],
        shape=list(column.tiling.cell[::-1]),
        options=_DIRECT_FIXED_SHAPE,
        **common,
    )


def scratch_tile(column: TiledColumn) -> tuple[int, ...]:
    """Return the tile of the table of one row that casacore makes: a single row."""
    return (*column.tiling.cell, 1)


def _learn_layout(folder: Path, columns: Sequence[TiledColumn], dump_rows: int) -> SetLayout:
    """Find out how casacore writes the number of rows, and take its table of one row apart."""
    # The tile in the header must be the real one: compared with what the scratch one would give.
    for column in columns:
        check_tiled_header(
            column.with_tile(scratch_tile(column)), (folder / column.header_name).read_bytes()
        )
    constants = f"table.f{len(columns)}"
    headers = {name: (folder / name).read_bytes() for name in ("table.dat", constants)}
    lock = (folder / "table.lock").read_bytes()
    fields = [find_lock_row_field("table.lock", lock)]
    with tables.table(str(folder), readonly=False, ack=False) as table:
        table.addrows(1)
        # Rows alone would go to table.lock only; this makes casacore write table.dat again.
        table.putkeyword("MS_VERSION", MS_VERSION)
    for name, big_endian in (("table.dat", True), (constants, False)):
        changed = (folder / name).read_bytes()
        fields += find_row_fields(name, headers[name], changed, big_endian=big_endian)
    for path in folder.iterdir():
        if re.fullmatch(r"table\.f\d+(_TSM\d+)?", path.name):
            path.unlink()
    return SetLayout(
        dump_rows=dump_rows,
        columns=tuple(columns),
        row_fields=tuple(fields),
        headers={**headers, "table.lock": lock},
    )
