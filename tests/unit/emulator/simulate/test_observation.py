"""What an observation knows of itself, and the UVW of its model against astropy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ITRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from emulator.simulate.arrays import Array, load_builtin
from emulator.simulate.observation import Observation, parse_polarisations
from receive.command.errors import ConfigError
from receive.icd.times import mjd_s_from_iso

START = "2024-06-21T12:00:00"
START_MJD_S = mjd_s_from_iso(START)


def make(array: Array | None = None, **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "array": array or load_builtin("meerkat").take("6"),
        "phase_centre_radec_rad": None,
        "start_mjd_s": START_MJD_S,
        "integrations": 3,
        "interval_s": 2.0,
        "freq_start_hz": 1.284e9,
        "channel_width_hz": 2e5,
        "channels": 4,
        "polarisations": ("XX", "YY"),
    }
    return Observation(**{**values, **changes})


def test_times_are_the_middles_of_integrations() -> None:
    observation = make()
    np.testing.assert_array_equal(observation.times_mjd_s - START_MJD_S, [1, 3, 5])
    assert observation.end_mjd_s - START_MJD_S == 6


@pytest.mark.parametrize("name", ["meerkat", "ska-low", "lofar-hba", "vla-a"])
def test_the_default_pointing_is_the_zenith(name: str) -> None:
    observation = make(load_builtin(name))
    assert min(observation.elevations_deg()) > 89.9


def test_elevations_are_those_of_astropy() -> None:
    centre = SkyCoord(230.0, -10.0, unit="deg")
    array = load_builtin("vla-d")
    observation = make(
        array, phase_centre_radec_rad=(centre.ra.rad, centre.dec.rad), integrations=3600
    )
    with iers.conf.set_temp("auto_download", False):
        times = Time([START, "2024-06-21T14:00:00"], scale="utc")
        site = EarthLocation.from_geocentric(*array.centre_m, unit="m")
        expected = centre.transform_to(AltAz(obstime=times, location=site)).alt.deg
    # Diurnal aberration is left out: 0.3".
    np.testing.assert_allclose(observation.elevations_deg(), expected, atol=3e-4)


def uvw_by_astropy(observation: Observation, time_mjd_s: float) -> np.ndarray[Any, Any]:
    """Project baselines on the directions in which astropy sees the phase centre's surroundings."""
    ra, dec = observation.centre_rad
    step = 1e-5
    around = SkyCoord(
        [ra, ra + step / math.cos(dec), ra - step / math.cos(dec), ra, ra] * u.rad,
        [dec, dec, dec, dec + step, dec - step] * u.rad,
    )
    time = Time(time_mjd_s / 86400, format="mjd", scale="utc")
    with iers.conf.set_temp("auto_download", False):
        seen = around.transform_to(ITRS(obstime=time))
    vectors = seen.represent_as("unitspherical").to_cartesian().xyz.value.T
    axes = np.stack([vectors[1] - vectors[2], vectors[3] - vectors[4], vectors[0]])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    first, second = observation.antenna_pairs()
    positions = observation.array.positions_m
    return np.asarray((positions[second] - positions[first]) @ axes.T)


@pytest.mark.parametrize("name", ["meerkat", "ska-low", "vla-a"])
def test_uvw_are_those_of_astropy(name: str) -> None:
    array = load_builtin(name)
    far = ",".join((array.names[0], array.names[-1], array.names[len(array) // 2]))
    observation = make(array.take(far), phase_centre_radec_rad=(3.6, -0.3))
    for index, time_mjd_s in enumerate(observation.times_mjd_s):
        got = observation.model().uvw(index)
        expected = uvw_by_astropy(observation, float(time_mjd_s))
        longest = np.linalg.norm(expected, axis=1).max()
        assert np.abs(got - expected).max() < 2e-7 * longest


@pytest.mark.parametrize(
    ("baselines", "order", "pairs"),
    [
        ("cross", "upper", [(0, 1), (0, 2), (1, 2)]),
        ("cross", "lower", [(0, 1), (0, 2), (1, 2)]),
        ("all", "upper", [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]),
        ("all", "lower", [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]),
        ("auto", "upper", [(0, 0), (1, 1), (2, 2)]),
    ],
)
def test_baselines(baselines: str, order: str, pairs: list[tuple[int, int]]) -> None:
    observation = make(load_builtin("meerkat").take("3"), baselines=baselines, order=order)
    first, second = observation.antenna_pairs()
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == pairs
    assert observation.num_baselines == len(pairs)
    model = observation.model()
    assert model.num_baselines == len(pairs)
    assert model.is_autocorrelated == (baselines != "cross")


def test_lower_order_runs_the_first_antenna_fastest() -> None:
    first, second = make(load_builtin("meerkat").take("4"), order="lower").antenna_pairs()
    assert first.tolist() == [0, 0, 1, 0, 1, 2]
    assert second.tolist() == [1, 2, 2, 3, 3, 3]


def test_channels_may_count_downwards() -> None:
    observation = make(channel_width_hz=-1e6)
    np.testing.assert_array_equal(np.diff(observation.freq_hz), -1e6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"integrations": 0}, "--integrations: 0"),
        ({"channels": -1}, "--channels: -1"),
        ({"interval_s": 0.0}, "--interval: 0.0 s"),
        ({"interval_s": math.nan}, "--interval: nan s"),
        ({"channel_width_hz": 0.0}, "--channel-width"),
        ({"freq_start_hz": 1e5}, "reach below 0 Hz"),
        ({"channel_width_hz": -1e9}, "reach below 0 Hz"),
    ],
)
def test_impossible_observations(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes)


def test_one_antenna_has_autocorrelations_only() -> None:
    alone = load_builtin("meerkat").take("1")
    with pytest.raises(ConfigError, match="one antenna makes no baselines"):
        make(alone)
    assert make(alone, baselines="all").num_baselines == 1


def test_field_of_view_is_wavelength_over_diameter() -> None:
    observation = make(freq_start_hz=299792458.0, channels=1)
    assert observation.field_of_view_rad == pytest.approx(1 / 13.5)
    assert replace(observation, freq_start_hz=3e6).field_of_view_rad == pytest.approx(math.pi / 3)


@pytest.mark.parametrize("text", ["XX,XY,YX,YY", "xx, yy", "XX", "RR,RL,LR,LL", "LL"])
def test_polarisations(text: str) -> None:
    names = parse_polarisations(text)
    assert ",".join(names) == text.upper().replace(" ", "")


@pytest.mark.parametrize("text", ["", "XX,RR", "XX,XX", "XX,YY,XY", "I", "XX,"])
def test_impossible_polarisations(text: str) -> None:
    with pytest.raises(ConfigError, match="--pols"):
        parse_polarisations(text)
