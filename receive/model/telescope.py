"""The telescope model: what a receiver must know of an observation beforehand.

Antennas, baselines, channels, polarisations, phase centre, times, and UVW.  A Measurement Set's
reader or a simulator makes one; this room does not know where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import numpy as np

from receive.command.errors import ConfigError, InputError
from receive.icd.times import iso_from_mjd_s
from receive.model.uvw import compute_uvw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from receive.model.source import ModelSource

MATCH_INTERVALS = 0.25
"""A time belongs to the nearest integration if it is within this part of its INTERVAL."""

T = TypeVar("T")


class Attribute(Generic[T]):
    """An attribute that is the result of a method: ``num_pols = Attribute(get_num_pols)``.

    Like `property`, but typed when it is given an existing method, so that each attribute and
    its ``get_...()`` form are written once.
    """

    def __init__(self, getter: Callable[[Any], T]) -> None:
        self._getter = getter
        self.__doc__ = getter.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Attribute[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Attribute[T] | T:
        return self if instance is None else self._getter(instance)

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(f"{self._getter.__name__.removeprefix('get_')} cannot be set")


class TimeData(NamedTuple):
    """What the model holds of one integration.

    Attributes
    ----------
    time : float
        Centre, MJD seconds, UTC.
    uu, vv, ww : ndarray of float64, (baselines,)
        Metres.
    interval, exposure : float
        Seconds.
    """

    time: float
    uu: NDArray[np.float64]
    vv: NDArray[np.float64]
    ww: NDArray[np.float64]
    interval: float
    exposure: float


@dataclass(frozen=True, eq=False)
class Antennas:
    """The antennas (stations) of an array.

    Attributes
    ----------
    names : tuple of str
        Names, unique by custom but not by rule.
    positions_m : ndarray of float64, (antennas, 3)
        ITRF positions, metres.
    """

    names: tuple[str, ...]
    positions_m: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "positions_m", _frozen(self.positions_m, np.float64))
        if self.positions_m.shape != (len(self.names), 3):
            raise InputError(
                f"{len(self.names)} antenna names with positions of shape "
                f"{self.positions_m.shape}: ({len(self.names)}, 3) was expected"
            )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class TelescopeModel:
    """What a receiver knows of an observation.  Arrays are copied and cannot be written.

    Attributes
    ----------
    antennas : Antennas
        The array.
    antenna1, antenna2 : ndarray of int32, (baselines,)
        Antenna numbers of the baselines, in the order of the heaps and of the rows.
    channel_freq_hz, channel_width_hz : ndarray of float64, (channels,)
        Centres and widths of the channels.
    corr_types : tuple of int
        CORR_TYPE of the polarisations (9..12 for XX XY YX YY, 5..8 for RR RL LR LL).
    phase_centre_radec_rad : tuple of float
        Right ascension and declination, ICRS.
    times_mjd_s, intervals_s, exposures_s : ndarray of float64, (times,)
        Centres (MJD seconds, UTC, ascending, not necessarily regular), lengths and exposures of
        the integrations.
    data_desc_id, field_id : int
        Rows of DATA_DESCRIPTION and FIELD that the model stands for.
    read_uvw : callable or None
        ``read_uvw(index)`` returns the recorded UVW of an integration, float64 (baselines, 3) in
        metres, rows of NaN where none is recorded.  None: all UVW are computed.
    source : ModelSource or None
        What it was made of, and new sets are made after; None: for what writes no sets.
    """

    antennas: Antennas
    antenna1: NDArray[np.int32]
    antenna2: NDArray[np.int32]
    channel_freq_hz: NDArray[np.float64]
    channel_width_hz: NDArray[np.float64]
    corr_types: tuple[int, ...]
    phase_centre_radec_rad: tuple[float, float]
    times_mjd_s: NDArray[np.float64]
    intervals_s: NDArray[np.float64]
    exposures_s: NDArray[np.float64]
    data_desc_id: int = 0
    field_id: int = 0
    read_uvw: Callable[[int], NDArray[np.float64]] | None = None
    source: ModelSource | None = None

    def __post_init__(self) -> None:
        for name in ("antenna1", "antenna2"):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.int32))
        for names in _ALIKE[1:]:
            for name in names:
                object.__setattr__(self, name, _frozen(getattr(self, name), np.float64))
        object.__setattr__(self, "corr_types", tuple(int(c) for c in self.corr_types))
        ra, dec = self.phase_centre_radec_rad
        object.__setattr__(self, "phase_centre_radec_rad", (float(ra), float(dec)))
        self._check()

    def _check(self) -> None:
        for names in _ALIKE:
            shapes = [getattr(self, name).shape for name in names]
            if any(shape != (shapes[0][0],) for shape in shapes):
                raise InputError(f"{', '.join(names)} differ in shape: {shapes}")
        used = np.concatenate([self.antenna1, self.antenna2])
        if used.size and not 0 <= used.min() <= used.max() < len(self.antennas):
            wrong = used.min() if used.min() < 0 else used.max()
            raise InputError(
                f"antenna number {wrong} is used by a baseline, but there are "
                f"{len(self.antennas)} antennas (0 to {len(self.antennas) - 1})"
            )
        if not (np.diff(self.times_mjd_s) > 0).all():
            raise InputError("the times of the integrations must ascend, each once")

    def get_num_stations(self) -> int:
        """Return the number of antennas."""
        return len(self.antennas)

    def get_num_baselines(self) -> int:
        """Return the number of baselines, autocorrelations included."""
        return len(self.antenna1)

    def get_num_channels(self) -> int:
        """Return the number of channels."""
        return len(self.channel_freq_hz)

    def get_num_pols(self) -> int:
        """Return the number of polarisations."""
        return len(self.corr_types)

    def get_num_times(self) -> int:
        """Return the number of integrations."""
        return len(self.times_mjd_s)

    def get_freq_start_hz(self) -> float:
        """Return the centre of the first channel, Hz."""
        return float(self.channel_freq_hz[0])

    def get_freq_inc_hz(self) -> float:
        """Return the mean step from channel to channel, Hz; the width where there is but one."""
        if self.num_channels == 1:
            return float(self.channel_width_hz[0])
        span_hz = self.channel_freq_hz[-1] - self.channel_freq_hz[0]
        return float(span_hz / (self.num_channels - 1))

    def get_is_autocorrelated(self) -> bool:
        """Return whether there are autocorrelations among the baselines."""
        return bool((self.antenna1 == self.antenna2).any())

    def get_phase_centre_radec_rad(self) -> tuple[float, float]:
        """Return right ascension and declination of the phase centre, ICRS, radians."""
        return self.phase_centre_radec_rad

    num_stations = Attribute(get_num_stations)
    num_baselines = Attribute(get_num_baselines)
    num_channels = Attribute(get_num_channels)
    num_pols = Attribute(get_num_pols)
    num_times = Attribute(get_num_times)
    freq_start_hz = Attribute(get_freq_start_hz)
    freq_inc_hz = Attribute(get_freq_inc_hz)
    is_autocorrelated = Attribute(get_is_autocorrelated)

    def uvw(self, index: int) -> NDArray[np.float64]:
        """Return the UVW of an integration: as recorded, computed where there is no record.

        Parameters
        ----------
        index : int
            Index into `times_mjd_s`.

        Returns
        -------
        ndarray of float64, (baselines, 3)
            Metres.
        """
        if not 0 <= index < self.num_times:
            raise IndexError(f"integration {index} of a model with {self.num_times}")
        time_mjd_s = float(self.times_mjd_s[index])
        if self.read_uvw is None:
            return self.compute_uvw(time_mjd_s)
        uvw = self.read_uvw(index)
        holes = np.asarray(np.isnan(uvw).any(axis=1))
        if not holes.any():
            return uvw
        return np.where(holes[:, None], self.compute_uvw(time_mjd_s), uvw)

    def compute_uvw(self, time_mjd_s: float) -> NDArray[np.float64]:
        """Return UVW at any time (MJD seconds, UTC), computed: (baselines, 3), metres."""
        return compute_uvw(
            self.antennas.positions_m,
            self.antenna1,
            self.antenna2,
            time_mjd_s,
            self.phase_centre_radec_rad,
        )

    def match(self, time_mjd_s: float) -> int | None:
        """Return the index of the integration that a time (MJD seconds, UTC) belongs to.

        That is the nearest one, if the time is within a quarter of its INTERVAL; else None.
        """
        if not self.num_times or not np.isfinite(time_mjd_s):
            return None
        index = self.nearest(time_mjd_s)
        distance_s = abs(time_mjd_s - self.times_mjd_s[index])
        return index if distance_s <= MATCH_INTERVALS * self.intervals_s[index] else None

    def get_matching_data(self, time: float) -> tuple[int, TimeData]:
        """Return index and data of the integration that a time (MJD seconds) belongs to.

        Raises
        ------
        ValueError
            If there is none: see `match`.
        """
        index = self.match(time)
        if index is None:
            raise ValueError(
                f"time {iso_from_mjd_s(time)} (MJD {float(time)!r} s) belongs to no integration "
                f"of the model, {self._time_range()}"
            )
        return index, self._time_data(index)

    def get_nearest_data(self, time: float) -> tuple[int, TimeData]:
        """Return index and data of the integration that is nearest to a time (MJD seconds).

        Raises
        ------
        ValueError
            If the model holds no integrations, or the time is not a number.
        """
        if not self.num_times or np.isnan(time):
            raise ValueError(
                f"no integration is nearest to MJD {float(time)!r} s in the model, "
                f"{self._time_range()}"
            )
        index = self.nearest(time)
        return index, self._time_data(index)

    def select_channels(self, start: int, count: int) -> TelescopeModel:
        """Return a model of `count` channels from number `start`.

        Raises
        ------
        ConfigError
            If there are no such channels.
        """
        if start < 0 or count < 1 or start + count > self.num_channels:
            raise ConfigError(
                f"{count} channels from number {start} were asked for, but the model has "
                f"{self.num_channels} (0 to {self.num_channels - 1})"
            )
        channels = slice(start, start + count)
        return replace(
            self,
            channel_freq_hz=self.channel_freq_hz[channels],
            channel_width_hz=self.channel_width_hz[channels],
        )

    def nearest(self, time_mjd_s: float) -> int:
        """Return the index of the integration nearest to a time (MJD seconds, UTC)."""
        after = int(np.searchsorted(self.times_mjd_s, time_mjd_s))
        if after == 0:
            return 0
        if after == self.num_times:
            return after - 1
        to_previous_s = time_mjd_s - self.times_mjd_s[after - 1]
        to_next_s = self.times_mjd_s[after] - time_mjd_s
        return after if to_next_s < to_previous_s else after - 1

    def _time_data(self, index: int) -> TimeData:
        uu, vv, ww = np.ascontiguousarray(self.uvw(index).T)
        return TimeData(
            time=float(self.times_mjd_s[index]),
            uu=uu,
            vv=vv,
            ww=ww,
            interval=float(self.intervals_s[index]),
            exposure=float(self.exposures_s[index]),
        )

    def _time_range(self) -> str:
        if not self.num_times:
            return "which holds none"
        first, last = (iso_from_mjd_s(float(self.times_mjd_s[i])) for i in (0, -1))
        return f"which holds {self.num_times} from {first} to {last}"


_ALIKE = (
    ("antenna1", "antenna2"),
    ("channel_freq_hz", "channel_width_hz"),
    ("times_mjd_s", "intervals_s", "exposures_s"),
)
"""Arrays of the model that have one dimension and the same length."""


def _frozen(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array
