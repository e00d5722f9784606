"""Noise, flags and weights: their sizes, and that they depend on seed and number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.simulate.arrays import load_builtin
from emulator.simulate.imperfections import LEAST_FRACTION, Imperfections
from emulator.simulate.observation import Observation
from receive.command.errors import ConfigError

OBSERVATION = Observation(
    array=load_builtin("meerkat"),
    phase_centre_radec_rad=(1.0, -0.5),
    start_mjd_s=5.2e9,
    integrations=40,
    interval_s=1.0,
    freq_start_hz=1e9,
    channel_width_hz=1e6,
    channels=64,
    polarisations=("XX", "XY", "YX", "YY"),
)


def noise(seed: int, integration: int, shape: tuple[int, int, int]) -> np.ndarray:
    data = np.zeros(shape, np.complex64)
    Imperfections(noise_jy=2.0, seed=seed).add_noise(
        data, integration, np.zeros((shape[0], shape[2]), bool)
    )
    return data


def test_noise_has_the_deviation_asked_for() -> None:
    data = noise(1, 0, (2000, 64, 4))
    assert data.real.std() == pytest.approx(2, rel=0.01)
    assert data.imag.std() == pytest.approx(2, rel=0.01)
    assert abs(data.mean()) < 0.02


def test_noise_depends_on_seed_and_integration_alone() -> None:
    shape = (300, 1000, 4)
    np.testing.assert_array_equal(noise(1, 5, shape), noise(1, 5, shape))
    assert not np.array_equal(noise(1, 5, shape), noise(1, 6, shape))
    assert not np.array_equal(noise(1, 5, shape), noise(2, 5, shape))
    # However many baselines there are, and however they are cut, the stream is the same.
    np.testing.assert_array_equal(noise(1, 5, shape)[:20], noise(1, 5, (20, 1000, 4)))


def test_noise_of_parallel_autocorrelations_is_real() -> None:
    data = np.zeros((2, 10, 4), np.complex64)
    real = np.array([[True, False, False, True], [False] * 4])
    Imperfections(noise_jy=1.0).add_noise(data, 0, real)
    assert not data[0, :, [0, 3]].imag.any()
    assert data[0, :, 1].imag.all()
    assert data[1].imag.all()


@pytest.mark.parametrize("baselines", ["cross", "auto"])
def test_the_fraction_asked_for_is_flagged(baselines: str) -> None:
    observation = replace(OBSERVATION, baselines=baselines)
    imperfections = Imperfections(flag_fraction=0.3, seed=4)
    flags = [imperfections.flags(observation, i) for i in range(40)]
    assert np.mean(flags) == pytest.approx(0.3, abs=0.05)


def test_flags_come_in_blocks_of_antenna_time_and_channels() -> None:
    imperfections = Imperfections(flag_fraction=0.2, seed=4)
    first = imperfections.flags(OBSERVATION, 0)
    np.testing.assert_array_equal(first, imperfections.flags(OBSERVATION, 3))
    assert not np.array_equal(first, imperfections.flags(OBSERVATION, 4))
    blocks = first.reshape(len(first), 16, 4)
    np.testing.assert_array_equal(blocks.all(axis=2), blocks.any(axis=2))


def test_nothing_and_everything_flagged() -> None:
    assert not Imperfections().flags(OBSERVATION, 0).any()
    assert Imperfections(flag_fraction=1.0).flags(OBSERVATION, 0).all()


def test_full_weights() -> None:
    fractions, offsets = Imperfections().fractions((5, 7), 0)
    assert (fractions == 1).all()
    assert not offsets.any()


def test_random_weights_vary_and_move_the_centroid_within_reason() -> None:
    fractions, offsets = Imperfections(random_weights=True).fractions((500, 7), 3)
    assert fractions.min() >= LEAST_FRACTION
    assert fractions.max() <= 1
    assert fractions.std() > 0.1
    assert (np.abs(offsets) <= (1 - fractions.mean(axis=1)) / 2 + 1e-6).all()
    assert offsets.std() > 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_jy": -1.0}, "--noise"),
        ({"noise_jy": float("nan")}, "--noise"),
        ({"flag_fraction": 1.1}, "--flag-fraction"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_impossible_imperfections(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Imperfections(**changes)  # type: ignore[arg-type]
