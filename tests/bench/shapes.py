"""Shapes of observations, and the Measurement Sets that describe them to a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.icd.records import RECORD_DTYPE
from tests import commands

if TYPE_CHECKING:
    from pathlib import Path

RECORD_BYTES = RECORD_DTYPE["low"].itemsize
FIRST_UNIX_S = 1_718_971_200
"""Begin of the simulated sets, 2024-06-21T12:00:00."""


@dataclass(frozen=True)
class Shape:
    """What is sent: every antenna with every other and itself.

    Attributes
    ----------
    interval_s
        Between the dumps in the data's own time.
    """

    antennas: int
    channels: int
    streams: int
    interval_s: float = 1.0

    @property
    def baselines(self) -> int:
        return self.antennas * (self.antennas + 1) // 2

    @property
    def per_stream(self) -> int:
        return self.channels // self.streams

    @property
    def heap_bytes(self) -> int:
        return self.per_stream * self.baselines * RECORD_BYTES

    @property
    def dump_bytes(self) -> int:
        return self.streams * self.heap_bytes

    def datamodel(self, work: Path) -> Path:
        """Return a set with one integration of this shape, made when it is first asked for."""
        path = work / f"{self.antennas}x{self.channels}x{self.interval_s:g}.ms"
        if not path.exists():
            # One source: what the visibilities are is of no interest.
            commands.ok(
                "emu-simulate", "--random-antennas", str(self.antennas), "--autocorrelations",
                "--channels", str(self.channels), "--integrations", "1",
                "--interval", str(self.interval_s), "--overwrite", path,
            )  # fmt: skip
        return path


STANDARD = Shape(64, 256, 4)
SMALL = Shape(64, 4, 4)
WIDE = Shape(512, 4, 4)
NARROW = Shape(4, 4 * 13312, 4)
ONE_STREAM = Shape(64, 8, 1)
MANY_STREAMS = Shape(64, 512, 64)
SKA_LOW_SHARE = Shape(512, 20, 4, 0.85)
DISHES_64 = Shape(64, 1024, 4, 2.0)
