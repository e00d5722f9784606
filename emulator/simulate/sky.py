"""The sky: point sources with spectra, and the visibilities of them.

A baseline with coordinates u, v, w (metres, from ANTENNA1 to ANTENNA2) sees, at frequency nu,

    V = sum over sources of S(nu) exp(+2 pi i nu / c (u l + v m + w (n - 1)))

with l, m, n the direction cosines of the source: l towards the east, m towards the north, n
towards the phase centre, where the phase is zero.  The sign is that of the CASA family for a
Measurement Set's UVW: tclean of CASA 6.7 puts a source where it belongs, with its full flux, also
0.5 degrees off the phase centre at an elevation of 12 degrees, where w matters.  Textbooks that
let a baseline point from antenna 2 to antenna 1 write the same with a minus.

Sources are unpolarised: XX = YY = RR = LL = I and the cross-hands are zero.  There is no antenna
beam, and no smearing by the width of a channel or the length of an integration: a visibility is
the one at the channel's centre and the integration's middle.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from emulator.simulate.text_table import cells_of, read_text, separator_of
from receive.command.errors import ConfigError, InputError
from receive.model.uvw import direction_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

C_M_S = 299792458.0

_FORM = "expected RA,DEC,FLUX_JY[,SPECTRAL_INDEX[,REFERENCE_HZ]]"
_FIELDS = range(3, 6)
_SEXAGESIMAL = re.compile(
    r"([+-]?)(\d+)\s*([:hd ])\s*(\d+)\s*[:m' ]\s*(\d+(?:\.\d*)?)\s*[s\"]?", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Source:
    """A point source: S(nu) = flux (nu / reference) ^ spectral index.

    Attributes
    ----------
    ra_rad, dec_rad
        Direction, J2000 (taken as ICRS), radians.
    flux_jy
        At the reference frequency.
    spectral_index
        Negative where the source is fainter at higher frequencies.
    reference_hz
        None for the first channel.
    """

    ra_rad: float
    dec_rad: float
    flux_jy: float
    spectral_index: float = 0.0
    reference_hz: float | None = None

    def flux_at(self, freq_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the flux density at frequencies (channels,) in Hz, Jy."""
        reference = freq_hz[0] if self.reference_hz is None else self.reference_hz
        return np.asarray(self.flux_jy * (freq_hz / reference) ** self.spectral_index)


def parse_ra(text: str, what: str) -> float:
    """Return a right ascension in radians from ``H:M:S``, ``HhMmSs`` or decimal degrees.

    Raises
    ------
    ConfigError
        If it is none of these or not within 0..360 degrees; the message begins with `what`.
    """
    degrees = _angle(text, sexagesimal_deg=15.0)
    if degrees is None or not 0 <= degrees <= 360:  # noqa: PLR2004 (a turn)
        raise ConfigError(
            f"{what}: {text!r} is not a right ascension; expected degrees from 0 to 360, "
            "such as 187.7, or hours as 12:30:49.4"
        )
    return math.radians(degrees)


def parse_dec(text: str, what: str) -> float:
    """Return a declination in radians from ``D:M:S``, ``DdMmSs`` or decimal degrees.

    Raises
    ------
    ConfigError
        If it is none of these or not within -90..90 degrees; the message begins with `what`.
    """
    degrees = _angle(text, sexagesimal_deg=1.0)
    if degrees is None or not -90 <= degrees <= 90:  # noqa: PLR2004 (the poles)
        raise ConfigError(
            f"{what}: {text!r} is not a declination; expected degrees from -90 to 90, "
            "such as -45.5 or -45:30:00"
        )
    return math.radians(degrees)


def _angle(text: str, sexagesimal_deg: float) -> float | None:
    """Return degrees; `sexagesimal_deg` is what one unit before the first colon is worth."""
    words = text.strip()
    try:
        value = float(words.removesuffix("deg"))
    except ValueError:
        pass
    else:
        return value if math.isfinite(value) else None
    match = _SEXAGESIMAL.fullmatch(words)
    if match is None:
        return None
    sign, whole, unit, minutes, seconds = match.groups()
    if int(minutes) >= 60 or float(seconds) >= 60:  # noqa: PLR2004 (sixtieths)
        return None
    unit_deg = {"h": 15.0, "d": 1.0}.get(unit.lower(), sexagesimal_deg)
    value = (int(whole) + int(minutes) / 60 + float(seconds) / 3600) * unit_deg
    return -value if sign == "-" else value


def parse_source(text: str, what: str = "--source") -> Source:
    """Return the source that ``RA,DEC,FLUX_JY[,SPECTRAL_INDEX[,REFERENCE_HZ]]`` describes."""
    return _source([f.strip() for f in text.split(",")], what, text)


def _source(fields: Sequence[str], what: str, text: str) -> Source:
    if len(fields) not in _FIELDS:
        raise ConfigError(f"{what}: {text!r} has {len(fields)} fields; {_FORM}")
    numbers = [_number(field, what, text) for field in fields[2:]]
    reference = numbers[2] if len(numbers) > 2 else None  # noqa: PLR2004
    if reference is not None and reference <= 0:
        raise ConfigError(f"{what}: {text!r}: the reference frequency must be above 0 Hz")
    return Source(
        parse_ra(fields[0], what),
        parse_dec(fields[1], what),
        numbers[0],
        numbers[1] if len(numbers) > 1 else 0.0,
        reference,
    )


