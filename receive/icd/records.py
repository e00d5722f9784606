"""Records of the data item: their layout, and the encoding of weight and time centroid.

A record is one channel of one baseline: TCI (time centroid index), FD (fraction of data), on
SKA-Mid also CCI, and four visibilities.  All functions work on whole arrays.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from receive.command.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

Telescope = Literal["low", "mid"]

VIS_SLOT_COUNT = 4

RECORD_DTYPE: Mapping[Telescope, np.dtype[Any]] = MappingProxyType(
    {
        "low": np.dtype([("TCI", "i1"), ("FD", "u1"), ("VIS", "<c8", (VIS_SLOT_COUNT,))]),
        "mid": np.dtype(
            [("TCI", "i1"), ("FD", "u1"), ("CCI", "u1"), ("VIS", "<c8", (VIS_SLOT_COUNT,))]
        ),
    }
)
"""Type of a record, 34 bytes for Low and 35 for Mid; packed, so VIS is not aligned."""

FD_MAX = 255
SMALLEST_SENT = (0.5 / FD_MAX) ** 2
"""A smaller fraction would round to FD 0, which means flagged; FD 1 is sent instead."""

WEIGHT_SLACK = 1e-4
"""Relative excess allowed over the weight of a full record, for single-precision rounding."""

TCI_MIN, TCI_MAX = -128, 127
TCI_STEPS = 256
"""TCI steps per integration."""

CORR_TYPE_NAMES: Mapping[int, str] = MappingProxyType(
    {5: "RR", 6: "RL", 7: "LR", 8: "LL", 9: "XX", 10: "XY", 11: "YX", 12: "YY"}
)
"""Products of a correlator by their CORR_TYPE in a Measurement Set (casacore's Stokes numbers)."""

_LINEAR = range(9, 13)

VIS_SLOT: Mapping[int, int] = MappingProxyType(
    {corr_type: (corr_type - 5) % VIS_SLOT_COUNT for corr_type in CORR_TYPE_NAMES}
)
"""VIS slot of each CORR_TYPE: RR RL LR LL and XX XY YX YY are 0, 1, 2, 3."""

FRACTION_OF_FD: NDArray[np.float64] = (np.arange(FD_MAX + 1) / FD_MAX) ** 2
"""Fraction of data correlated, for each value of FD; float64 (256,)."""
FRACTION_OF_FD.setflags(write=False)


def vis_slots(corr_types: Sequence[int]) -> NDArray[np.intp]:
    """Return the VIS slots of a Measurement Set's polarisations.

    Parameters
    ----------
    corr_types : sequence of int
        CORR_TYPE of the set's polarisations, one to four of them.

    Returns
    -------
    ndarray of intp, (polarisations,)

    Raises
    ------
    InputError
        If one is not a product of two feeds (Stokes I, for example), or two have the same slot.
    """
    unknown = [corr_type for corr_type in corr_types if corr_type not in VIS_SLOT]
    if unknown:
        raise InputError(
            f"CORR_TYPE {', '.join(map(str, unknown))} cannot be sent: a heap carries "
            "XX XY YX YY (9 to 12) or RR RL LR LL (5 to 8)"
        )
    slots = [VIS_SLOT[corr_type] for corr_type in corr_types]
    feeds = {corr_type in _LINEAR for corr_type in corr_types}
    if len(set(slots)) < len(slots) or len(feeds) != 1:
        names = " ".join(CORR_TYPE_NAMES[corr_type] for corr_type in corr_types)
        raise InputError(
            f"CORR_TYPE [{names}] cannot be sent: one to four different products of either "
            "linear or circular feeds were expected"
        )
    return np.array(slots, dtype=np.intp)


def fd_from_fraction(fraction: ArrayLike) -> NDArray[np.uint8]:
    """Encode fractions of correlated data of unflagged records.

    Parameters
    ----------
    fraction : array_like of float
        Valid samples over all samples; clipped to 0..1, NaN counts as 0.

    Returns
    -------
    ndarray of uint8
        ``clip(round(255 sqrt(fraction)), 1, 255)``.  The decoded value differs from `fraction` by
        at most ``sqrt(fraction)/255 + 1/(4 x 255^2)``, or by ``1/255^2`` for fractions under
        ``1/510^2``, which are sent as 1 because 0 means flagged.
    """
    # float64, since float32 could misround values half-way between two codes.
    clipped = np.clip(np.nan_to_num(np.asarray(fraction, np.float64), nan=0.0), 0.0, 1.0)
    fd: NDArray[np.uint8] = np.maximum(np.rint(FD_MAX * np.sqrt(clipped)), 1).astype(np.uint8)
    return fd


def fraction_from_fd(fd: ArrayLike) -> NDArray[np.float64]:
    """Decode FD (uint8) to fractions of correlated data (float64), ``(FD/255)^2``."""
    return FRACTION_OF_FD[np.asarray(fd, np.uint8)]


def fd_from_weights(
    flag: NDArray[np.bool_],
    weight_spectrum: NDArray[np.floating[Any]] | None,
    channel_width_hz: ArrayLike,
    exposure_s: ArrayLike,
) -> NDArray[np.uint8]:
    """Encode flags and weights of a Measurement Set as FD.

    Parameters
    ----------
    flag : ndarray of bool, (..., channels, polarisations)
    weight_spectrum : ndarray of float, same shape, or None
        None means fully correlated data.
    channel_width_hz : array_like, broadcast against (..., channels)
        Hz; the sign is ignored.
    exposure_s : array_like, broadcast against (..., channels)
        Seconds.

    Returns
    -------
    ndarray of uint8, (..., channels)
        0 where any polarisation is flagged, else the code of the smallest
        ``WEIGHT_SPECTRUM/(|width| x exposure)``.
    """
    flagged = flag.any(axis=-1)
    if weight_spectrum is None:
        return np.where(flagged, np.uint8(0), np.uint8(FD_MAX))
    full = np.abs(np.asarray(channel_width_hz, np.float64)) * np.asarray(exposure_s, np.float64)
    smallest = weight_spectrum.min(axis=-1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = smallest / full
    fd = fd_from_fraction(fraction)
    fd[flagged] = 0
    return fd


def weights_from_fd(
    fd: NDArray[np.uint8], channel_width_hz: ArrayLike, exposure_s: ArrayLike
) -> NDArray[np.float32]:
    """Decode FD to WEIGHT_SPECTRUM, ``(FD/255)^2 x |width| x exposure``, float32, shape of `fd`.

    `channel_width_hz` (Hz) and `exposure_s` (s) broadcast against `fd`.
    """
    full = np.abs(np.asarray(channel_width_hz, np.float64)) * np.asarray(exposure_s, np.float64)
    weight: NDArray[np.float32] = (FRACTION_OF_FD[fd] * full).astype(np.float32)
    return weight


def tci_from_centroid(
    time_centroid_mjd_s: ArrayLike, time_mjd_s: ArrayLike, interval_s: ArrayLike
) -> tuple[NDArray[np.int8], bool]:
    """Encode time centroids.

    Parameters
    ----------
    time_centroid_mjd_s, time_mjd_s : array_like of float64
        TIME_CENTROID and TIME (the middle of the integration), MJD seconds.
    interval_s : array_like of float64
        Length of the integration, seconds.

    Returns
    -------
    tci : ndarray of int8
        Offset from the middle in units of interval/256; 0 where the centroid is not finite.
    clipped : bool
        Whether any value was clipped to -128..127.
    """
    offset_s = np.asarray(time_centroid_mjd_s, np.float64) - np.asarray(time_mjd_s, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.rint(offset_s / np.asarray(interval_s, np.float64) * TCI_STEPS)
    steps = np.nan_to_num(steps, nan=0.0, posinf=np.inf, neginf=-np.inf)
    inside = np.clip(steps, TCI_MIN, TCI_MAX)
    return inside.astype(np.int8), bool((inside != steps).any())


def centroid_from_tci(
    tci: NDArray[np.int8],
    weight: NDArray[np.floating[Any]],
    time_mjd_s: float,
    interval_s: float,
) -> NDArray[np.float64]:
    """Decode the time centroids of one integration's rows.

    Parameters
    ----------
    tci : ndarray of int8, (channels, baselines)
    weight : ndarray of float, (channels, baselines)
        Fraction of data of unflagged records, 0 for flagged ones.
    time_mjd_s : float
        Middle of the integration, MJD seconds.
    interval_s : float
        Length of the integration, seconds.

    Returns
    -------
    ndarray of float64, (baselines,)
        TIME_CENTROID: TIME + INTERVAL/256 x the weighted mean of TCI, TIME where all weights
        are 0.
    """
    total = weight.sum(axis=0, dtype=np.float64)
    moment = np.einsum("cb,cb->b", tci, weight, dtype=np.float64)
    mean = np.divide(moment, total, out=np.zeros_like(moment), where=total > 0)
    return np.asarray(time_mjd_s + mean * (interval_s / TCI_STEPS), np.float64)
