"""A new Measurement Set without rows, with the subtables of an observation that nobody recorded.

`create_empty_set` writes version 2 of the Measurement Set with every subtable that the definition
requires, filled in, and SOURCE.  It is a template for `receive.measurement_set.write.writer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from receive.measurement_set import casacore_thread
from receive.measurement_set.read.table_name import table_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_RECEPTORS = {9: "XX", 10: "XY", 11: "YX", 12: "YY", 5: "RR", 6: "RL", 7: "LR", 8: "LL"}
_TOPOCENTRIC = 5
"""MEAS_FREQ_REF of frequencies as the observatory measures them (casacore's MFrequency::TOPO)."""


@dataclass(frozen=True)
class SetDescription:
    """What the subtables of a new set say.

    Attributes
    ----------
    telescope, observer, project, field_name
        As people read them.
    antenna_names, stations, mounts
        One for each antenna.
    positions_m
        ITRF positions, (antennas, 3), metres.
    diameters_m
        (antennas,), metres.
    channel_freq_hz, channel_width_hz
        Centres and widths, (channels,), Hz.
    corr_types
        CORR_TYPE of each polarisation: 9..12 for XX XY YX YY, 5..8 for RR RL LR LL.
    phase_centre_radec_rad
        Right ascension and declination, J2000.
    start_mjd_s, end_mjd_s
        Beginning of the first and end of the last integration, MJD seconds, UTC.
    """

    telescope: str
    observer: str
    project: str
    field_name: str
    antenna_names: Sequence[str]
    stations: Sequence[str]
    mounts: Sequence[str]
    positions_m: NDArray[np.float64]
    diameters_m: NDArray[np.float64]
    channel_freq_hz: NDArray[np.float64]
    channel_width_hz: NDArray[np.float64]
    corr_types: tuple[int, ...]
    phase_centre_radec_rad: tuple[float, float]
    start_mjd_s: float
    end_mjd_s: float

    @property
    def mid_mjd_s(self) -> float:
        """The middle of the observation, MJD seconds."""
        return (self.start_mjd_s + self.end_mjd_s) / 2

    @property
    def duration_s(self) -> float:
        """The length of the observation, seconds."""
        return self.end_mjd_s - self.start_mjd_s


def create_empty_set(path: Path, description: SetDescription) -> None:
    """Create a Measurement Set of no rows at `path`, which must not exist."""
    casacore_thread.run(_create, path, description)


def _create(path: Path, description: SetDescription) -> None:
    main = tables.required_ms_desc("MAIN")
    main.update(tables.maketabdesc(_data_columns(description)))
    with tables.default_ms(table_name(path), main) as table:
        _add_source(table, path)
    _fill_antennas(path, description)
    _fill_spectra(path, description)
    _fill_field(path, description)
    _fill_observation(path, description)
    _fill_states(path)


def _data_columns(description: SetDescription) -> list[dict[str, Any]]:
    """Return descriptions of the columns that the definition leaves open, and DATA."""
    shape = [len(description.channel_freq_hz), len(description.corr_types)]
    return [
        tables.makearrcoldesc("DATA", 0j, ndim=2, shape=shape, valuetype="complex"),
        tables.makearrcoldesc("WEIGHT_SPECTRUM", 0.0, ndim=2, shape=shape, valuetype="float"),
    ]


def _add_source(table: Any, path: Path) -> None:
    """Add SOURCE, which `default_ms` leaves out although most tools expect it."""
    source = tables.default_ms_subtable("SOURCE", str(path / "SOURCE"))
    table.putkeyword("SOURCE", f"Table: {path / 'SOURCE'}", makesubrecord=True)
    source.close()


def _rows(path: Path, name: str, count: int, columns: dict[str, Any]) -> None:
    """Fill a subtable with `count` rows; each column is a list or array of as many values."""
    with tables.table(str(path / name), readonly=False, ack=False) as table:
        table.addrows(count)
        for column, values in columns.items():
            if isinstance(values, list):
                for row, value in enumerate(values):
                    table.putcell(column, row, value)
            else:
                table.putcol(column, values)


def _fill_antennas(path: Path, description: SetDescription) -> None:
    count = len(description.antenna_names)
    middle = np.full(count, description.mid_mjd_s)
    whole = np.full(count, description.duration_s)
    _rows(
        path,
        "ANTENNA",
        count,
        {
            "NAME": list(description.antenna_names),
            "STATION": list(description.stations),
            "TYPE": ["GROUND-BASED"] * count,
            "MOUNT": list(description.mounts),
            "POSITION": np.asarray(description.positions_m, np.float64),
            "OFFSET": np.zeros((count, 3)),
            "DISH_DIAMETER": np.asarray(description.diameters_m, np.float64),
            "FLAG_ROW": np.zeros(count, bool),
        },
    )
    letters = list("RL" if _is_circular(description.corr_types) else "XY")
    _rows(
        path,
        "FEED",
        count,
        {
            "ANTENNA_ID": np.arange(count, dtype=np.int32),
            "FEED_ID": np.zeros(count, np.int32),
            "SPECTRAL_WINDOW_ID": np.full(count, -1, np.int32),
            "TIME": middle,
            "INTERVAL": whole,
            "NUM_RECEPTORS": np.full(count, 2, np.int32),
            "BEAM_ID": np.full(count, -1, np.int32),
            "BEAM_OFFSET": np.zeros((count, 2, 2)),
            "POLARIZATION_TYPE": [letters] * count,
            "POL_RESPONSE": np.tile(np.eye(2, dtype=np.complex64), (count, 1, 1)),
            "POSITION": np.zeros((count, 3)),
            "RECEPTOR_ANGLE": np.zeros((count, 2)),
        },
    )
    # All antennas follow the phase centre for the whole observation: a row each says so.
    direction = np.tile(_direction(description), (count, 1, 1))
    _rows(
        path,
        "POINTING",
        count,
        {
            "ANTENNA_ID": np.arange(count, dtype=np.int32),
            "TIME": middle,
            "INTERVAL": whole,
            "NAME": [description.field_name] * count,
            "NUM_POLY": np.zeros(count, np.int32),
            "TIME_ORIGIN": middle,
            "DIRECTION": direction,
            "TARGET": direction,
            "TRACKING": np.ones(count, bool),
        },
    )


def _fill_spectra(path: Path, description: SetDescription) -> None:
    freq = np.asarray(description.channel_freq_hz, np.float64)
    width = np.asarray(description.channel_width_hz, np.float64)
    _rows(
        path,
        "SPECTRAL_WINDOW",
        1,
        {
            "NUM_CHAN": np.array([len(freq)], np.int32),
            "NAME": ["SPW-0"],
            "REF_FREQUENCY": np.array([freq[0]]),
            "CHAN_FREQ": [freq],
            "CHAN_WIDTH": [width],
            "EFFECTIVE_BW": [np.abs(width)],
            "RESOLUTION": [np.abs(width)],
            "TOTAL_BANDWIDTH": np.array([np.abs(width).sum()]),
            "MEAS_FREQ_REF": np.array([_TOPOCENTRIC], np.int32),
            "NET_SIDEBAND": np.array([1], np.int32),
            "IF_CONV_CHAIN": np.array([0], np.int32),
            "FREQ_GROUP": np.array([0], np.int32),
            "FREQ_GROUP_NAME": ["all"],
            "FLAG_ROW": np.array([False]),
        },
    )
    letters = "RL" if _is_circular(description.corr_types) else "XY"
    products = [[letters.index(c) for c in _RECEPTORS[t]] for t in description.corr_types]
    _rows(
        path,
        "POLARIZATION",
        1,
        {
            "NUM_CORR": np.array([len(description.corr_types)], np.int32),
            "CORR_TYPE": [np.array(description.corr_types, np.int32)],
            "CORR_PRODUCT": [np.array(products, np.int32)],
            "FLAG_ROW": np.array([False]),
        },
    )
    _rows(
        path,
        "DATA_DESCRIPTION",
        1,
        {
            "SPECTRAL_WINDOW_ID": np.array([0], np.int32),
            "POLARIZATION_ID": np.array([0], np.int32),
            "FLAG_ROW": np.array([False]),
        },
    )


def _fill_field(path: Path, description: SetDescription) -> None:
    direction = _direction(description)
    _rows(
        path,
        "FIELD",
        1,
        {
            "NAME": [description.field_name],
            "CODE": [""],
            "TIME": np.array([description.start_mjd_s]),
            "NUM_POLY": np.array([0], np.int32),
            "DELAY_DIR": [direction],
            "PHASE_DIR": [direction],
            "REFERENCE_DIR": [direction],
            "SOURCE_ID": np.array([0], np.int32),
            "FLAG_ROW": np.array([False]),
        },
    )
    _rows(
        path,
        "SOURCE",
        1,
        {
            "SOURCE_ID": np.array([0], np.int32),
            "TIME": np.array([description.mid_mjd_s]),
            "INTERVAL": np.array([description.duration_s]),
            "SPECTRAL_WINDOW_ID": np.array([0], np.int32),
            "NUM_LINES": np.array([0], np.int32),
            "NAME": [description.field_name],
            "CALIBRATION_GROUP": np.array([0], np.int32),
            "CODE": [""],
            "DIRECTION": direction,
            "PROPER_MOTION": np.zeros((1, 2)),
        },
    )


def _fill_observation(path: Path, description: SetDescription) -> None:
    _rows(
        path,
        "OBSERVATION",
        1,
        {
            "TELESCOPE_NAME": [description.telescope],
            "OBSERVER": [description.observer],
            "PROJECT": [description.project],
            "TIME_RANGE": [np.array([description.start_mjd_s, description.end_mjd_s])],
            "SCHEDULE_TYPE": [""],
            "RELEASE_DATE": np.array([description.end_mjd_s]),
            "FLAG_ROW": np.array([False]),
        },
    )


def _fill_states(path: Path) -> None:
    _rows(
        path,
        "STATE",
        1,
        {
            "SIG": np.array([True]),
            "REF": np.array([False]),
            "CAL": np.array([0.0]),
            "LOAD": np.array([0.0]),
            "SUB_SCAN": np.array([0], np.int32),
            "OBS_MODE": ["OBSERVE_TARGET#ON_SOURCE"],
            "FLAG_ROW": np.array([False]),
        },
    )
    _rows(
        path,
        "PROCESSOR",
        1,
        {
            "TYPE": ["CORRELATOR"],
            "SUB_TYPE": ["SIMULATED"],
            "TYPE_ID": np.array([-1], np.int32),
            "MODE_ID": np.array([-1], np.int32),
            "FLAG_ROW": np.array([False]),
        },
    )


def _direction(description: SetDescription) -> NDArray[np.float64]:
    """Return the phase centre as casacore keeps directions: a polynomial of degree 0, (1, 2)."""
    return np.array([description.phase_centre_radec_rad])


def _is_circular(corr_types: tuple[int, ...]) -> bool:
    return _RECEPTORS[corr_types[0]][0] in "RL"
