"""Times on the wire and in a Measurement Set, and the exact conversion between them.

On the wire a time is a count of seconds since the UNIX epoch and a fraction in units of 2^-32 s;
together they are a number of *ticks*, ``count << 32 | fraction``.  A Measurement Set holds MJD
seconds, UTC, in float64.  Both count 86,400 seconds per day, so they differ by a constant, and a
leap second, 23:59:60, has the same number as the second after it.

From 1970 to 2106 a float64 of MJD seconds is a whole multiple of 2^-21 s, therefore of a tick:
MJD seconds to ticks and back is exact.  Ticks to MJD seconds rounds once, to the nearest float64,
with an error of at most half a unit in the last place (2^-21 s, 0.48 us).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from receive.command.errors import InputError

MJD_UNIX_EPOCH_S = 40587 * 86400
"""1970-01-01T00:00:00 in MJD seconds."""

DAY_S = 86400
TICKS_PER_S = 1 << 32
COUNT_LIMIT = 1 << 32
"""The count of seconds is an unsigned 32-bit number: it overflows in February 2106."""

_FRACTION_MASK = TICKS_PER_S - 1
_TICK_S = 1.0 / TICKS_PER_S
_RANGE = "1970-01-01T00:00:00 to 2106-02-07T06:28:15"
_ISO = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d(?:\.\d*)?))?)?\s*Z?\s*", re.ASCII
)

Floats = NDArray[np.float64]


@overload
def ticks_from_mjd_s(mjd_s: float) -> int: ...
@overload
def ticks_from_mjd_s(mjd_s: NDArray[Any]) -> NDArray[np.uint64]: ...
def ticks_from_mjd_s(mjd_s: float | NDArray[Any]) -> int | NDArray[np.uint64]:
    """Convert MJD seconds (UTC, float64) to ticks, exactly.

    Returns an `int` for a number and a uint64 array of the same shape for an array.

    Raises
    ------
    InputError
        If a time is outside the range of the interface (1970 to 2106) or is not a number.
    """
    # The difference is exact: both are multiples of 2^-21 s and the result is below 2^32 s.
    unix_s = np.asarray(mjd_s, np.float64) - MJD_UNIX_EPOCH_S
    outside = ~((unix_s >= 0) & (unix_s < COUNT_LIMIT))
    if outside.any():
        raise InputError(_out_of_range(float(np.asarray(mjd_s, np.float64)[outside].flat[0])))
    count = np.floor(unix_s)
    fraction = ((unix_s - count) * TICKS_PER_S).astype(np.uint64)
    ticks = (count.astype(np.uint64) << np.uint64(32)) | fraction
    return ticks if isinstance(mjd_s, np.ndarray) else int(ticks)


@overload
def mjd_s_from_ticks(ticks: int) -> float: ...
@overload
def mjd_s_from_ticks(ticks: NDArray[Any]) -> Floats: ...
def mjd_s_from_ticks(ticks: int | NDArray[Any]) -> float | Floats:
    """Convert ticks to MJD seconds (UTC), the nearest float64: within 2^-21 s.

    Returns a `float` for a number and a float64 array of the same shape for an array.
    """
    count, fraction = split_ticks(ticks)
    return mjd_s_from_count_fraction(count, fraction)  # type: ignore[arg-type]


@overload
def split_ticks(ticks: int) -> tuple[int, int]: ...
@overload
def split_ticks(ticks: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...
def split_ticks(
    ticks: int | NDArray[Any],
) -> tuple[int, int] | tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Split ticks into count (s) and fraction (2^-32 s); uint32 arrays for an array."""
    if isinstance(ticks, np.ndarray):
        unsigned = ticks.astype(np.uint64, copy=False)
        count = (unsigned >> np.uint64(32)).astype(np.uint32)
        return count, (unsigned & np.uint64(_FRACTION_MASK)).astype(np.uint32)
    return int(ticks) >> 32, int(ticks) & _FRACTION_MASK


@overload
def join_ticks(count: int, fraction: int) -> int: ...
@overload
def join_ticks(count: NDArray[Any], fraction: NDArray[Any]) -> NDArray[np.uint64]: ...
def join_ticks(count: int | NDArray[Any], fraction: int | NDArray[Any]) -> int | NDArray[np.uint64]:
    """Join count (s) and fraction (2^-32 s) to ticks; a uint64 array for arrays."""
    if isinstance(count, np.ndarray):
        shifted = count.astype(np.uint64) << np.uint64(32)
        return shifted | np.asarray(fraction, np.uint64)
    return int(count) << 32 | int(fraction)


