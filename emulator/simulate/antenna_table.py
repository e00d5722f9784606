"""Tables of antennas: the format of the built-in layouts and of ``--antennas FILE``.

A table is text; what separates its columns is in `emulator.simulate.text_table`, and CASA's form
in `emulator.simulate.casa_table`.  Lines that begin with ``#`` are comments;
``# key: value`` among them describes the array.  The first other line may name the columns:
``name x y z [diameter]`` (ITRF, metres; taken for granted without such a line) or
``name east north up [diameter]`` (metres from a site that is given beside the table).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emulator.simulate import casa_table
from emulator.simulate.text_table import cells_of, is_number, read_text, separator_of
from receive.command.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Floats = NDArray[np.float64]

GEOCENTRIC = ("name", "x", "y", "z")
LOCAL = ("name", "east", "north", "up")
_DIAMETER = "diameter"

# WGS84: the ellipsoid that geodetic longitudes, latitudes and heights refer to.
_WGS84_RADIUS_M = 6378137.0
_WGS84_FLATTENING = 1 / 298.257223563
# Nothing that stands on the ground is farther from these radii (Everest, Mariana Trench).
_GROUND_M = (6_335_000.0, 6_400_000.0)


@dataclass(frozen=True)
class AntennaTable:
    """What a table holds: names, ITRF positions (antennas, 3) in metres, diameters in metres."""

    names: tuple[str, ...]
    positions_m: Floats
    diameters_m: Floats | None
    header: dict[str, str]


@dataclass(frozen=True)
class Site:
    """A place on Earth: degrees east, degrees north, metres above the WGS84 ellipsoid."""

    longitude_deg: float
    latitude_deg: float
    height_m: float

    def itrf_m(self) -> Floats:
        """Return the geocentric position (3,), metres."""
        longitude, latitude = math.radians(self.longitude_deg), math.radians(self.latitude_deg)
        eccentricity2 = _WGS84_FLATTENING * (2 - _WGS84_FLATTENING)
        normal = _WGS84_RADIUS_M / math.sqrt(1 - eccentricity2 * math.sin(latitude) ** 2)
        across = (normal + self.height_m) * math.cos(latitude)
        return np.array(
            [
                across * math.cos(longitude),
                across * math.sin(longitude),
                (normal * (1 - eccentricity2) + self.height_m) * math.sin(latitude),
            ]
        )

    def axes(self) -> Floats:
        """Return the geocentric directions of east, north and up (3, 3), a row each."""
        longitude, latitude = math.radians(self.longitude_deg), math.radians(self.latitude_deg)
        sin_lon, cos_lon = math.sin(longitude), math.cos(longitude)
        sin_lat, cos_lat = math.sin(latitude), math.cos(latitude)
        return np.array(
            [
                [-sin_lon, cos_lon, 0.0],
                [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
                [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
            ]
        )


def read_antennas(path: Path, site: Site | None = None) -> AntennaTable:
    """Read a table of antennas from a file.

    Raises
    ------
    InputError
        If the file cannot be read or a line is not what it should be; the message names the file,
        the line and the column.
    """
    return parse_antennas(read_text(path, "a table of antennas"), str(path), site)


def parse_antennas(text: str, origin: str, site: Site | None = None) -> AntennaTable:
    """Parse the text of a table; `origin` is how messages name it."""
    header: dict[str, str] = {}
    columns: tuple[str, ...] | None = None
    rows: list[tuple[str, list[float]]] = []
    lines: dict[str, int] = {}
    separator: str | None = None
    casa = False
    for number, words in _lines(text, header):
        where = f"{origin}: line {number}"
        if columns is None:
            separator = separator_of(words)
        cells = cells_of(words, separator, where)
        if columns is None:
            casa = casa_table.is_casa(header, cells)
            columns = casa_table.columns(header, where) if casa else _columns(cells, where)
            if columns is None:
                columns = (*GEOCENTRIC, _DIAMETER)[: max(4, min(len(cells), 5))]
            elif not casa:
                continue
        if casa:
            cells = casa_table.with_name_first(cells, where)
        name, values = _row(cells, columns, where)
        if name in lines:
            raise InputError(f"{where}: antenna {name} was on line {lines[name]} already")
        lines[name] = number
        rows.append((name, values))
    if columns is None or not rows:
        raise InputError(f"{origin}: no antennas in it; expected lines of: name x y z [diameter]")
    numbers = np.array([values for _, values in rows])
    names = tuple(name for name, _ in rows)
    positions = _geocentric(numbers[:, :3], columns, origin, site)
    _check_ground(positions, names, lines, origin)
    diameters = numbers[:, 3] if len(columns) > len(GEOCENTRIC) else None
    return AntennaTable(names, positions, diameters, header)


def _lines(text: str, header: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are neither empty nor comments; these go to `header`."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words.startswith("#"):
            if (assigned := casa_table.comment(words[1:])) is not None:
                header[assigned[0]] = assigned[1]
                continue
            key, colon, value = words[1:].partition(":")
            if colon:
                header[key.strip().lower()] = value.strip()
        elif words.strip(",;"):
            # A spreadsheet makes separators of an empty line.
            yield number, words


def _columns(cells: list[str], where: str) -> tuple[str, ...] | None:
    """Return the columns if this line names them, None if it is an antenna's."""
    names = tuple(re.sub(r"[\[(].*", "", c).strip().lower() for c in cells)
    if len(names) < len(GEOCENTRIC) or any(is_number(cell) for cell in cells):
        # Of antennas' lines the first has a number too.
        return None
    for known in (GEOCENTRIC, LOCAL):
        if names in (known, (*known, _DIAMETER)):
            return names
    raise InputError(
        f"{where}: columns {', '.join(cells)}; expected name, x, y, z or name, east, north, up, "
        "and diameter if you like"
    )


