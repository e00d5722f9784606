"""CASA's form of an antenna table: the ``.cfg`` files of its simulator.

Comments give the coordinates, ``# coordsys=XYZ`` or ``LOC``, and the ``# observatory=ALMA``; lines
are ``x y z diameter pad [antenna]``, in metres.  See casatasks' simutil, ``readantenna``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.simulate.text_table import is_number
from receive.command.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEYS = ("observatory", "coordsys", "datum", "zone", "hemisphere")
_ASSIGNMENT = re.compile(rf"\s*({'|'.join(_KEYS)})\s*=\s*(\S+)", re.IGNORECASE)
_COORDINATES = 4
_COLUMNS = {
    "XYZ": ("x", "y", "z", "diameter"),
    "LOC": ("east", "north", "up", "diameter"),
}


def comment(text: str) -> tuple[str, str] | None:
    """Return key and value of a comment of such a table, None if it is none."""
    match = _ASSIGNMENT.match(text)
    if match is None:
        return None
    key = match[1].lower()
    return "telescope" if key == "observatory" else key, match[2]


def is_casa(header: Mapping[str, str], cells: Sequence[str]) -> bool:
    """Tell whether a table with these comments and this first line has the form."""
    if "coordsys" in header:
        return True
    named = len(cells) > _COORDINATES and not is_number(cells[_COORDINATES])
    return named and all(is_number(cell) for cell in cells[:_COORDINATES])


def columns(header: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return the names of the columns, the antenna's as the first.

    Raises
    ------
    InputError
        The coordinates are others than geocentric or local ones.
    """
    system = header.get("coordsys", "XYZ").upper()
    if system not in _COLUMNS:
        raise InputError(
            f"{where}: CASA's .cfg form with coordsys={system} is not read; expected coordsys=XYZ "
            "(ITRF metres) or LOC (metres east, north, up)"
        )
    return ("name", *_COLUMNS[system])


def with_name_first(cells: Sequence[str], where: str) -> list[str]:
    """Return the cells of a line, the antenna's name as the first: its own, or its pad's."""
    if not _COORDINATES < len(cells) <= _COORDINATES + 2:
        raise InputError(
            f"{where}: {len(cells)} columns; CASA's .cfg form has x y z diameter pad [antenna]"
        )
    return [cells[-1], *cells[:_COORDINATES]]
