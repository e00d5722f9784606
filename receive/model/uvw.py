"""UVW of baselines from antenna positions, time and phase centre.

The convention is casacore's, so that a computed row continues the rows of a set that a
casacore-based tool made: a baseline points from ANTENNA1 to ANTENNA2; u points to the east, v to
the north of the phase centre in J2000 (taken as ICRS), w to the phase centre; the phase centre is
seen where annual aberration puts it (20" at most), by the smallest rotation that brings it there.
Precession and nutation are IAU 2006/2000A, with UT1 and the pole from the IERS's tables.

Against the UVW of a LOFAR set of 2013 (27.5 km, made by casacore) the difference is at most 0.045
m, root mean square 0.002 m in u, 0.010 m in v and 0.025 m in w: 1.6e-6 of the baseline, a turn of
0.4" about u.  A third of that is casacore's diurnal aberration, which moves the phase centre by up
to 0.32" towards the zenith (the Earth's rotation moves an observer to the east); the rest was not
traced.  Here diurnal aberration is left out: these UVW are those of a geocentric observer, and w
agrees with astropy's coordinates to 1e-7 of the baseline.  Without annual aberration the
difference to the LOFAR set would be 1.7 m.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.model.earth import aberrated_direction, celestial_to_terrestrial, orientation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def direction_frame(radec_rad: tuple[float, float]) -> NDArray[np.float64]:
    """Return the axes u (east), v (north), w (outwards) at a direction, as rows of (3, 3)."""
    ra, dec = radec_rad
    sin_ra, cos_ra, sin_dec, cos_dec = np.sin(ra), np.cos(ra), np.sin(dec), np.cos(dec)
    return np.array(
        [
            [-sin_ra, cos_ra, 0.0],
            [-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec],
            [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec],
        ]
    )


def itrf_to_uvw(time_mjd_s: ArrayLike, radec_rad: tuple[float, float]) -> NDArray[np.float64]:
    """Return the rotations from ITRF to UVW.

    Parameters
    ----------
    time_mjd_s : array_like of float64
        MJD seconds, UTC; any shape.
    radec_rad : tuple of float
        Right ascension and declination of the phase centre, ICRS.

    Returns
    -------
    ndarray of float64, (..., 3, 3)
        Multiplied with a vector in ITRF they give (u, v, w).
    """
    when = orientation(np.asarray(time_mjd_s, np.float64))
    frame = direction_frame(radec_rad)
    apparent = aberrated_direction(frame[2], when)
    to_catalogue = _smallest_rotation(apparent, frame[2])
    to_celestial = np.swapaxes(celestial_to_terrestrial(when), -1, -2)
    return np.asarray(frame @ to_catalogue @ to_celestial)


def compute_uvw(
    positions_m: NDArray[np.float64],
    antenna1: NDArray[np.integer],
    antenna2: NDArray[np.integer],
    time_mjd_s: ArrayLike,
    radec_rad: tuple[float, float],
) -> NDArray[np.float64]:
    """Return the UVW of baselines.

    Parameters
    ----------
    positions_m : ndarray of float64, (antennas, 3)
        ITRF positions.
    antenna1, antenna2 : ndarray of int, (baselines,)
        Indices into `positions_m`.
    time_mjd_s : float or array_like of float64
        MJD seconds, UTC.
    radec_rad : tuple of float
        Right ascension and declination of the phase centre, ICRS.

    Returns
    -------
    ndarray of float64, (baselines, 3) for one time, (times, baselines, 3) for several
        Metres, from antenna1 to antenna2; exactly 0 for autocorrelations.  The rotation is made
        for antennas, not baselines, so the cost is that of the output.
    """
    rotation = itrf_to_uvw(time_mjd_s, radec_rad)
    # Relative to their centre the coordinates lose fewer digits than from the Earth's.
    relative_m = positions_m - positions_m.mean(axis=0)
    antenna_uvw = np.einsum("...ij,aj->...ai", rotation, relative_m)
    uvw = antenna_uvw[..., antenna2, :]
    uvw -= antenna_uvw[..., antenna1, :]
    return np.asarray(uvw)


def _smallest_rotation(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations about ``start x end`` that turn unit vectors into others (Rodrigues)."""
    axis = np.cross(start, end)
    cosine = (start * end).sum(axis=-1)
    cross = np.zeros((*axis.shape, 3))
    cross[..., 0, 1], cross[..., 0, 2] = -axis[..., 2], axis[..., 1]
    cross[..., 1, 0], cross[..., 1, 2] = axis[..., 2], -axis[..., 0]
    cross[..., 2, 0], cross[..., 2, 1] = -axis[..., 1], axis[..., 0]
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + cosine)[..., None, None])
