"""What the subtables of a Measurement Set say of one data description and one field."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.errors import InputError
from receive.icd.records import vis_slots
from receive.measurement_set.opening import damaged, open_subtable
from receive.model import Antennas

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# ICRS and the mean equator and equinox of J2000 differ by 0.02 arcseconds.
_TAKEN_AS_ICRS = frozenset({"J2000", "ICRS"})
# Frames that need neither a time nor a place to be converted: casacore's name, astropy's name.
_CONVERTED = {"B1950": "fk4", "GALACTIC": "galactic", "SUPERGAL": "supergalactic"}


@dataclass(frozen=True, eq=False)
class Description:
    """What is the same in all rows of one data description and field.

    Attributes
    ----------
    antennas : Antennas
        Names and ITRF positions.
    channel_freq_hz, channel_width_hz : ndarray of float64, (channels,)
        Centres and widths of the channels.
    corr_types : tuple of int
        CORR_TYPE of the polarisations.
    phase_centre_radec_rad : tuple of float
        Right ascension and declination, ICRS.
    data_desc_id, field_id : int
        Rows of DATA_DESCRIPTION and FIELD.
    """

    antennas: Antennas
    channel_freq_hz: NDArray[np.float64]
    channel_width_hz: NDArray[np.float64]
    corr_types: tuple[int, ...]
    phase_centre_radec_rad: tuple[float, float]
    data_desc_id: int
    field_id: int


def read_description(path: Path, data_desc_id: int, field_id: int) -> Description:
    """Read the subtables that a telescope model is made of; only on the casacore thread.

    Parameters
    ----------
    path : Path
        The set's folder.
    data_desc_id, field_id : int
        Rows of DATA_DESCRIPTION and FIELD.

    Raises
    ------
    InputError
        If a subtable or row is missing or damaged, a polarisation cannot be sent, or the phase
        centre is in a frame that says nothing of the sky without a time and a place.
    """
    data_description = _Subtable(path, "DATA_DESCRIPTION")
    spectral_window_id = int(data_description.cell("SPECTRAL_WINDOW_ID", data_desc_id))
    polarization_id = int(data_description.cell("POLARIZATION_ID", data_desc_id))
    spectral_window = _Subtable(path, "SPECTRAL_WINDOW")
    corr_types = tuple(
        int(corr_type)
        for corr_type in _Subtable(path, "POLARIZATION").cell("CORR_TYPE", polarization_id)
    )
    try:
        vis_slots(corr_types)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    antennas = _Subtable(path, "ANTENNA")
    return Description(
        antennas=Antennas(
            names=tuple(antennas.column("NAME")),
            positions_m=_positions_m(antennas),
        ),
        channel_freq_hz=np.asarray(spectral_window.cell("CHAN_FREQ", spectral_window_id)),
        channel_width_hz=np.asarray(spectral_window.cell("CHAN_WIDTH", spectral_window_id)),
        corr_types=corr_types,
        phase_centre_radec_rad=_phase_centre(_Subtable(path, "FIELD"), field_id),
        data_desc_id=data_desc_id,
        field_id=field_id,
    )


class _Subtable:
    """A subtable whose missing rows and columns are errors that a user understands."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.table = open_subtable(path, name)

    def cell(self, column: str, row: int) -> Any:
        if not 0 <= row < self.table.nrows():
            raise InputError(
                f"{self.path} is damaged: row {row} of its subtable {self.name} is referred to, "
                f"but there are {self.table.nrows()}"
            )
        try:
            return self.table.getcell(column, row)
        except RuntimeError as error:
            raise damaged(self.path, error, f"reading {column} of {self.name}") from None

    def column(self, column: str) -> Any:
        try:
            return self.table.getcol(column)
        except RuntimeError as error:
            raise damaged(self.path, error, f"reading {column} of {self.name}") from None

    def measure_info(self, column: str) -> dict[str, Any]:
        info: dict[str, Any] = self.table.getcolkeywords(column).get("MEASINFO", {})
        return info


def _positions_m(antennas: _Subtable) -> NDArray[np.float64]:
    frame = str(antennas.measure_info("POSITION").get("Ref", "ITRF"))
    if frame != "ITRF":
        logger.warning(
            "%s: antenna positions in %s are taken as geocentric ITRF", antennas.path, frame
        )
    return np.asarray(antennas.column("POSITION"), np.float64).reshape(-1, 3)


def _phase_centre(field: _Subtable, field_id: int) -> tuple[float, float]:
    # One row for each term of a polynomial in time; the first is the direction itself.
    longitude, latitude = np.reshape(field.cell("PHASE_DIR", field_id), (-1, 2))[0]
    frame = _direction_frame(field, field_id)
    if frame in _TAKEN_AS_ICRS:
        return float(longitude), float(latitude)
    if frame in _CONVERTED:
        # astropy takes longer to import than a set to open, and hardly any set needs it.
        from astropy.coordinates import SkyCoord  # noqa: PLC0415

        direction = SkyCoord(longitude, latitude, unit="rad", frame=_CONVERTED[frame]).icrs
        return float(direction.ra.rad), float(direction.dec.rad)
    raise InputError(
        f"{field.path}: PHASE_DIR of field {field_id} is in {frame}, which cannot be converted "
        f"without a time and a place; J2000, ICRS, {', '.join(_CONVERTED)} are understood"
    )


def _direction_frame(field: _Subtable, field_id: int) -> str:
    """Return the reference frame of PHASE_DIR, which CASA writes down for each row."""
    info = field.measure_info("PHASE_DIR")
    column = info.get("VarRefCol")
    if column is None:
        return str(info.get("Ref", "J2000")).upper()
    reference = field.cell(column, field_id)
    if isinstance(reference, str):
        return reference.upper()
    codes = np.asarray(info.get("TabRefCodes", [])).tolist()
    if int(reference) in codes:
        return str(info["TabRefTypes"][codes.index(int(reference))]).upper()
    return "J2000" if int(reference) == 0 else f"the frame with casacore's number {reference}"
