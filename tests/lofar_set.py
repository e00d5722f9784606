"""A Measurement Set as LOFAR writes them, made by casacore alone.

It has what is peculiar to LOFAR's sets, which is what a program of another telescope trips over:

- baselines in the order 0-1 0-2 1-2 0-3, no autocorrelations, no SOURCE and no STATE;
- columns and cells of a fixed shape, in storage managers and files of LOFAR's own layout;
- columns and subtables that the standard does not know, among them tables within subtables;
- weights far beyond the number of samples, WEIGHT and SIGMA of 1, whole stations flagged;
- an interval that is no round number, and UVW that casacore computed.

What it says of itself (times, shape, names) is what the recorded set in ``../shared/data`` says, so
that tests hold for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from casacore.measures import measures
from casacore.tables import (
    default_ms,
    makearrcoldesc,
    makescacoldesc,
    maketabdesc,
    required_ms_desc,
    table,
)

from emulator.simulate.arrays import load_builtin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

STATIONS = "CS001HBA0,CS002HBA0,CS002HBA1,CS004HBA1,RS106HBA,RS208HBA,RS305HBA,RS307HBA"
FIRST, SECOND = np.array([(i, j) for j in range(8) for i in range(j)], np.int32).T
"""Antennas of the 28 baselines."""
TIMES, CHANNELS, POLS = 6, 8, 4
START_MJD_S = 4871282393.00695
INTERVAL_S = 10.0139008
WIDTH_HZ = 24414.0625
FREQ_HZ = 134288024.90234375 + WIDTH_HZ * np.arange(CHANNELS)
PHASE_CENTRE_RAD = (0.4262457236387493, 0.5787469737178225)
"""3C 48."""
FLAGGED_STATION, FALTERING_STATION = 7, 5

_ROWS = TIMES * len(FIRST)
_SECONDS = {"QuantumUnits": ["s"], "MEASINFO": {"type": "epoch", "Ref": "UTC"}}
_DIRECTION = {"QuantumUnits": ["rad", "rad"], "MEASINFO": {"type": "direction", "Ref": "J2000"}}
_POSITION = {"QuantumUnits": ["m"] * 3, "MEASINFO": {"type": "position", "Ref": "ITRF"}}

_TILED = {
    "UVW": "TiledUVW",
    "DATA": "TiledData",
    "FLAG": "TiledFlag",
    "LOFAR_FULL_RES_FLAG": "TiledFullResFlag",
    "WEIGHT_SPECTRUM": "TiledWeightSpectrum",
    "CORRECTED_DATA": "Tiled_CORRECTED_DATA",
}
"""Columns with a file of their own, ``table.f2`` and so on, in their order."""


def make_lofar_set(path: Path) -> Path:
    """Make the set: 8 stations, 28 baselines, 6 integrations, 8 channels, 31 % flagged."""
    main = default_ms(str(path), _main_description(), _storage())
    _fill_main(main)
    _fill_subtables(path)
    for name, make in _OF_LOFAR.items():
        make(path / name)
        main.putkeyword(name, f"Table: {path / name}")
    for name in ("sky", "instrument"):
        _make_parameters(path / name)
        main.putkeyword(name, f"Table: {path / name}")
    main.close()
    return path


def _main_description() -> dict[str, Any]:
    """Describe all columns, in fixed shapes where LOFAR has them."""
    cell = [CHANNELS, POLS]
    own = [
        makearrcoldesc("DATA", 0j, valuetype="complex", shape=cell, options=4),
        makearrcoldesc("FLAG", value=False, valuetype="boolean", shape=cell, options=4),
        makearrcoldesc("LOFAR_FULL_RES_FLAG", 0, valuetype="uchar", shape=[5, 8], options=4),
        makearrcoldesc("WEIGHT_SPECTRUM", 0.0, valuetype="float", shape=cell, options=4),
        makearrcoldesc("CORRECTED_DATA", 0j, valuetype="complex", shape=cell, options=4),
        makearrcoldesc("WEIGHT", 0.0, valuetype="float", shape=[POLS], options=5),
        makearrcoldesc("SIGMA", 0.0, valuetype="float", shape=[POLS], options=5),
    ]
    description: dict[str, Any] = required_ms_desc()
    description.update(maketabdesc(own))
    return description


def _storage() -> dict[str, Any]:
    """Return the storage managers: what seldom changes in an incremental one, the rest tiled."""
    scalars = set(required_ms_desc()) - set(_TILED) - {"ANTENNA1", "ANTENNA2"}
    columns = sorted(name for name in scalars if not name.startswith("_"))
    managers = [
        ("SSMVar", "StandardStMan", ["ANTENNA1", "ANTENNA2"]),
        ("LofarStMan", "IncrementalStMan", columns),
        *((manager, "TiledColumnStMan", [column]) for column, manager in _TILED.items()),
    ]
    return {
        f"*{number}": {"TYPE": kind, "NAME": name, "SEQNR": number - 1, "COLUMNS": of, "SPEC": {}}
        for number, (name, kind, of) in enumerate(managers, start=1)
    }


def _fill_main(main: Any) -> None:
    rng = np.random.default_rng(48)
    shape = (_ROWS, CHANNELS, POLS)
    times_mjd_s = START_MJD_S + INTERVAL_S * np.arange(TIMES)
    noise = 1e-4 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    time_by_row = np.repeat(times_mjd_s, len(FIRST))
    ones = np.ones((_ROWS, POLS), np.float32)
    main.addrows(_ROWS)
    columns: dict[str, NDArray[Any]] = {
        "TIME": time_by_row,
        "TIME_CENTROID": time_by_row,
        "INTERVAL": np.full(_ROWS, INTERVAL_S),
        "EXPOSURE": np.full(_ROWS, INTERVAL_S),
        "ANTENNA1": np.tile(FIRST, TIMES),
        "ANTENNA2": np.tile(SECOND, TIMES),
        "UVW": np.concatenate([_uvw(float(time_mjd_s)) for time_mjd_s in times_mjd_s]),
        "DATA": noise.astype(np.complex64),
        "CORRECTED_DATA": (noise * 5e5).astype(np.complex64),
        "FLAG": np.broadcast_to(_flagged_rows()[:, None, None], shape),
        "LOFAR_FULL_RES_FLAG": rng.integers(0, 256, (_ROWS, 5, 8), np.uint8),
        "WEIGHT_SPECTRUM": rng.uniform(6e7, 3e9, shape).astype(np.float32),
        "WEIGHT": ones,
        "SIGMA": ones,
    }
    for name, values in columns.items():
        main.putcol(name, values)
    main.putcolkeyword("LOFAR_FULL_RES_FLAG", "NCHAN_AVG", 8)
    main.putcolkeyword("LOFAR_FULL_RES_FLAG", "NTIME_AVG", 5)


def _flagged_rows() -> NDArray[np.bool_]:
    """Tell which rows are flagged: one station's, and some of another one's in the end."""
    flagged = np.zeros((TIMES, len(FIRST)), np.bool_)
    flagged[:, SECOND == FLAGGED_STATION] = True
    flagged[-2:, SECOND == FALTERING_STATION] = True
    return flagged.ravel()


def _positions_m() -> NDArray[np.float64]:
    return load_builtin("lofar-hba").take(STATIONS).positions_m


def _uvw(time_mjd_s: float) -> NDArray[np.float64]:
    """Return the UVW of all baselines, metres (28, 3), as casacore's measures have it."""
    converter = measures()
    positions_m = _positions_m()
    converter.do_frame(converter.epoch("UTC", f"{time_mjd_s!r}s"))
    converter.do_frame(converter.position("ITRF", *_metres(positions_m[0])))
    converter.do_frame(converter.direction("J2000", *(f"{a!r}rad" for a in PHASE_CENTRE_RAD)))
    stations = []
    for position_m in positions_m:
        baseline = converter.baseline("ITRF", *_metres(position_m - positions_m[0]))
        stations.append(converter.to_uvw(baseline)["xyz"].get_value())
    return np.asarray(stations)[SECOND] - np.asarray(stations)[FIRST]