def _row(cells: list[str], columns: tuple[str, ...], where: str) -> tuple[str, list[float]]:
    if len(cells) != len(columns):
        raise InputError(
            f"{where}: {len(cells)} columns; expected {len(columns)}: {', '.join(columns)} "
            "(numbers with a decimal point, names with a separator in quotes)"
        )
    if not cells[0]:
        raise InputError(f"{where}: column name is empty")
    values = []
    for column, cell in zip(columns[1:], cells[1:], strict=True):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{where}: column {column}: {cell!r} is not a number of metres")
        if column == _DIAMETER and value <= 0:
            raise InputError(f"{where}: column {column}: {cell} must be above 0")
        values.append(value)
    return cells[0], values


def _geocentric(
    numbers: Floats, columns: tuple[str, ...], origin: str, site: Site | None
) -> Floats:
    if columns[1] == "x":
        if site is not None:
            raise InputError(
                f"{origin}: its columns are x, y, z, which need no site; leave --site out, or name "
                "the columns name,east,north,up"
            )
        return numbers
    if site is None:
        raise InputError(
            f"{origin}: its columns are east, north, up: say from where with --site LON,LAT,HEIGHT"
        )
    return np.asarray(site.itrf_m() + numbers @ site.axes(), np.float64)


def _check_ground(
    positions: Floats, names: tuple[str, ...], lines: dict[str, int], origin: str
) -> None:
    """Refuse positions that no antenna on Earth has: most often the wrong kind of coordinates."""
    radii = np.linalg.norm(positions, axis=1)
    for name, radius in zip(names, radii, strict=True):
        if not _GROUND_M[0] <= radius <= _GROUND_M[1]:
            raise InputError(
                f"{origin}: line {lines[name]}: antenna {name} is {radius / 1e3:.1f} km from the "
                "centre of the Earth; x, y, z are ITRF metres (name the columns "
                "name,east,north,up for local ones)"
            )