@overload
def count_fraction_from_mjd_s(mjd_s: float) -> tuple[int, int]: ...
@overload
def count_fraction_from_mjd_s(
    mjd_s: NDArray[Any],
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...
def count_fraction_from_mjd_s(
    mjd_s: float | NDArray[Any],
) -> tuple[int, int] | tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Convert MJD seconds to the count and the fraction of a heap; as `ticks_from_mjd_s`."""
    return split_ticks(ticks_from_mjd_s(mjd_s))


@overload
def mjd_s_from_count_fraction(count: int, fraction: int) -> float: ...
@overload
def mjd_s_from_count_fraction(count: NDArray[Any], fraction: NDArray[Any]) -> Floats: ...
def mjd_s_from_count_fraction(
    count: int | NDArray[Any], fraction: int | NDArray[Any]
) -> float | Floats:
    """Convert the count and the fraction of a heap to MJD seconds; as `mjd_s_from_ticks`."""
    # The whole seconds and the fraction are exact in float64, so their sum is rounded only once.
    if isinstance(count, np.ndarray):
        seconds = count.astype(np.float64) + MJD_UNIX_EPOCH_S
        return np.asarray(seconds + np.asarray(fraction, np.float64) * _TICK_S)
    return float(int(count) + MJD_UNIX_EPOCH_S) + int(fraction) * _TICK_S


@overload
def unix_s_from_ticks(ticks: int) -> float: ...
@overload
def unix_s_from_ticks(ticks: NDArray[Any]) -> Floats: ...
def unix_s_from_ticks(ticks: int | NDArray[Any]) -> float | Floats:
    """Convert ticks to seconds since the UNIX epoch, the nearest float64."""
    if isinstance(ticks, np.ndarray):
        count, fraction = split_ticks(ticks)
        return np.asarray(count.astype(np.float64) + fraction.astype(np.float64) * _TICK_S)
    return (int(ticks) >> 32) + (int(ticks) & _FRACTION_MASK) * _TICK_S


def mjd_s_from_unix_s(unix_s: float) -> float:
    """Convert seconds since the UNIX epoch to MJD seconds."""
    return unix_s + MJD_UNIX_EPOCH_S


def unix_s_from_mjd_s(mjd_s: float) -> float:
    """Convert MJD seconds to seconds since the UNIX epoch; exact within the interface's range."""
    return mjd_s - MJD_UNIX_EPOCH_S


def mjd_s_from_iso(text: str) -> float:
    """Parse a UTC time such as ``2026-11-21T10:45:00.5``; the time of day is optional.

    Returns
    -------
    float
        MJD seconds, the nearest float64.  A leap second, 23:59:60, equals the second after it.

    Raises
    ------
    InputError
        If the text is not a valid time.
    """
    matched = _ISO.fullmatch(text)
    if matched is None:
        raise InputError(
            f"time {text!r} is not understood: write it as 2026-11-21T10:45:00.5 (UTC)"
        )
    year, month, day, hour, minute = (int(group or 0) for group in matched.groups()[:5])
    second = Fraction(matched[6] or 0)
    try:
        days = (date(year, month, day) - date(1858, 11, 17)).days
    except ValueError as error:
        raise InputError(f"time {text!r} does not exist: {error}") from None
    is_leap = (hour, minute) == (23, 59)
    if hour > 23 or minute > 59 or second >= (61 if is_leap else 60):  # noqa: PLR2004
        raise InputError(f"time {text!r} does not exist: a day ends at 23:59:59, or at 23:59:60")
    return float(days * DAY_S + hour * 3600 + minute * 60 + second)


def iso_from_mjd_s(mjd_s: float) -> str:
    """Format MJD seconds as a UTC time such as ``2026-11-21T10:45:00.500000``."""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=mjd_s - MJD_UNIX_EPOCH_S)
    except (OverflowError, ValueError):
        return f"MJD {mjd_s} s"
    return time.isoformat(timespec="microseconds").removesuffix("+00:00")


def _out_of_range(mjd_s: float) -> str:
    return (
        f"time {iso_from_mjd_s(mjd_s)} (MJD {mjd_s!r} s) cannot be sent: "
        f"a heap carries times from {_RANGE} UTC"
    )