def _metres(vector: NDArray[np.float64]) -> list[str]:
    return [f"{value!r}m" for value in vector.tolist()]


def _fill_subtables(path: Path) -> None:
    _fill_stations(path)
    _fill_spectra(path)
    with _opened(path / "DATA_DESCRIPTION", 1):
        pass
    _fill_field(path)
    _fill_observation(path)
    _fill_history(path)


def _fill_stations(path: Path) -> None:
    positions_m = _positions_m()
    names = STATIONS.split(",")
    middle_mjd_s = START_MJD_S + INTERVAL_S * (TIMES - 1) / 2
    with _opened(path / "ANTENNA", len(names)) as antennas:
        _add(antennas, makescacoldesc("LOFAR_STATION_ID", 0))
        _add(antennas, makearrcoldesc("LOFAR_PHASE_REFERENCE", 0.0, shape=[3]), _POSITION)
        antennas.putcol("NAME", names)
        antennas.putcol("STATION", ["LOFAR"] * len(names))
        antennas.putcol("TYPE", ["GROUND-BASED"] * len(names))
        antennas.putcol("MOUNT", ["X-Y"] * len(names))
        antennas.putcol("DISH_DIAMETER", np.full(len(names), 31.26))
        for column in ("POSITION", "LOFAR_PHASE_REFERENCE"):
            antennas.putcol(column, positions_m)
        antennas.putcol("LOFAR_STATION_ID", np.arange(len(names), dtype=np.int32))
    with _opened(path / "FEED", len(names)) as feeds:
        feeds.putcol("ANTENNA_ID", np.arange(len(names), dtype=np.int32))
        for row in range(len(names)):
            feeds.putcell("NUM_RECEPTORS", row, 2)
            feeds.putcell("BEAM_ID", row, -1)
            feeds.putcell("SPECTRAL_WINDOW_ID", row, -1)
            feeds.putcell("TIME", row, middle_mjd_s)
            feeds.putcell("INTERVAL", row, INTERVAL_S * TIMES)
            feeds.putcell("BEAM_OFFSET", row, np.zeros((2, 2)))
            feeds.putcell("POLARIZATION_TYPE", row, ["X", "Y"])
            feeds.putcell("POL_RESPONSE", row, np.eye(2, dtype=np.complex64))
            feeds.putcell("RECEPTOR_ANGLE", row, np.full(2, -np.pi / 4))


