"""Orientation of the Earth at a UTC time: leap seconds, UT1 - UTC, and the pole.

From the tables that the packages pyerfa and astropy-iers-data bring along, read directly: it takes
20 ms where importing astropy's reader takes half a second, and never asks the network.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DAY_S = 86400.0
ARCSECOND_RAD = np.pi / 648000.0
MJD_JD = 2400000.5
"""Julian date of MJD 0."""

TT_TAI_S = 32.184

# Columns of finals2000A.all, from its readme (IERS Rapid Service, https://maia.usno.navy.mil).
_MJD = slice(7, 15)
_POLE_X = slice(18, 27)
_POLE_Y = slice(37, 46)
_UT1_UTC = slice(58, 68)


@dataclass(frozen=True)
class Orientation:
    """Times and pole that turn terrestrial into celestial coordinates; arrays of one shape.

    Attributes
    ----------
    day : ndarray of float64
        MJD at 0h UTC.
    tt_day, ut1_day : ndarray of float64
        Terrestrial time and UT1, days since `day`.
    pole_x_rad, pole_y_rad : ndarray of float64
        Coordinates of the celestial intermediate pole in the ITRF.
    """

    day: NDArray[np.float64]
    tt_day: NDArray[np.float64]
    ut1_day: NDArray[np.float64]
    pole_x_rad: NDArray[np.float64]
    pole_y_rad: NDArray[np.float64]


def orientation(time_mjd_s: NDArray[np.float64]) -> Orientation:
    """Return the orientation of the Earth at times in MJD seconds, UTC.

    Where the tables have no value (before 1973, and more than a year after the package
    astropy-iers-data was made) UT1 - UTC and the pole are taken as 0, with one warning in the
    log: the hour angle is then wrong by up to 0.9 s (13.5").
    """
    day = np.floor(time_mjd_s / DAY_S)
    second = time_mjd_s - day * DAY_S
    mjd = time_mjd_s / DAY_S
    leap_s = tai_utc_s(mjd)
    table = _iers_table()
    known = (mjd >= table.mjd[0]) & (mjd <= table.mjd[-1])
    if not known.all():
        _warn_once()

    def value(column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(known, np.interp(mjd, table.mjd, column), 0.0)

    # UT1 - TAI is smooth where UT1 - UTC jumps by a leap second.
    ut1_utc_s = np.where(known, value(table.ut1_tai_s) + leap_s, 0.0)
    return Orientation(
        day=day,
        tt_day=(second + leap_s + TT_TAI_S) / DAY_S,
        ut1_day=(second + ut1_utc_s) / DAY_S,
        pole_x_rad=value(table.pole_x_rad),
        pole_y_rad=value(table.pole_y_rad),
    )


def tai_utc_s(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return TAI - UTC in seconds at times in MJD days; before 1972 its first whole value."""
    start_mjd, value_s = _leap_seconds()
    index = np.searchsorted(start_mjd, mjd, side="right") - 1
    return value_s[np.maximum(index, 0)]


def ut1_tai_s(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return UT1 - TAI in seconds at times in MJD days, UTC or UT1; NaN where it is not known."""
    table = _iers_table()
    return np.interp(mjd, table.mjd, table.ut1_tai_s, left=np.nan, right=np.nan)


@cache
def _leap_seconds() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import erfa  # noqa: PLC0415  # a tenth of a second that only computing UVW should cost

    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]  # noqa: PLR2004  # before, UTC was steered otherwise
    _, start_mjd = erfa.cal2jd(table["year"], table["month"], 1)
    return np.asarray(start_mjd, np.float64), np.asarray(table["tai_utc"], np.float64)


@dataclass(frozen=True)
class _IersTable:
    mjd: NDArray[np.float64]
    ut1_tai_s: NDArray[np.float64]
    pole_x_rad: NDArray[np.float64]
    pole_y_rad: NDArray[np.float64]


@cache
def _iers_table() -> _IersTable:
    # By name, because the package says nothing about its types.
    path = Path(import_module("astropy_iers_data").IERS_A_FILE)
    lines = path.read_bytes().splitlines()
    # The last year of lines is empty but for the date.
    lines = [line for line in lines if line[_UT1_UTC].strip() and line[_POLE_X].strip()]

    def column(where: slice) -> NDArray[np.float64]:
        return np.array([line[where] for line in lines]).astype(np.float64)

    mjd = column(_MJD)
    return _IersTable(
        mjd=mjd,
        ut1_tai_s=column(_UT1_UTC) - tai_utc_s(mjd),
        pole_x_rad=column(_POLE_X) * ARCSECOND_RAD,
        pole_y_rad=column(_POLE_Y) * ARCSECOND_RAD,
    )


@cache
def _warn_once() -> None:
    logger.warning(
        "The Earth's rotation (UT1-UTC) is not known for some of the times, 0 is taken: UVW may "
        "be off by 6e-5 of the baseline. A newer astropy-iers-data may know it."
    )


def celestial_to_terrestrial(when: Orientation) -> NDArray[np.float64]:
    """Return the matrices from GCRS to ITRF, float64 (..., 3, 3): IAU 2006/2000A, with the pole."""
    import erfa  # noqa: PLC0415  # as above

    day = when.day + MJD_JD
    return np.asarray(
        erfa.c2t06a(day, when.tt_day, day, when.ut1_day, when.pole_x_rad, when.pole_y_rad)
    )


def aberrated_direction(direction: NDArray[np.float64], when: Orientation) -> NDArray[Any]:
    """Return where a direction (unit vector, ICRS) appears from the moving Earth, (..., 3)."""
    import erfa  # noqa: PLC0415  # as above

    with warnings.catch_warnings():
        # Beyond 2100 the Earth's velocity is less exact, by far less than aberration matters.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        heliocentric, barycentric = erfa.epv00(when.day + MJD_JD, when.tt_day)
    velocity = barycentric["v"] * (erfa.DAU / erfa.DAYSEC / erfa.CMPS)
    distance_au = np.linalg.norm(heliocentric["p"], axis=-1)
    inverse_lorentz = np.sqrt(1.0 - (velocity**2).sum(axis=-1))
    return np.asarray(erfa.ab(direction, velocity, distance_au, inverse_lorentz))