def _number(field: str, what: str, text: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{what}: {text!r}: {field!r} is not a number; {_FORM}")
    return value


def read_sources(path: Path) -> list[Source]:
    """Return the sources of a file with one a line; ``#`` begins a comment."""
    sources = []
    separator: str | None = None
    begun = False
    for number, line in enumerate(read_text(path, "a source on each line").splitlines(), 1):
        words = line.partition("#")[0].strip()
        if not words.strip(",;"):
            continue
        where = f"{path}: line {number}"
        if not begun:
            separator = separator_of(words)
        cells = cells_of(words, separator, where)
        if begun or not _names_columns(cells, where):
            sources.append(_source(cells, where, words))
        begun = True
    if not sources:
        raise InputError(f"{path}: no sources in it; {_FORM} on each line")
    return sources


def _names_columns(cells: Sequence[str], where: str) -> bool:
    """Tell whether a line names the columns, in the order that they must have."""
    if any(any(c.isdigit() for c in cell) for cell in cells):
        return False
    if [cell.lower()[:3].strip("_ ") for cell in cells[:2]] == ["ra", "dec"]:
        return True
    raise InputError(f"{where}: columns {', '.join(cells)}; {_FORM}")


def default_sources(centre_rad: tuple[float, float], field_rad: float) -> list[Source]:
    """Return four sources near a phase centre, in a field of view of `field_rad`.

    The brightest is a little off the centre, so that phases turn with time and frequency.
    """
    pattern = (
        (0.04, 0.03, 10.0, -0.7),
        (-0.21, 0.12, 4.0, -0.8),
        (0.15, -0.24, 2.5, -0.5),
        (-0.08, -0.17, 1.0, 0.3),
    )
    frame = direction_frame(centre_rad)
    sources = []
    for east, north, flux_jy, index in pattern:
        l, m = math.sin(east * field_rad), math.sin(north * field_rad)  # noqa: E741
        x, y, z = np.array([l, m, math.sqrt(1 - l * l - m * m)]) @ frame
        sources.append(
            Source(math.atan2(y, x) % math.tau, math.asin(max(-1, min(1, z))), flux_jy, index)
        )
    return sources


def direction_cosines(
    sources: Sequence[Source], centre_rad: tuple[float, float]
) -> NDArray[np.float64]:
    """Return (l, m, n - 1) of sources about a phase centre, (sources, 3).

    n - 1 is computed from l and m where it is small, or all its digits would be lost.
    """
    ra = np.array([s.ra_rad for s in sources])
    dec = np.array([s.dec_rad for s in sources])
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    lmn = vectors @ direction_frame(centre_rad).T
    sine2 = lmn[:, 0] ** 2 + lmn[:, 1] ** 2
    near = -sine2 / (1 + np.sqrt(np.maximum(0, 1 - sine2)))
    lmn[:, 2] = np.where(lmn[:, 2] > 0, near, lmn[:, 2] - 1)
    return np.asarray(lmn)


class SkyModel:
    """Sources as a phase centre and a band see them; makes Stokes I visibilities.

    Parameters
    ----------
    sources
        Any number of them; none gives zeros.
    centre_rad
        Phase centre, right ascension and declination, radians.
    freq_hz
        Channel centres, (channels,), Hz.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        centre_rad: tuple[float, float],
        freq_hz: NDArray[np.float64],
    ) -> None:
        self._freq_hz = np.ascontiguousarray(freq_hz, np.float64)
        self._lmn = np.zeros((0, 3))
        self._flux_jy = np.zeros((0, len(freq_hz)))
        if sources:
            self._lmn = direction_cosines(sources, centre_rad)
            self._flux_jy = np.array([s.flux_at(self._freq_hz) for s in sources])
        self._threads = min(8, len(os.sched_getaffinity(0)))

    def visibilities(self, uvw_m: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Return the visibilities of baselines (baselines, 3) in metres: (baselines, channels)."""
        uvw_m = np.ascontiguousarray(uvw_m, np.float64)
        out = np.zeros((len(uvw_m), len(self._freq_hz)), np.complex64)
        bounds = np.linspace(0, len(uvw_m), self._threads + 1).astype(int)
        with ThreadPoolExecutor(self._threads) as pool:
            jobs = [
                pool.submit(self._fill, uvw_m[start:stop], out[start:stop])
                for start, stop in itertools.pairwise(bounds)
                if stop > start
            ]
            for job in jobs:
                job.result()
        return out

    def _fill(self, uvw_m: NDArray[np.float64], out: NDArray[Any]) -> None:
        _sum_sources(uvw_m, self._lmn, self._flux_jy, self._freq_hz, out)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sum_sources(  # pragma: no cover (compiled)
    uvw_m: NDArray[np.float64],
    lmn: NDArray[np.float64],
    flux_jy: NDArray[np.float64],
    freq_hz: NDArray[np.float64],
    out: NDArray[np.complex64],
) -> None:
    """Fill `out` (baselines, channels) with the sum over sources; sums are in float64."""
    sums = np.zeros(freq_hz.shape[0], np.complex128)
    for row in range(uvw_m.shape[0]):
        sums[:] = 0
        for source in range(lmn.shape[0]):
            path_m = (
                uvw_m[row, 0] * lmn[source, 0]
                + uvw_m[row, 1] * lmn[source, 1]
                + uvw_m[row, 2] * lmn[source, 2]
            )
            for channel in range(freq_hz.shape[0]):
                turns = path_m * freq_hz[channel] / C_M_S
                angle = 2 * np.pi * (turns - np.floor(turns))
                sums[channel] += flux_jy[source, channel] * complex(np.cos(angle), np.sin(angle))
        for channel in range(freq_hz.shape[0]):
            out[row, channel] = sums[channel]
