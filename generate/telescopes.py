"""Real telescopes: their shapes, where the numbers are from, and what of them we assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.sizing.shape import Shape

if TYPE_CHECKING:
    from receive.icd.records import Telescope as ItemSet


@dataclass(frozen=True)
class Telescope:
    """One row of the table.

    Attributes
    ----------
    name
        With the stage of construction or the mode.
    stations, channels, interval_s
        What its correlator makes.
    channels_per_stream
        Our choice: no correlator of these but SKA's sends what this receiver takes.
    sources
        Keys of `SOURCES`.
    assumed
        Which of the numbers the sources do not give; empty if they give all.
    """

    name: str
    stations: int
    channels: int
    interval_s: float
    channels_per_stream: int
    sources: tuple[str, ...]
    assumed: str = ""
    items: ItemSet = "low"

    @property
    def shape(self) -> Shape:
        """What a receiver is to take, autocorrelations included."""
        return Shape.of_array(
            self.stations,
            self.channels,
            self.interval_s,
            self.channels_per_stream,
            telescope=self.items,
        )


SOURCES = {
    "schedule": "SKAO, *Scientific Timeline: Construction Schedule, Array Assemblies*, table of "
    "October 2024 (skao.int); the arrays are in SKAO-TEL-0002299 rev. 04, *SKAO Staged Delivery, "
    "Array Assemblies And Layouts*, 10 June 2025 (zenodo.org/records/16951020)",
    "sdp": "SKA SDP Parametric Model, `sdp_par_model/parameters/definitions.py`: most channels "
    "65,536; shortest correlator integration 0.9 s (SKA1-Low), 0.14 s (SKA1-Mid), in the "
    "reference design",
    "meerkat": "SARAO, *MeerKAT specifications* (External Service Desk): 64 antennas; *MeerKAT "
    "correlator-beamformer: a real-time processing back-end for astronomical observations*, JATIS "
    "8(1) 011006: 1,024, 4,096 or 32,768 channels",
    "mwa": "Morrison et al., *MWAX: A new correlator for the Murchison Widefield Array*, PASA 2023 "
    "(doi 10.1017/pasa.2023.15): 256 tiles, 24 coarse channels of 1.28 MHz",
    "lofar": "ASTRON, *Station clocks and RCU*: 244 subbands, 64 channels in each used routinely; "
    "ASTRON, *Examples of deliverable LOFAR products*: at most 64 stations into the "
    "correlator of 2012",
    "vla": "NRAO, *VLA Observational Status Summary, Time Resolution and Data Rates*: 27 antennas, "
    "16,384 channels x polarisation products in its example, 2 s the default in A configuration",
    "alma": "NRAO wiki, *ALMA Data Rate Concerns*: 64 antennas, 4 x 2,048 channels with all four "
    "polarisations, shortest dump 0.256 s",
}
"""Documents that the numbers were read in."""

TELESCOPES = (
    Telescope(
        "SKA-Low AA2", 64, 65536, 0.9, 64, ("schedule", "sdp"), "channels and interval as of AA4"
    ),
    Telescope(
        "SKA-Low AA\\*", 307, 65536, 0.9, 64, ("schedule", "sdp"), "channels and interval as of AA4"
    ),
    Telescope("SKA-Low AA4", 512, 65536, 0.9, 16, ("schedule", "sdp")),
    Telescope(
        "SKA-Mid AA\\*",
        144,
        65536,
        0.14,
        64,
        ("schedule", "sdp"),
        "channels and interval as of AA4",
        items="mid",
    ),
    Telescope("SKA-Mid AA4", 197, 65536, 0.14, 32, ("schedule", "sdp"), items="mid"),
    Telescope("MeerKAT, 32k", 64, 32768, 8.0, 512, ("meerkat",), "interval"),
    Telescope("MeerKAT, 4k", 64, 4096, 2.0, 256, ("meerkat",), "interval"),
    Telescope("MWA, MWAX", 256, 3072, 0.5, 32, ("mwa",), "10 kHz channels, interval"),
    Telescope("LOFAR, HBA", 64, 15616, 1.0, 64, ("lofar",), "interval"),
    Telescope("VLA", 27, 4096, 2.0, 1024, ("vla",), "four polarisations"),
    Telescope("ALMA, fastest", 64, 8192, 0.256, 128, ("alma",)),
)
"""The rows."""
