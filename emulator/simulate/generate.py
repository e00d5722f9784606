"""From an observation, a sky and imperfections to a Measurement Set, an integration at a time.

Memory holds one integration: its data, flags and weights, and little besides.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emulator.simulate.sky import SkyModel, Source
from receive import __version__
from receive.command.progress import Progress
from receive.measurement_set.read.table_name import refuse_misread_output
from receive.measurement_set.write.bare_set import create_empty_set
from receive.measurement_set.write.space import check_free_space, required_bytes
from receive.measurement_set.write.writer import SetWriter
from receive.model import Integration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.simulate.imperfections import Imperfections
    from emulator.simulate.observation import Observation

_UNPOLARISED = ("XX", "YY", "RR", "LL")
"""Polarisations in which an unpolarised source is seen, with its Stokes I."""


@dataclass(frozen=True)
class Outcome:
    """What `write_observation` did."""

    integrations: int
    rows: int
    data_bytes: int
    elapsed_s: float


class Simulator:
    """Makes the integrations of an observation, each on its own and in any order."""

    def __init__(
        self, observation: Observation, sources: Sequence[Source], imperfections: Imperfections
    ) -> None:
        self.observation = observation
        self.model = observation.model()
        self._imperfections = imperfections
        self._sky = SkyModel(sources, observation.centre_rad, observation.freq_hz)
        self._seen = [i for i, p in enumerate(observation.polarisations) if p in _UNPOLARISED]
        parallel = np.array([p in _UNPOLARISED for p in observation.polarisations])
        self._real = (self.model.antenna1 == self.model.antenna2)[:, None] & parallel

    def integration(self, index: int) -> Integration:
        """Return integration number `index`."""
        observation = self.observation
        time_mjd_s = float(self.model.times_mjd_s[index])
        uvw = self.model.uvw(index)
        shape = (len(uvw), observation.channels)
        data = np.zeros((*shape, len(observation.polarisations)), np.complex64)
        intensity = self._sky.visibilities(uvw)
        for polarisation in self._seen:
            data[..., polarisation] = intensity
        self._imperfections.add_noise(data, index, self._real)
        flagged = self._imperfections.flags(observation, index)
        fractions, offsets = self._imperfections.fractions(shape, index)
        fractions[flagged] = 0
        offsets[flagged.all(axis=1)] = 0
        full_weight = abs(observation.channel_width_hz) * observation.interval_s
        fractions *= np.float32(full_weight)
        polarisations = (1, 1, data.shape[2])
        return Integration(
            data=data,
            flag=np.tile(flagged[..., None], polarisations),
            weight_spectrum=np.tile(fractions[..., None], polarisations),
            time_centroid=time_mjd_s + offsets * observation.interval_s,
            uvw=uvw,
            present=np.ones(len(uvw), np.bool_),
            time_mjd_s=time_mjd_s,
            interval_s=observation.interval_s,
            exposure_s=observation.interval_s,
        )


def write_observation(
    path: Path,
    simulator: Simulator,
    *,
    overwrite: bool = False,
    history: Sequence[str] = (),
) -> Outcome:
    """Write an observation to a Measurement Set.

    If it is interrupted, what was written until then is closed and can be read.

    Raises
    ------
    OutputError
        If the set exists and `overwrite` is false, cannot be written, or does not fit on the disk.
    """
    refuse_misread_output(path)
    observation = simulator.observation
    started_s = time.monotonic()
    check_free_space(path, required_bytes(simulator.model, observation.integrations))
    folder = Path(tempfile.mkdtemp(prefix="emu-simulate-"))
    try:
        template = folder / "template.ms"
        create_empty_set(template, observation.description())
        writer = SetWriter.create(
            path,
            template,
            simulator.model,
            overwrite=overwrite,
            history=[f"emu-simulate {__version__}", *history],
            expected_dumps=observation.integrations,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    written = 0
    data_bytes = 0
    try:
        with Progress("simulating", observation.integrations, "integrations") as progress:
            for index in range(observation.integrations):
                integration = simulator.integration(index)
                writer.write_integration(integration)
                written += 1
                data_bytes += integration.data.nbytes
                progress.update(1)
    finally:
        writer.close(history=[f"{written} of {observation.integrations} integrations simulated"])
    return Outcome(
        integrations=written,
        rows=written * observation.num_baselines,
        data_bytes=data_bytes,
        elapsed_s=time.monotonic() - started_s,
    )