def _fill_spectra(path: Path) -> None:
    _fix_shapes(path / "SPECTRAL_WINDOW", ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"))
    with _opened(path / "SPECTRAL_WINDOW", 1) as window:
        window.putcell("NAME", 0, "SB-31")
        window.putcell("NUM_CHAN", 0, CHANNELS)
        window.putcell("CHAN_FREQ", 0, FREQ_HZ)
        for column in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            window.putcell(column, 0, np.full(CHANNELS, WIDTH_HZ))
        window.putcell("TOTAL_BANDWIDTH", 0, CHANNELS * WIDTH_HZ)
        window.putcell("REF_FREQUENCY", 0, 134375000.0)
        window.putcell("MEAS_FREQ_REF", 0, 5)
    with _opened(path / "POLARIZATION", 1) as polarizations:
        polarizations.putcell("NUM_CORR", 0, POLS)
        polarizations.putcell("CORR_TYPE", 0, np.array([9, 10, 11, 12], np.int32))
        products = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32)
        polarizations.putcell("CORR_PRODUCT", 0, products)


def _fill_field(path: Path) -> None:
    with _opened(path / "FIELD", 1) as fields:
        _add(fields, makearrcoldesc("LOFAR_TILE_BEAM_DIR", 0.0, ndim=-1), _DIRECTION)
        fields.putcell("NAME", 0, "BEAM_0")
        fields.putcell("TIME", 0, START_MJD_S)
        fields.putcell("SOURCE_ID", 0, -1)
        for column in ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR"):
            fields.putcell(column, 0, np.array([PHASE_CENTRE_RAD]))
        fields.putcell("LOFAR_TILE_BEAM_DIR", 0, np.array(PHASE_CENTRE_RAD))


def _fill_observation(path: Path) -> None:
    with _opened(path / "OBSERVATION", 1) as observations:
        _add(observations, makescacoldesc("LOFAR_OBSERVATION_ID", ""))
        _add(observations, makearrcoldesc("LOFAR_TARGET", "", ndim=-1))
        _add(observations, makescacoldesc("LOFAR_OBSERVATION_START", 0.0), _SECONDS)
        observations.putcell("TELESCOPE_NAME", 0, "LOFAR")
        observations.putcell("OBSERVER", 0, "unknown")
        observations.putcell("PROJECT", 0, "A_PROJECT")
        observations.putcell("SCHEDULE", 0, ["corrSchedule"])
        observations.putcell("SCHEDULE_TYPE", 0, "LOFAR")
        ends_mjd_s = START_MJD_S + INTERVAL_S * np.array([-0.5, TIMES - 0.5])
        observations.putcell("TIME_RANGE", 0, ends_mjd_s)
        observations.putcell("LOFAR_OBSERVATION_ID", 0, "100001")
        observations.putcell("LOFAR_TARGET", 0, ["3C48"])
        observations.putcell("LOFAR_OBSERVATION_START", 0, float(ends_mjd_s[0]))


def _fill_history(path: Path) -> None:
    with _opened(path / "HISTORY", 1) as history:
        history.putcell("APPLICATION", 0, "a pipeline")
        history.putcell("MESSAGE", 0, "parameters")
        history.putcell("ORIGIN", 0, "version = 1.0\n built on a host\n")
        history.putcell("PRIORITY", 0, "NORMAL")
        history.putcell("TIME", 0, START_MJD_S + 7.5e7)
        steps = ("Step.solve.Operation=SOLVE", "Step.correct.Operation=CORRECT", "Strategy.Steps=2")
        history.putcell("APP_PARAMS", 0, list(steps))
        history.putcell("CLI_COMMAND", 0, [])


