"""Arrays: the built-in layouts with their sources, tables of the user's own, and random ones.

Every built-in layout is a file in ``layouts/`` whose comments say whose coordinates they are; the
format is that of `antenna_table`.
"""

from __future__ import annotations

import difflib
import math
import textwrap
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from emulator.simulate.antenna_table import (
    AntennaTable,
    Floats,
    Site,
    parse_antennas,
    read_antennas,
)
from receive.command.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

RANDOM_SITE = Site(116.764448, -26.824722, 365.0)
"""Where random antennas stand if nobody says otherwise: the reference point of SKA-Low."""
RANDOM_SPREAD_M = 1000.0
_PAGE_COLUMNS = 96

# For tables that do not say: a dish of the size of MeerKAT's, at 1.4 GHz.
_DIAMETER_M = 13.5
_FREQ_START_HZ = 1.4e9
_CHANNEL_WIDTH_HZ = 1e6


@dataclass(frozen=True)
class Array:
    """Antennas on Earth and what is usual for them.

    Attributes
    ----------
    names
        One for each antenna.
    positions_m
        ITRF, (antennas, 3), metres.
    diameters_m
        (antennas,), metres.
    freq_start_hz, channel_width_hz
        The first channel's centre and the width to use unless the user says otherwise.
    source
        Whose coordinates they are.
    """

    telescope: str
    names: tuple[str, ...]
    positions_m: Floats
    diameters_m: Floats
    mount: str
    freq_start_hz: float
    channel_width_hz: float
    place: str
    kind: str
    source: str

    def __len__(self) -> int:
        """Return the number of antennas."""
        return len(self.names)

    @property
    def centre_m(self) -> Floats:
        """The mean of the antennas' positions, ITRF metres (3,)."""
        return np.asarray(self.positions_m.mean(axis=0), np.float64)

    def take(self, choice: str) -> Array:
        """Return the array cut to its first N antennas, or to those named ``A,B,C``."""
        wanted = choice.strip()
        if wanted.isdigit():
            return self._first(int(wanted))
        index = {name: i for i, name in enumerate(self.names)}
        chosen: list[int] = []
        for word in wanted.split(","):
            name = word.strip()
            if name not in index:
                near = difflib.get_close_matches(name, self.names, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ConfigError(f"--num-antennas: {self.telescope} has no antenna {name!r}{hint}")
            if index[name] in chosen:
                raise ConfigError(f"--num-antennas: antenna {name} is named twice")
            chosen.append(index[name])
        return self._rows(chosen)

    def _first(self, count: int) -> Array:
        if count < 1:
            raise ConfigError("--num-antennas: 0 is not enough; expected at least 1")
        if count > len(self):
            raise ConfigError(
                f"--num-antennas: {count} of {self.telescope} is more than the {len(self)} that "
                "this layout has; choose another --array (ska-low has 512), bring your own table "
                "with --antennas, or use --random-antennas"
            )
        return self._rows(list(range(count)))

    def _rows(self, rows: list[int]) -> Array:
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            positions_m=self.positions_m[rows],
            diameters_m=self.diameters_m[rows],
        )


def builtin_names() -> list[str]:
    """Return the names of the built-in layouts, sorted."""
    folder = resources.files("emulator.simulate") / "layouts"
    return sorted(f.name[: -len(".csv")] for f in folder.iterdir() if f.name.endswith(".csv"))


def load_builtin(name: str) -> Array:
    """Return a built-in layout by its name, as ``meerkat``.

    Raises
    ------
    ConfigError
        If there is none of that name; the message says which there are.
    """
    known = builtin_names()
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--array: no layout {name!r}{hint} There are: {', '.join(known)}")
    resource = resources.files("emulator.simulate") / "layouts" / f"{name.lower()}.csv"
    return _from_table(
        parse_antennas(resource.read_text(encoding="utf-8"), f"layout {name.lower()}"),
        name.lower(),
    )


def load_file(path: Path, site: Site | None = None) -> Array:
    """Return the array of a table of the user's own; see `antenna_table` for the format."""
    return _from_table(read_antennas(path, site), path.stem, source=f"the file {path.name}")


def random_array(count: int, seed: int, site: Site = RANDOM_SITE) -> Array:
    """Return antennas scattered at random on the ground around a site: no array that exists.

    Their distances from the site east and north are normal with a deviation of 1 km, and no two
    are nearer to each other than 40 m, as long as there is room.
    """
    if count < 1:
        raise ConfigError(f"--random-antennas: {count} is not enough; expected at least 1")
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    spacing_m = 40.0
    # Beyond a few thousand antennas the ground within 1 km is full: let the array grow.
    spread_m = RANDOM_SPREAD_M * max(1.0, math.sqrt(count / 1000))
    local = np.zeros((count, 3))
    for index in range(count):
        for _ in range(100):
            local[index, :2] = generator.normal(scale=spread_m, size=2)
            apart = np.hypot(*(local[:index, :2] - local[index, :2]).T)
            if (apart >= spacing_m).all():
                break
    return Array(
        telescope="RANDOM",
        names=tuple(f"R{index:04d}" for index in range(count)),
        positions_m=np.asarray(site.itrf_m() + local @ site.axes()),
        diameters_m=np.full(count, 35.0),
        mount="FIXED",
        freq_start_hz=150e6,
        channel_width_hz=781250.0,
        place="nowhere",
        kind="random positions, not a real array",
        source=f"drawn at random (seed {seed})",
    )


def describe_arrays() -> str:
    """Return a page that names each built-in layout, its size, place and source."""
    parts = []
    for name in builtin_names():
        array = load_builtin(name)
        longest_km = longest_baseline_m(array) / 1e3
        lines = [
            f"{array.telescope}, {array.place}: {len(array)} antennas",
            f"longest baseline {longest_km:.1f} km; {array.kind}",
            f"coordinates: {array.source}",
        ]
        indent = " " * 11
        wrapped = [
            textwrap.fill(
                line,
                _PAGE_COLUMNS,
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
            for line in lines
        ]
        parts.append(f"{name:11}{wrapped[0].lstrip()}\n" + "\n".join(wrapped[1:]) + "\n")
    return "\n".join(parts)


def longest_baseline_m(array: Array) -> float:
    """Return the greatest distance between two antennas, metres."""
    longest = 0.0
    for position in array.positions_m:
        apart = np.linalg.norm(array.positions_m - position, axis=1)
        longest = max(longest, float(apart.max()))
    return longest


def _from_table(table: AntennaTable, name: str, source: str | None = None) -> Array:
    header = table.header
    count = len(table.names)
    diameters = table.diameters_m
    if diameters is None:
        diameters = np.full(count, _number(header, "diameter_m", _DIAMETER_M, name))
    return Array(
        telescope=header.get("telescope", name.upper()),
        names=table.names,
        positions_m=table.positions_m,
        diameters_m=diameters,
        mount=header.get("mount", "ALT-AZ"),
        freq_start_hz=_number(header, "freq_start_hz", _FREQ_START_HZ, name),
        channel_width_hz=_number(header, "channel_width_hz", _CHANNEL_WIDTH_HZ, name),
        place=header.get("place", "unknown"),
        kind=header.get("antennas", f"{count} antennas"),
        source=source or header.get("source", "unknown"),
    )


def _number(header: dict[str, str], key: str, default: float, name: str) -> float:
    text = header.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name}: # {key}: {text!r} is not a number above 0")
    return value
