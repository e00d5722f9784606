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

    from receive.model import TelescopeModel

_RECEPTORS = {9: "XX", 10: "XY", 11: "YX", 12: "YY", 5: "RR", 6: "RL", 7: "LR", 8: "LL"}
_TOPOCENTRIC = 5
"""MEAS_FREQ_REF of frequencies as the observatory measures them (casacore's MFrequency::TOPO)."""


@dataclass(frozen=True)
class SetDescription:
    """What the subtables of a new set say.

    Attributes
    ----------
    model
        Antennas, channels, polarisations and phase centre (written as J2000).
    telescope, observer, project, field_name
        As people read them.
    stations, mounts
        One for each antenna.
    diameters_m
        (antennas,), metres.
    start_mjd_s, end_mjd_s
        Beginning of the first and end of the last integration, MJD seconds, UTC.
    """

    model: TelescopeModel
    telescope: str
    observer: str
    project: str
    field_name: str
    stations: Sequence[str]
    mounts: Sequence[str]
    diameters_m: NDArray[np.float64]
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
    shape = [description.model.num_channels, description.model.num_pols]
    main = tables.required_ms_desc("MAIN")
    # The columns that the definition leaves open.
    columns = [
        tables.makearrcoldesc("DATA", 0j, ndim=2, shape=shape, valuetype="complex"),
        tables.makearrcoldesc("WEIGHT_SPECTRUM", 0.0, ndim=2, shape=shape, valuetype="float"),
    ]
    main.update(tables.maketabdesc(columns))
    with tables.default_ms(table_name(path), main) as table:
        _add_source(table, path)
    subtables = _antennas(description) | _spectra(description.model) | _observation(description)
    for name, rows in subtables.items():
        _fill(path / name, rows)


def _add_source(table: Any, path: Path) -> None:
    """Add SOURCE, which `default_ms` leaves out although most tools expect it."""
    source = tables.default_ms_subtable("SOURCE", str(path / "SOURCE"))
    table.putkeyword("SOURCE", f"Table: {path / 'SOURCE'}", makesubrecord=True)
    source.close()


def _fill(path: Path, columns: dict[str, Any]) -> None:
    """Fill a subtable; each column is a list or array of as many values as there are rows."""
    with tables.table(str(path), readonly=False, ack=False) as table:
        table.addrows(len(next(iter(columns.values()))))
        for column, values in columns.items():
            if isinstance(values, list):
                for row, value in enumerate(values):
                    table.putcell(column, row, value)
            else:
                table.putcol(column, values)


def _antennas(description: SetDescription) -> dict[str, dict[str, Any]]:
    """Return the columns of the subtables that have a row for each antenna."""
    model = description.model
    count = len(model.antennas)
    numbers = np.arange(count, dtype=np.int32)
    middle = np.full(count, description.mid_mjd_s)
    whole = np.full(count, description.duration_s)
    # All antennas follow the phase centre for the whole observation: a row each says so.
    direction = np.tile(_direction(model), (count, 1, 1))
    return {
        "ANTENNA": {
            "NAME": list(model.antennas.names),
            "STATION": list(description.stations),
            "TYPE": ["GROUND-BASED"] * count,
            "MOUNT": list(description.mounts),
            "POSITION": model.antennas.positions_m,
            "OFFSET": np.zeros((count, 3)),
            "DISH_DIAMETER": np.asarray(description.diameters_m, np.float64),
            "FLAG_ROW": np.zeros(count, bool),
        },
        "FEED": {
            "ANTENNA_ID": numbers,
            "FEED_ID": np.zeros(count, np.int32),
            "SPECTRAL_WINDOW_ID": np.full(count, -1, np.int32),
            "TIME": middle,
            "INTERVAL": whole,
            "NUM_RECEPTORS": np.full(count, 2, np.int32),
            "BEAM_ID": np.full(count, -1, np.int32),
            "BEAM_OFFSET": np.zeros((count, 2, 2)),
            "POLARIZATION_TYPE": [list(_receptors(model))] * count,
            "POL_RESPONSE": np.tile(np.eye(2, dtype=np.complex64), (count, 1, 1)),
            "POSITION": np.zeros((count, 3)),
            "RECEPTOR_ANGLE": np.zeros((count, 2)),
        },
        "POINTING": {
            "ANTENNA_ID": numbers,
            "TIME": middle,
            "INTERVAL": whole,
            "NAME": [description.field_name] * count,
            "NUM_POLY": np.zeros(count, np.int32),
            "TIME_ORIGIN": middle,
            "DIRECTION": direction,
            "TARGET": direction,
            "TRACKING": np.ones(count, bool),
        },
    }