def _opened(path: Path, add_rows: int) -> Any:
    opened = table(str(path), ack=False, readonly=False)
    opened.addrows(add_rows)
    return opened


def _add(opened: Any, column: Any, keywords: Mapping[str, Any] | None = None) -> None:
    opened.addcols(maketabdesc(column))
    for name, value in (keywords or {}).items():
        opened.putcolkeyword(column["name"], name, value)


def _fix_shapes(path: Path, columns: Iterable[str]) -> None:
    """Give all cells of some columns the shape that they have in this set."""
    with table(str(path), ack=False, readonly=False) as opened:
        for name in columns:
            keywords = opened.getcolkeywords(name)
            opened.removecols([name])
            _add(opened, makearrcoldesc(name, 0.0, shape=[CHANNELS], options=5), keywords)


def _make_table(path: Path, columns: Iterable[Any], rows: Iterable[Mapping[str, Any]]) -> None:
    with table(str(path), maketabdesc(list(columns)), ack=False) as opened:
        for number, values in enumerate(rows):
            opened.addrows(1)
            for name, value in values.items():
                opened.putcell(name, number, value)


def _make_stations(path: Path) -> None:
    columns = [
        makescacoldesc("NAME", ""),
        makescacoldesc("CLOCK_ID", 0),
        makescacoldesc("FLAG_ROW", value=False),
    ]
    _make_table(path, columns, ({"NAME": f"CS{n:03}", "CLOCK_ID": n % 2} for n in range(1, 37)))


def _make_fields(path: Path) -> None:
    """Make the table of stations' elements, of which each station has another number."""
    columns = [
        makescacoldesc("ANTENNA_ID", 0),
        makearrcoldesc("COORDINATE_AXES", 0.0, shape=[3, 3]),
        makearrcoldesc("ELEMENT_OFFSET", 0.0, ndim=2),
        makearrcoldesc("ELEMENT_FLAG", value=False, ndim=2),
    ]
    rows = [
        {
            "ANTENNA_ID": n,
            "COORDINATE_AXES": np.eye(3),
            "ELEMENT_OFFSET": np.full((24 + 8 * n, 3), 1.5),
            "ELEMENT_FLAG": np.zeros((24 + 8 * n, 2), np.bool_),
        }
        for n in range(8)
    ]
    _make_table(path, columns, rows)


def _make_statistics(path: Path) -> None:
    columns = [
        makescacoldesc("TIME", 0.0),
        makescacoldesc("FREQUENCY", 0.0),
        makescacoldesc("KIND", 0),
        makearrcoldesc("VALUE", 0j, valuetype="complex", shape=[POLS]),
    ]
    _make_table(path, columns, [])


def _make_kinds(path: Path) -> None:
    columns = [makescacoldesc("KIND", 0), makescacoldesc("NAME", "")]
    _make_table(path, columns, [{"KIND": 1, "NAME": "RFICount"}, {"KIND": 2, "NAME": "Count"}])


_OF_LOFAR: dict[str, Callable[[Path], None]] = {
    "LOFAR_STATION": _make_stations,
    "LOFAR_ANTENNA_FIELD": _make_fields,
    "QUALITY_KIND_NAME": _make_kinds,
    "QUALITY_TIME_STATISTIC": _make_statistics,
}


def _make_parameters(path: Path) -> None:
    """Make a database of parameters: a table that has tables itself."""
    columns = [
        makescacoldesc("NAMEID", 0, valuetype="uint"),
        makescacoldesc("STARTX", 0.0),
        makearrcoldesc("VALUES", 0.0, ndim=-1),
    ]
    _make_table(path, columns, [])
    names = [
        makescacoldesc("NAME", ""),
        makescacoldesc("NPAR", 0),
        makearrcoldesc("SOLVABLE", value=False, ndim=-1),
    ]
    _make_table(path / "NAMES", names, [])
    defaults = [
        makescacoldesc("NAME", ""),
        makescacoldesc("PERTURBATION", 0.0),
        makearrcoldesc("VALUES", 0.0, ndim=-1),
    ]
    gains = [
        {"NAME": f"Gain:{n}:{n}:Ampl", "PERTURBATION": 1e-6, "VALUES": np.ones((1, 1))}
        for n in range(2)
    ]
    _make_table(path / "DEFAULTVALUES", defaults, gains)
    with table(str(path), ack=False, readonly=False) as opened:
        opened.putinfo({"type": "MEP", "subType": "", "readme": "ME Parameter values\n"})
        opened.putkeyword("DefaultFreqStep", 1000.0)
        for name in ("NAMES", "DEFAULTVALUES"):
            opened.putkeyword(name, f"Table: {path / name}")
