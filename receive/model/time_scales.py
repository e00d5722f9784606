"""Converts times from the time scales used in sets to UTC, which is used on the wire.

Names are casacore's, with its synonyms.  TT - TAI is a constant, TAI - UTC a table of leap seconds,
UT1 - TAI a table of the IERS (see `receive.model.earth`), TDB - TT a series of 2 ms at most.
Scales that depend on the place (sidereal ones) or differ from these by a rate are not converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import InputError
from receive.model.earth import DAY_S, MJD_JD, TT_TAI_S, tai_utc_s, ut1_tai_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

UTC = "UTC"

_SYNONYMS = {"IAT": "TAI", "TDT": "TT", "ET": "TT", "UT": "UT1"}
_CONVERTED = (UTC, "TAI", "TT", "UT1", "TDB")


def known_scale(name: str) -> str:
    """Return the canonical name of a time scale.

    Raises
    ------
    InputError
        If times in it cannot be converted to UTC.
    """
    scale = name.upper()
    scale = _SYNONYMS.get(scale, scale)
    if scale not in _CONVERTED:
        raise InputError(
            f"in the time scale {name}, which is not converted; {', '.join(_CONVERTED)} are"
        )
    return scale


def to_utc(time_mjd_s: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Convert times to UTC.

    Parameters
    ----------
    time_mjd_s : ndarray of float64
        MJD seconds.
    scale : str
        As `known_scale` returns it.

    Raises
    ------
    InputError
        If UT1 is not known at a time.
    """
    if scale == UTC:
        return time_mjd_s
    tai_mjd_s = time_mjd_s
    if scale == "UT1":
        offset_s = ut1_tai_s(time_mjd_s / DAY_S)
        if not np.isfinite(offset_s).all():
            raise InputError("in UT1, of which the tables of astropy-iers-data say nothing then")
        tai_mjd_s = time_mjd_s - offset_s
    elif scale != "TAI":
        tai_mjd_s = time_mjd_s - TT_TAI_S
    if scale == "TDB":
        import erfa  # noqa: PLC0415  # as in earth

        tai_mjd_s = tai_mjd_s - erfa.dtdb(MJD_JD, time_mjd_s / DAY_S, 0.0, 0.0, 0.0, 0.0)
    # TAI is ahead of UTC by less than a minute: the second look-up is that of the right day.
    utc_mjd_s = tai_mjd_s - tai_utc_s(tai_mjd_s / DAY_S)
    return np.asarray(tai_mjd_s - tai_utc_s(utc_mjd_s / DAY_S))