def _spectra(model: TelescopeModel) -> dict[str, dict[str, Any]]:
    """Return the columns of the subtables of channels and polarisations, one row each."""
    width_hz = np.abs(model.channel_width_hz)
    letters = _receptors(model)
    products = [[letters.index(c) for c in _RECEPTORS[t]] for t in model.corr_types]
    return {
        "SPECTRAL_WINDOW": {
            "NUM_CHAN": np.array([model.num_channels], np.int32),
            "NAME": ["SPW-0"],
            "REF_FREQUENCY": model.channel_freq_hz[:1],
            "CHAN_FREQ": [model.channel_freq_hz],
            "CHAN_WIDTH": [model.channel_width_hz],
            "EFFECTIVE_BW": [width_hz],
            "RESOLUTION": [width_hz],
            "TOTAL_BANDWIDTH": np.array([width_hz.sum()]),
            "MEAS_FREQ_REF": np.array([_TOPOCENTRIC], np.int32),
            "NET_SIDEBAND": np.array([1], np.int32),
            "IF_CONV_CHAIN": np.array([0], np.int32),
            "FREQ_GROUP": np.array([0], np.int32),
            "FREQ_GROUP_NAME": ["all"],
            "FLAG_ROW": np.array([False]),
        },
        "POLARIZATION": {
            "NUM_CORR": np.array([model.num_pols], np.int32),
            "CORR_TYPE": [np.array(model.corr_types, np.int32)],
            "CORR_PRODUCT": [np.array(products, np.int32)],
            "FLAG_ROW": np.array([False]),
        },
        "DATA_DESCRIPTION": {
            "SPECTRAL_WINDOW_ID": np.array([0], np.int32),
            "POLARIZATION_ID": np.array([0], np.int32),
            "FLAG_ROW": np.array([False]),
        },
    }


def _observation(description: SetDescription) -> dict[str, dict[str, Any]]:
    """Return the columns of the subtables of field, observation and correlator, one row each."""
    direction = _direction(description.model)
    return {
        "FIELD": {
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
        "SOURCE": {
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
        "OBSERVATION": {
            "TELESCOPE_NAME": [description.telescope],
            "OBSERVER": [description.observer],
            "PROJECT": [description.project],
            "TIME_RANGE": [np.array([description.start_mjd_s, description.end_mjd_s])],
            "SCHEDULE_TYPE": [""],
            "RELEASE_DATE": np.array([description.end_mjd_s]),
            "FLAG_ROW": np.array([False]),
        },
        "STATE": {
            "SIG": np.array([True]),
            "REF": np.array([False]),
            "CAL": np.array([0.0]),
            "LOAD": np.array([0.0]),
            "SUB_SCAN": np.array([0], np.int32),
            "OBS_MODE": ["OBSERVE_TARGET#ON_SOURCE"],
            "FLAG_ROW": np.array([False]),
        },
        "PROCESSOR": {
            "TYPE": ["CORRELATOR"],
            "SUB_TYPE": ["SIMULATED"],
            "TYPE_ID": np.array([-1], np.int32),
            "MODE_ID": np.array([-1], np.int32),
            "FLAG_ROW": np.array([False]),
        },
    }


def _direction(model: TelescopeModel) -> NDArray[np.float64]:
    """Return the phase centre as casacore keeps directions: a polynomial of degree 0, (1, 2)."""
    return np.array([model.phase_centre_radec_rad])


def _receptors(model: TelescopeModel) -> str:
    return "RL" if _RECEPTORS[model.corr_types[0]][0] in "RL" else "XY"
