"""Measurement Sets that are not quite: each differs from a good one in one thing.

A mutant is made by a seed and a number, so that any can be had again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAIN = "MAIN"
_TYPES = ("boolean", "int", "float", "double", "complex", "string")
_NUMBERS = (0, -1, 1, 7, 2**31 - 1, -(2**31), 1e-9, 1e9, -1e9, 1e300, np.nan, np.inf)
_UNITS = ("d", "min", "MHz", "km", "deg", "", "furlong", "s", "Hz", "m", "rad", 5)
_FRAMES = ("TAI", "TT", "UT1", "UTC", "B1950", "AZEL", "ITRF", "WGS84", "MOON", "", "j2000", 3)
# A text longer than a bucket of the IncrementalStMan ends casacore while a mutant is made.
_TEXTS = ("", "x" * 5_000, "a\nb", "ünïcödé", "Table: /nowhere", "Table: ", " ", "%s {0} $HOME")


@dataclass(frozen=True)
class Mutant:
    """What was done to a good set.

    Attributes
    ----------
    what
        For people.
    table
        The table it was done to; MAIN, or the name of a subtable.
    """

    what: str
    table: str


def make_mutant(good: Path, target: Path, seed: int, number: int, turn: int) -> Mutant:
    """Copy a good set, and spoil one thing of the copy.

    Parameters
    ----------
    good
        The set.
    target
        Does not exist yet.
    seed, number
        Which mutant.
    turn
        Which table is spoiled, and in which way; what exactly is done to it is chance.
    """
    rng = np.random.default_rng([seed, number])
    names = [MAIN, *sorted(entry.name for entry in good.iterdir() if entry.is_dir())]
    table = names[turn % len(names)]
    while True:
        shutil.copytree(good, target)
        folder = target if table == MAIN else target / table
        way = _WAYS[turn // len(names) % len(_WAYS)]
        try:
            return Mutant(f"{table} of {good.name}: {way(folder, target, table, rng)}", table)
        except (RuntimeError, TypeError, ValueError, OverflowError):
            # casacore itself does not do this to this table: the next way, then.
            shutil.rmtree(target)
            turn += len(names)


def _open(folder: Path) -> Any:
    return tables.table(str(folder), readonly=False, ack=False)


def _pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _remove_table(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    if table == MAIN:
        with _open(folder) as main:
            main.removerows(range(main.nrows()))
        return "no rows"
    if rng.random() < 0.5:
        with _open(target) as main:
            main.removekeyword(table)
        if rng.random() < 0.5:
            return "no keyword"
    shutil.rmtree(folder)
    return "folder removed"


def _spoil_reference(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del folder
    with _open(target) as main:
        name = _pick(rng, main.keywordnames()) if table == MAIN else table
        value = _pick(rng, (7, "text", [1.5, 2.5], "Table: /nowhere/at/all", "Table: ", {"a": 1}))
        main.removekeyword(name)
        main.putkeyword(name, value)
    return f"keyword {name} = {value!r}"


def _change_rows(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    with _open(folder) as opened:
        if rng.random() < 0.5 or not opened.nrows():
            opened.addrows(1)
            return "a row more, without values"
        if rng.random() < 0.5:
            opened.removerows(range(opened.nrows()))
            return "no rows"
        opened.removerows([opened.nrows() - 1])
    return "a row fewer"


def _remove_column(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    with _open(folder) as opened:
        name = _pick(rng, opened.colnames())
        if rng.random() < 0.3:
            opened.renamecol(name, f"{name}_X")
            return f"column {name} renamed"
        opened.removecols([name])
    return f"column {name} removed"


def _rebuild_column(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    """Give a column another type or shape, with values where they can be had from the old ones."""
    del target, table
    with _open(folder) as opened:
        name = _pick(rng, opened.colnames())
        rows = opened.nrows()
        old = [
            opened.getcell(name, row) if opened.iscelldefined(name, row) else None
            for row in range(rows)
        ]
        kind = _pick(rng, _TYPES)
        scalar = opened.isscalarcol(name) if rng.random() < 0.7 else not opened.isscalarcol(name)
        keywords = opened.getcolkeywords(name)
        opened.removecols([name])
        zero = {"boolean": False, "int": 0, "float": 0.0, "double": 0.0, "complex": 0j}.get(
            kind, ""
        )
        made = (
            tables.makescacoldesc(name, zero, valuetype=kind, keywords=keywords)
            if scalar
            else tables.makearrcoldesc(
                name, zero, valuetype=kind, ndim=int(rng.integers(-1, 4)), keywords=keywords
            )
        )
        opened.addcols(tables.maketabdesc([made]))
        for row, value in enumerate(old):
            _put(opened, name, row, value)
    return f"column {name} is {'a scalar' if scalar else 'an array'} of {kind}"


def _put(opened: Any, name: str, row: int, value: Any) -> None:
    try:
        if value is not None:
            opened.putcell(name, row, value)
    except (RuntimeError, TypeError, ValueError):
        return


def _reshape_cells(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    """Free the shapes of an array column; cut, empty, or leave out some of its cells."""
    del target, table
    with _open(folder) as opened:
        arrays = [name for name in opened.colnames() if not opened.isscalarcol(name)]
        name = _pick(rng, arrays)
        rows = opened.nrows()
        kind = opened.coldatatype(name)
        old = [
            opened.getcell(name, row) if opened.iscelldefined(name, row) else None
            for row in range(rows)
        ]
        keywords = opened.getcolkeywords(name)
        opened.removecols([name])
        zero = {"boolean": False, "int": 0, "float": 0.0, "double": 0.0, "complex": 0j}.get(
            kind, ""
        )
        made = tables.makearrcoldesc(name, zero, valuetype=kind, ndim=-1, keywords=keywords)
        opened.addcols(tables.maketabdesc([made]))
        how = _pick(rng, ("undefined", "half undefined", "cut", "empty", "turned", "longer"))
        for row, value in enumerate(old):
            array = np.asarray([] if value is None else value)
            if how == "undefined" or (how == "half undefined" and row % 2):
                continue
            changed = {"cut": array[:-1], "empty": array[:0], "turned": array.T}.get(how, array)
            if how == "longer":
                changed = np.concatenate([array, array])
            _put(opened, name, row, changed)
    return f"cells of {name}: {how}"


def _spoil_unit(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    with _open(folder) as opened:
        names = [n for n in opened.colnames() if "QuantumUnits" in opened.getcolkeywords(n)]
        name = _pick(rng, names or opened.colnames())
        if names and rng.random() < 0.3:
            opened.removecolkeyword(name, "QuantumUnits")
            return f"{name} without a unit"
        unit = _pick(rng, _UNITS)
        value = unit if rng.random() < 0.2 else np.array([unit])
        if names:
            opened.removecolkeyword(name, "QuantumUnits")
        opened.putcolkeyword(name, "QuantumUnits", value)
    return f"{name} in {value!r}"


def _spoil_measure(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    with _open(folder) as opened:
        names = [n for n in opened.colnames() if "MEASINFO" in opened.getcolkeywords(n)]
        name = _pick(rng, names or opened.colnames())
        info: Any = dict(opened.getcolkeywords(name).get("MEASINFO", {"type": "epoch"}))
        how = int(rng.integers(5))
        if how == 0:
            info["type"] = _pick(rng, ("epoch", "direction", "frequency", "nothing", 4))
        elif how == 1:
            info.pop("Ref", None)
            info |= {"VarRefCol": _pick(rng, ("NOWHERE", "TIME", "NAME", 3))}
        elif how == 2:
            info = _pick(rng, (5, "text", np.arange(3)))
        else:
            info["Ref"] = _pick(rng, _FRAMES)
        if names:
            opened.removecolkeyword(name, "MEASINFO")
            if how == 3 and rng.random() < 0.3:
                return f"{name} without a measure"
        opened.putcolkeyword(name, "MEASINFO", info)
    return f"measure of {name} = {info!r}"


def _odd_keyword(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    value = _pick(rng, (*_TEXTS, {"a": {"b": np.arange(3)}}, np.zeros((2, 2, 2)), 5, 1j, True))
    with _open(folder) as opened:
        if rng.random() < 0.5:
            opened.putkeyword("ODD", value)
            return f"keyword ODD = {str(value)[:40]!r}"
        name = _pick(rng, opened.colnames())
        opened.putcolkeyword(name, "ODD", value)
    return f"keyword ODD of {name} = {str(value)[:40]!r}"


def _spoil_cell(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    with _open(folder) as opened:
        name = _pick(rng, opened.colnames())
        rows = opened.nrows()
        row = int(rng.integers(rows))
        kind = opened.coldatatype(name)
        value: Any = _pick(rng, _TEXTS if kind == "string" else _NUMBERS)
        whole = rng.random() < 0.3
        for each in range(rows) if whole else [row]:
            changed = value
            if not opened.isscalarcol(name):
                # An array of another shape or type than the column's would end casacore here.
                array = np.array(opened.getcell(name, each))
                if not array.size or array.dtype.kind not in "biufc":
                    raise ValueError(f"{name} holds no numbers")
                array.reshape(-1)[int(rng.integers(max(1, array.size)))] = (
                    value if kind != "int" else np.int64(value).astype(np.int32)
                )
                changed = array
            elif kind == "int":
                changed = int(value)
            elif kind == "boolean":
                changed = bool(value)
            opened.putcell(name, each, changed)
    return f"{name}[{'all' if whole else row}] = {str(value)[:40]!r}"


def _other_encoding(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    """Put a letter of Latin-1 into a text of the files."""
    del target, table
    for path in rng.permutation(np.array(_files(folder), dtype=object)):
        content = bytearray(path.read_bytes())
        letters = [
            i
            for i in range(1, len(content) - 1)
            if all(0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39 for byte in content[i - 1 : i + 2])
        ]
        if letters:
            at = _pick(rng, letters)
            content[at] = 0xE9
            path.write_bytes(content)
            return f"byte {at} of {path.name} is a letter of Latin-1"
    return "nothing"


def _truncate_file(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    path = _pick(rng, _files(folder))
    size = path.stat().st_size
    how = rng.random()
    if how < 0.2:
        path.unlink()
        return f"{path.name} removed"
    if how < 0.3:
        path.unlink()
        path.mkdir()
        return f"{path.name} is a folder"
    kept = 0 if how < 0.5 else int(rng.integers(max(1, size)))
    path.write_bytes(path.read_bytes()[:kept])
    return f"{path.name} cut to {kept} of {size} bytes"


def _garble_file(folder: Path, target: Path, table: str, rng: np.random.Generator) -> str:
    del target, table
    path = _pick(rng, _files(folder))
    content = bytearray(path.read_bytes())
    if not content:
        return "nothing"
    count = int(_pick(rng, (1, 4, 64, 512)))
    # Headers are where it hurts.
    reach = len(content) if rng.random() < 0.5 else min(len(content), 600)
    for at in rng.integers(reach, size=count):
        content[at] = int(rng.integers(256))
    path.write_bytes(content)
    return f"{count} bytes of {path.name} garbled, in the first {reach}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


_WAYS: tuple[Callable[[Path, Path, str, np.random.Generator], str], ...] = (
    _remove_table,
    _spoil_cell,
    _spoil_reference,
    _remove_column,
    _truncate_file,
    _spoil_unit,
    _change_rows,
    _rebuild_column,
    _spoil_cell,
    _garble_file,
    _spoil_measure,
    _reshape_cells,
    _odd_keyword,
    _other_encoding,
    _truncate_file,
    _garble_file,
)
