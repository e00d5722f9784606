"""What goes wrong in an observation: noise, flags, and data that are only partly there.

Everything is drawn at random from a seed, an integration (or a block of them) at a time, each from
its own stream of random numbers: what an integration gets depends on the seed and on its number,
not on how the work is cut, nor on how many integrations there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulator.simulate.observation import Observation

# Streams of random numbers, told apart by the first number of their spawn key.
_NOISE, _FLAGS, _WEIGHTS = 0, 1, 3

FLAG_BLOCK_INTEGRATIONS = 4
FLAG_BLOCKS_IN_BAND = 16
LEAST_FRACTION = 0.25
"""The least part of an integration that is correlated where weights are random."""


@dataclass(frozen=True)
class Imperfections:
    """How bad the data are.

    Attributes
    ----------
    noise_jy
        Standard deviation of the noise in the real and in the imaginary part of each visibility.
        Autocorrelations XX, YY, RR and LL stay real.
    flag_fraction
        The part that is flagged, on average: an antenna drops out for 4 integrations in a
        sixteenth of the band at a time, with all its baselines.
    random_weights
        Correlated fractions between 1/4 and 1, and time centroids to match, instead of 1.
    seed
        Any number from 0.
    """

    noise_jy: float = 0.0
    flag_fraction: float = 0.0
    random_weights: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.noise_jy < np.inf:
            raise ConfigError(f"--noise: {self.noise_jy} Jy; expected 0 or more")
        if not 0 <= self.flag_fraction <= 1:
            raise ConfigError(f"--flag-fraction: {self.flag_fraction}; expected 0 to 1")
        if self.seed < 0:
            raise ConfigError(f"--seed: {self.seed}; expected 0 or more")

    def add_noise(
        self, data: NDArray[np.complex64], integration: int, real: NDArray[np.bool_]
    ) -> None:
        """Add noise to the data of an integration, in place.

        Parameters
        ----------
        data
            (baselines, channels, polarisations), contiguous.
        integration
            Its number.
        real
            True where noise is real only, (baselines, polarisations).
        """
        if self.noise_jy == 0:
            return
        generator = self._generator(_NOISE, integration)
        # Some rows at a time: the draw of a whole integration would double the memory.
        rows = max(1, (1 << 20) // max(1, data[0].size))
        for start in range(0, len(data), rows):
            part = data[start : start + rows]
            noise = generator.standard_normal((*part.shape, 2), np.float32)
            noise *= np.float32(self.noise_jy)
            # (rows, channels, polarisations): what is real loses its imaginary part.
            noise[..., 1] *= ~real[start : start + rows, None, :]
            part += noise.view(np.complex64)[..., 0]

    def flags(self, observation: Observation, integration: int) -> NDArray[np.bool_]:
        """Return what is flagged of an integration: (baselines, channels)."""
        antenna1, antenna2 = observation.antenna_pairs()
        if self.flag_fraction == 0:
            return np.zeros((len(antenna1), observation.channels), np.bool_)
        # A baseline is lost with either of its antennas: 1 - (1 - p)^2 is the fraction wanted.
        probability = self.flag_fraction
        if observation.baselines != "auto":
            probability = 1 - np.sqrt(1 - self.flag_fraction)
        generator = self._generator(_FLAGS, integration // FLAG_BLOCK_INTEGRATIONS)
        blocks = min(FLAG_BLOCKS_IN_BAND, observation.channels)
        lost = generator.random((len(observation.array), blocks)) < probability
        block = np.arange(observation.channels) * blocks // observation.channels
        lost = lost[:, block]
        return np.asarray(lost[antenna1] | lost[antenna2])

    def fractions(
        self, shape: tuple[int, int], integration: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return how much of an integration was correlated, and where its time centroids lie.

        Returns
        -------
        fractions : ndarray of float32, (baselines, channels)
            0..1.
        offsets : ndarray of float64, (baselines,)
            Time centroids relative to the middle, in units of the interval.  What is missing is
            missing at one end, so that a fraction f moves the centroid by (1 - f) / 2 at most.
        """
        baselines, channels = shape
        if not self.random_weights:
            return np.ones(shape, np.float32), np.zeros(baselines)
        generator = self._generator(_WEIGHTS, integration)
        ends = generator.uniform(-1, 1, baselines)
        fractions = generator.random((baselines, channels), np.float32)
        fractions *= np.float32(1 - LEAST_FRACTION)
        fractions += np.float32(LEAST_FRACTION)
        return fractions, ends * (1 - fractions.mean(axis=1, dtype=np.float64)) / 2

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        sequence = np.random.SeedSequence(self.seed, spawn_key=(stream, number))
        return np.random.default_rng(sequence)
