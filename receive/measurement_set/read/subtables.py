"""What the subtables of a Measurement Set say of one data description and one field."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import InputError
from receive.icd.records import vis_slots
from receive.measurement_set.read.measures import conversion, reference
from receive.measurement_set.read.opening import damaged, open_subtable
from receive.measurement_set.read.texts import read_text, read_texts
from receive.model import Antennas

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# ICRS and the mean equator and equinox of J2000 differ by 0.02 arcseconds.
_TAKEN_AS_ICRS = frozenset({"J2000", "ICRS"})
# Frames that need neither a time nor a place to be converted: casacore's name, astropy's name.
_CONVERTED = {"B1950": "fk4", "GALACTIC": "galactic", "SUPERGAL": "supergalactic"}

_CENTRE_OF_THE_EARTH_M = 1e6
"""No antenna is so high, nor so near to it."""


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


def read_description(path: Path, main: Any, data_desc_id: int, field_id: int) -> Description:
    """Read the subtables that a telescope model is made of; only on the casacore thread.

    Parameters
    ----------
    path : Path
        The set's folder.
    main : casacore.tables.table
        Its main table.
    data_desc_id, field_id : int
        Rows of DATA_DESCRIPTION and FIELD.

    Raises
    ------
    InputError
        If a subtable or row is missing or damaged, a polarisation cannot be sent, or something is
        in a unit or a frame that cannot be converted.
    """
    data_description = Subtable(path, main, "DATA_DESCRIPTION")
    window_id = int(data_description.cell("SPECTRAL_WINDOW_ID", data_desc_id))
    polarization_id = int(data_description.cell("POLARIZATION_ID", data_desc_id))
    window = Subtable(path, main, "SPECTRAL_WINDOW")
    corr_types = tuple(
        int(corr_type)
        for corr_type in Subtable(path, main, "POLARIZATION").cell("CORR_TYPE", polarization_id)
    )
    try:
        vis_slots(corr_types)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    antennas = Subtable(path, main, "ANTENNA")
    return Description(
        antennas=Antennas(
            names=tuple(antennas.texts("NAME")),
            positions_m=_positions_m(antennas),
        ),
        channel_freq_hz=window.quantity("CHAN_FREQ", window_id),
        channel_width_hz=window.quantity("CHAN_WIDTH", window_id),
        corr_types=corr_types,
        phase_centre_radec_rad=_phase_centre(Subtable(path, main, "FIELD"), field_id),
        data_desc_id=data_desc_id,
        field_id=field_id,
    )


class Subtable:
    """A subtable whose missing rows and columns are errors that a user understands."""

    def __init__(self, path: Path, main: Any, name: str) -> None:
        self.path = path
        self.name = name
        self.table = open_subtable(path, name, main)

    def cell(self, column: str, row: int) -> Any:
        """Return a cell as it is."""
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
        """Return a column as it is."""
        try:
            return self.table.getcol(column)
        except RuntimeError as error:
            raise damaged(self.path, error, f"reading {column} of {self.name}") from None

    def quantity(self, column: str, row: int) -> NDArray[np.float64]:
        """Return a cell in the standard's unit."""
        values = np.asarray(self.cell(column, row), np.float64)
        return conversion(self.path, self.table, column, row)(values)

    def text(self, column: str, row: int) -> str:
        """Return a text."""
        try:
            return read_text(self.table, column, row)
        except RuntimeError as error:
            raise damaged(self.path, error, f"reading {column} of {self.name}") from None

    def texts(self, column: str) -> list[str]:
        """Return a column of texts."""
        try:
            return read_texts(self.table, column)
        except RuntimeError as error:
            raise damaged(self.path, error, f"reading {column} of {self.name}") from None


def _positions_m(antennas: Subtable) -> NDArray[np.float64]:
    path, table = antennas.path, antennas.table
    values = np.asarray(antennas.column("POSITION"), np.float64).reshape(-1, 3)
    positions_m = conversion(path, table, "POSITION")(values)
    frame = reference(path, table, "POSITION", "ITRF") if len(values) else "ITRF"
    if frame == "ITRF":
        return positions_m
    if frame != "WGS84":
        raise InputError(
            f"{path}: POSITION of ANTENNA is in {frame}, which is not converted; ITRF and WGS84 are"
        )
    length_m = np.linalg.norm(positions_m, axis=1)
    if (length_m > _CENTRE_OF_THE_EARTH_M).all():
        logger.warning(
            "%s: antenna positions in WGS84 are taken as geocentric ITRF: they are as far from "
            "their origin as the Earth's surface",
            path,
        )
        return positions_m
    # casacore's WGS84 is longitude, latitude and height, held as a vector of the height's length.
    import erfa  # noqa: PLC0415 (hardly any set needs it)

    with np.errstate(invalid="ignore"):
        latitude = np.arcsin(np.nan_to_num(positions_m[:, 2] / length_m))
    longitude = np.arctan2(positions_m[:, 1], positions_m[:, 0])
    return np.asarray(erfa.gd2gc(erfa.WGS84, longitude, latitude, length_m))


def _phase_centre(field: Subtable, field_id: int) -> tuple[float, float]:
    # One row for each term of a polynomial in time; the first is the direction itself.
    longitude, latitude = np.reshape(field.quantity("PHASE_DIR", field_id), (-1, 2))[0]
    frame = reference(field.path, field.table, "PHASE_DIR", "J2000", field_id)
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
