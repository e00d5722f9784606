"""An observation to be: which antennas look where, when, and at what frequencies.

`Observation` is checked when it is made, and knows the telescope model and the sizes of what it
will write.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import ConfigError
from receive.icd.times import iso_from_mjd_s
from receive.measurement_set.write.bare_set import SetDescription
from receive.model.earth import celestial_to_terrestrial, orientation
from receive.model.integration import VALUE_BYTES
from receive.model.telescope import Antennas, TelescopeModel
from receive.model.uvw import itrf_to_uvw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulator.simulate.arrays import Array

POLARISATIONS = {"RR": 5, "RL": 6, "LR": 7, "LL": 8, "XX": 9, "XY": 10, "YX": 11, "YY": 12}
"""Names of polarisations and their CORR_TYPE."""

_ROW_BYTES = 150
"""What a row takes besides: times, antennas, UVW and other columns, rounded up."""


@dataclass(frozen=True)
class Observation:
    """When, where and how an array looks.

    Attributes
    ----------
    array
        The antennas.
    phase_centre_radec_rad
        Right ascension and declination, J2000 (taken as ICRS); None for the zenith in the middle
        of the observation, to a hundredth of a degree.
    start_mjd_s
        Beginning of the first integration, MJD seconds, UTC.
    integrations, interval_s
        How many, and how long each is.
    freq_start_hz, channel_width_hz, channels
        Centre of the first channel; a negative width counts downwards.
    polarisations
        Names, as XX; one, two or four of one kind.
    baselines
        ``cross``, ``all`` (with autocorrelations) or ``auto`` (nothing else).
    order
        ``upper`` (0-1, 0-2, ..., 1-2: the second antenna runs fastest) or ``lower`` (0-1, 0-2,
        1-2, 0-3: the first runs fastest, as LOFAR writes).
    """

    array: Array
    phase_centre_radec_rad: tuple[float, float] | None
    start_mjd_s: float
    integrations: int
    interval_s: float
    freq_start_hz: float
    channel_width_hz: float
    channels: int
    polarisations: tuple[str, ...]
    baselines: str = "cross"
    order: str = "upper"
    field_name: str = "SIMULATED"

    def __post_init__(self) -> None:
        for option, count in (("integrations", self.integrations), ("channels", self.channels)):
            if count < 1:
                raise ConfigError(f"--{option}: {count}; expected at least 1")
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise ConfigError(f"--interval: {self.interval_s} s; expected more than 0")
        if not math.isfinite(self.channel_width_hz) or self.channel_width_hz == 0:
            raise ConfigError(f"--channel-width: {self.channel_width_hz} Hz; expected a width")
        lowest = self.freq_hz.min() - abs(self.channel_width_hz) / 2
        if not (math.isfinite(lowest) and lowest > 0):
            raise ConfigError(
                f"--freq-start: {self.channels} channels of {self.channel_width_hz:g} Hz from "
                f"{self.freq_start_hz:g} Hz reach below 0 Hz"
            )
        if self.baselines == "cross" and len(self.array) == 1:
            raise ConfigError(
                "one antenna makes no baselines: take more antennas, or --autocorrelations"
            )
        if self.phase_centre_radec_rad is None:
            object.__setattr__(self, "phase_centre_radec_rad", self._zenith())

    @property
    def centre_rad(self) -> tuple[float, float]:
        """The phase centre, right ascension and declination in radians."""
        assert self.phase_centre_radec_rad is not None  # noqa: S101 (set above at the latest)
        return self.phase_centre_radec_rad

    @property
    def freq_hz(self) -> NDArray[np.float64]:
        """Centres of the channels (channels,), Hz."""
        return np.asarray(
            self.freq_start_hz + np.arange(self.channels) * self.channel_width_hz, np.float64
        )

    @property
    def times_mjd_s(self) -> NDArray[np.float64]:
        """Centres of the integrations (integrations,), MJD seconds, UTC."""
        middles_s = (np.arange(self.integrations) + 0.5) * self.interval_s
        return np.asarray(self.start_mjd_s + middles_s, np.float64)

    @property
    def end_mjd_s(self) -> float:
        """End of the last integration, MJD seconds, UTC."""
        return self.start_mjd_s + self.integrations * self.interval_s

    @property
    def corr_types(self) -> tuple[int, ...]:
        """CORR_TYPE of each polarisation."""
        return tuple(POLARISATIONS[p] for p in self.polarisations)

    @property
    def num_baselines(self) -> int:
        """Number of baselines, autocorrelations included where there are any."""
        count = len(self.array)
        crosses = count * (count - 1) // 2
        return {"cross": crosses, "all": crosses + count, "auto": count}[self.baselines]

    @property
    def field_of_view_rad(self) -> float:
        """Wavelength over diameter in the middle of the band, at most 60 degrees."""
        wavelength_m = 299792458.0 / self.freq_hz.mean()
        return min(math.pi / 3, float(wavelength_m / self.array.diameters_m.max()))

    @property
    def integration_bytes(self) -> int:
        """Bytes of DATA, FLAG, WEIGHT_SPECTRUM and the rest of one integration.

        The simulator holds them once; what it is made of and the writer take twice that.
        """
        visibilities = self.num_baselines * self.channels * len(self.polarisations)
        return visibilities * VALUE_BYTES + self.num_baselines * _ROW_BYTES

    def antenna_pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return ANTENNA1 and ANTENNA2 of the baselines, int32 (baselines,)."""
        count = len(self.array)
        if self.baselines == "auto":
            numbers = np.arange(count, dtype=np.int32)
            return numbers, numbers
        offset = 0 if self.baselines == "all" else 1
        first, second = np.triu_indices(count, offset)
        if self.order == "lower":
            second, first = np.tril_indices(count, -offset)
        return first.astype(np.int32), second.astype(np.int32)

    def model(self) -> TelescopeModel:
        """Return the telescope model; its UVW are computed when asked for."""
        antenna1, antenna2 = self.antenna_pairs()
        intervals = np.full(self.integrations, self.interval_s)
        return TelescopeModel(
            antennas=Antennas(self.array.names, self.array.positions_m),
            antenna1=antenna1,
            antenna2=antenna2,
            channel_freq_hz=self.freq_hz,
            channel_width_hz=np.full(self.channels, self.channel_width_hz),
            corr_types=self.corr_types,
            phase_centre_radec_rad=self.centre_rad,
            times_mjd_s=self.times_mjd_s,
            intervals_s=intervals,
            exposures_s=intervals,
        )

    def description(self) -> SetDescription:
        """Return what the subtables of the set will say."""
        array = self.array
        return SetDescription(
            model=self.model(),
            telescope=array.telescope,
            observer="emu-simulate",
            project="simulated",
            field_name=self.field_name,
            stations=array.names,
            mounts=(array.mount,) * len(array),
            diameters_m=array.diameters_m,
            start_mjd_s=self.start_mjd_s,
            end_mjd_s=self.end_mjd_s,
        )

    def elevations_deg(self) -> tuple[float, float]:
        """Return the phase centre's elevation at the array's centre, at the start and the end."""
        when = np.array([self.start_mjd_s, self.end_mjd_s])
        towards = itrf_to_uvw(when, self.centre_rad)[:, 2, :]
        first, last = np.degrees(np.arcsin(np.clip(towards @ self._up(), -1, 1)))
        return float(first), float(last)

    def summary(self) -> str:
        """Return in a few lines what will be observed."""
        ra, dec = np.degrees(self.centre_rad)
        first, last = self.elevations_deg()
        antennas = len(self.array)
        return (
            f"{self.array.telescope}: {antennas} antennas, {self.num_baselines} baselines "
            f"({self.baselines}, {self.order})\n"
            f"coordinates: {self.array.source}\n"
            f"pointing: RA {ra:.4f} deg, Dec {dec:.4f} deg; elevation {first:.1f} to "
            f"{last:.1f} deg\n"
            f"time: {self.integrations} integrations of {self.interval_s:g} s from "
            f"{iso_from_mjd_s(self.start_mjd_s)}\n"
            f"band: {self.channels} channels of {self.channel_width_hz / 1e3:g} kHz from "
            f"{self.freq_start_hz / 1e6:g} MHz, {' '.join(self.polarisations)}"
        )

    def _up(self) -> NDArray[np.float64]:
        """Return the direction of the array's zenith, ITRF (3,): normal to the ellipsoid."""
        x, y, z = self.array.centre_m
        # The normal's slope is that of the radius over (1 - e^2), exact on the ellipsoid and
        # within 0.001 degrees on the ground.
        flattening = 1 / 298.257223563
        latitude = math.atan2(z / (1 - flattening) ** 2, math.hypot(x, y))
        longitude = math.atan2(y, x)
        return np.array(
            [
                math.cos(latitude) * math.cos(longitude),
                math.cos(latitude) * math.sin(longitude),
                math.sin(latitude),
            ]
        )

    def _zenith(self) -> tuple[float, float]:
        middle = np.array((self.start_mjd_s + self.end_mjd_s) / 2)
        x, y, z = celestial_to_terrestrial(orientation(middle)).T @ self._up()
        ra_deg = round(math.degrees(math.atan2(y, x)) % 360, 2)
        dec_deg = round(math.degrees(math.asin(z)), 2)
        return math.radians(ra_deg), math.radians(dec_deg)


def parse_polarisations(text: str) -> tuple[str, ...]:
    """Return the polarisations of a list such as ``XX,YY``.

    Raises
    ------
    ConfigError
        If they are not one, two or four different ones of one kind, linear or circular.
    """
    names = tuple(word.strip().upper() for word in text.split(","))
    kinds = {name[:1] in "RL" for name in names}
    unknown = [name for name in names if name not in POLARISATIONS]
    if unknown or len(kinds) != 1 or len(names) not in (1, 2, 4) or len(set(names)) != len(names):
        raise ConfigError(
            f"--pols: {text!r}; expected one, two or four of XX,XY,YX,YY or of RR,RL,LR,LL"
        )
    return names
