"""What people's sets look like: functions that bend a good set, in ways that change no data.

Each takes the path of a set that `make_set` made, of 3 baselines, 4 integrations and 5 channels.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore.measures import measures
from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table

from tests.unit.measurement_set.made_by_casacore import subtable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_S = 86400.0


def in_scale(scale: str) -> Callable[[Path], None]:
    """Return what counts all times in another scale: casacore's own conversion."""

    def bend(path: Path) -> None:
        converter = measures()
        with subtable(path, "") as main:
            for column in ("TIME", "TIME_CENTROID"):
                times = []
                for time_s in main.getcol(column):
                    utc = converter.epoch("UTC", f"{float(time_s)!r}s")
                    times.append(converter.measure(utc, scale)["m0"]["value"] * DAY_S)
                main.putcol(column, np.array(times))
                main.putcolkeyword(column, "MEASINFO", {"type": "epoch", "Ref": scale})

    return bend


def tai_by_row(path: Path) -> None:
    """Count times in TAI, as a column of codes says for each row."""
    in_scale("TAI")(path)
    with subtable(path, "") as main:
        main.addcols(maketabdesc(makescacoldesc("TimeRef", 0)))
        main.putcol("TimeRef", np.full(main.nrows(), 7, np.int32))
        for column in ("TIME", "TIME_CENTROID"):
            info = {
                "type": "epoch",
                "VarRefCol": "TimeRef",
                "TabRefTypes": ["UTC", "TAI"],
                "TabRefCodes": np.array([6, 7], np.int32),
            }
            main.putcolkeyword(column, "MEASINFO", info)


def other_units(path: Path) -> None:
    """Write everything that has a unit in another one."""
    bent = {
        "": {
            "TIME": ("d", DAY_S),
            "TIME_CENTROID": ("min", 60.0),
            "INTERVAL": ("ms", 1e-3),
            "EXPOSURE": ("us", 1e-6),
            "UVW": ("km", 1e3),
        },
        "ANTENNA": {"POSITION": ("km", 1e3)},
        "FIELD": {"PHASE_DIR": ("deg", np.pi / 180)},
        "SPECTRAL_WINDOW": {"CHAN_FREQ": ("MHz", 1e6), "CHAN_WIDTH": ("GHz", 1e9)},
    }
    for name, columns in bent.items():
        with subtable(path, name) as opened:
            for column, (unit, factor) in columns.items():
                opened.putcol(column, opened.getcol(column) / factor)
                count = len(opened.getcolkeyword(column, "QuantumUnits"))
                opened.putcolkeyword(column, "QuantumUnits", [unit] * count)


def units_by_row(path: Path) -> None:
    """Write frequencies in MHz, as a column of units says for each row."""
    with subtable(path, "SPECTRAL_WINDOW") as windows:
        windows.addcols(maketabdesc(makescacoldesc("FreqUnit", "")))
        windows.putcell("FreqUnit", 0, "MHz")
        for column in ("CHAN_FREQ", "CHAN_WIDTH"):
            windows.putcell(column, 0, windows.getcell(column, 0) / 1e6)
            windows.removecolkeyword(column, "QuantumUnits")
            windows.putcolkeyword(column, "VariableUnits", "FreqUnit")


def rounded(path: Path) -> None:
    """Let the times of an integration differ by microseconds."""
    with subtable(path, "") as main:
        times = main.getcol("TIME")
        main.putcol("TIME", times + np.resize([0.0, 2e-5, -1e-5, 0.0, 1e-5, 3e-5], len(times)))


def rounded_each_otherwise(path: Path) -> None:
    """Let no two rows of an integration have the same time, and the rows come mixed."""
    with subtable(path, "") as main:
        times = main.getcol("TIME")
        main.putcol("TIME", times + np.random.default_rng(3).permutation(len(times)) * 1e-5)


def selection(path: Path) -> None:
    """Make the set a selection of another one, which lies elsewhere."""
    whole = path.with_name("whole.ms")
    path.rename(whole)
    with table(str(whole), ack=False) as opened:
        opened.query("ANTENNA1 >= 0").copy(str(path), deep=False).close()


def subtable_elsewhere(path: Path) -> None:
    """Keep the antennas elsewhere, and something else under their usual name."""
    elsewhere = path.with_name("antennas-of-2020")
    (path / "ANTENNA").rename(elsewhere)
    with table(str(elsewhere), ack=False) as opened:
        opened.copy(str(path / "ANTENNA"), deep=True, valuecopy=True).close()
    with subtable(path, "ANTENNA") as stale:
        stale.putcol("POSITION", np.zeros((3, 3)))
    with subtable(path, "") as main:
        main.putkeyword("ANTENNA", f"Table: {elsewhere}")


def latin_1(path: Path) -> None:
    """Write names in Latin-1."""
    for name in ("ANTENNA", "FIELD", "SPECTRAL_WINDOW"):
        with subtable(path, name) as opened:
            opened.putcell("NAME", 0, "ANTxyz")
        for file in (path / name).iterdir():
            content = file.read_bytes()
            file.write_bytes(content.replace(b"ANTxyz", b"AN\xe9\xfc1\xb5"))


def radiometer_first(path: Path) -> None:
    """Put rows of a radiometer, one of Stokes I with 2 channels, before the correlator's."""
    _second_description(path)
    with subtable(path, "POLARIZATION") as polarizations:
        polarizations.putcell("NUM_CORR", 0, 1)
        polarizations.putcell("CORR_TYPE", 0, np.array([1], np.int32))
        polarizations.putcell("CORR_PRODUCT", 0, np.zeros((1, 2), np.int32))
    with subtable(path, "SPECTRAL_WINDOW") as windows:
        windows.putcell("NUM_CHAN", 0, 2)
        for column in ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            windows.putcell(column, 0, np.array([1.83e11, 1.84e11]))
    _add_rows(path, 0, (2, 1))


def average_first(path: Path) -> None:
    """Put rows of one averaged channel before the others; they could be sent as well."""
    _second_description(path)
    with subtable(path, "SPECTRAL_WINDOW") as windows:
        windows.putcell("NUM_CHAN", 0, 1)
        windows.putcell("NAME", 0, "average")
        windows.putcell("NAME", 1, "all channels")
        for column in ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            windows.putcell(column, 0, np.array([1.0e6]))
    _add_rows(path, 0, (1, 4))


def calibrator_first(path: Path) -> None:
    """Put rows of another field before the others."""
    with subtable(path, "FIELD", add_rows=1) as fields:
        for column in fields.colnames():
            fields.putcell(column, 1, fields.getcell(column, 0))
        fields.putcell("NAME", 0, "3C 286")
    _add_rows(path, 0, (5, 4))
    with subtable(path, "") as main:
        main.putcol("DATA_DESC_ID", np.zeros(main.nrows(), np.int32))
        main.putcol("FIELD_ID", np.repeat([1, 0], [12, 12]).astype(np.int32))


def _second_description(path: Path) -> None:
    for name in ("POLARIZATION", "SPECTRAL_WINDOW", "DATA_DESCRIPTION"):
        with subtable(path, name, add_rows=1) as opened:
            for column in opened.colnames():
                if opened.iscelldefined(column, 0):
                    opened.putcell(column, 1, opened.getcell(column, 0))
    with subtable(path, "DATA_DESCRIPTION") as descriptions:
        descriptions.putcell("SPECTRAL_WINDOW_ID", 1, 1)
        descriptions.putcell("POLARIZATION_ID", 1, 1)


def _add_rows(path: Path, description: int, shape: tuple[int, int]) -> None:
    """Add rows of a data description that start earlier; those there are of the other one."""
    with subtable(path, "") as main:
        rows = main.nrows()
        main.putcol("DATA_DESC_ID", np.full(rows, 1 - description, np.int32))
        main.addrows(rows)
        for column in ("TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "ANTENNA1", "ANTENNA2"):
            main.putcol(column, main.getcol(column, 0, rows), rows, rows)
        main.putcol("UVW", main.getcol("UVW", 0, rows), rows, rows)
        for row in range(rows, 2 * rows):
            main.putcell("DATA_DESC_ID", row, description)
            main.putcell("TIME", row, main.getcell("TIME", row) - 1000)
            main.putcell("DATA", row, np.full(shape, 7, np.complex64))
            main.putcell("FLAG", row, np.zeros(shape, np.bool_))
            main.putcell("WEIGHT_SPECTRUM", row, np.ones(shape, np.float32))


def only_corrected(path: Path) -> None:
    """Have no DATA but CORRECTED_DATA."""
    with subtable(path, "") as main:
        main.renamecol("DATA", "CORRECTED_DATA")


def without_cells(column: str, rows: list[int]) -> Callable[[Path], None]:
    """Return what leaves the cells of some rows empty."""

    def bend(path: Path) -> None:
        kinds: dict[str, tuple[Any, str]] = {
            "DATA": (0j, "complex"),
            "FLAG": (False, "boolean"),
            "WEIGHT_SPECTRUM": (0.0, "float"),
        }
        value, kind = kinds[column]
        with subtable(path, "") as main:
            cells = [main.getcell(column, row) for row in range(main.nrows())]
            main.removecols([column])
            main.addcols(maketabdesc(makearrcoldesc(column, value, valuetype=kind, ndim=2)))
            for row, cell in enumerate(cells):
                if row not in rows:
                    main.putcell(column, row, cell)

    return bend


def other_shape(column: str, row: int) -> Callable[[Path], None]:
    """Return what gives a cell fewer channels than the others have."""

    def bend(path: Path) -> None:
        with subtable(path, "") as main:
            main.putcell(column, row, main.getcell(column, row)[:3])

    return bend


def filled(column: str, value: float) -> Callable[[Path], None]:
    """Return what fills a column with one number."""

    def bend(path: Path) -> None:
        with subtable(path, "") as main:
            main.putcol(column, np.full_like(main.getcol(column), value))

    return bend


def without_visibilities(path: Path) -> None:
    """Have what a model needs, and nothing else."""
    with subtable(path, "") as main:
        main.removecols(["DATA", "FLAG", "WEIGHT_SPECTRUM", "TIME_CENTROID", "FLAG_ROW"])


def copied(path: Path, name: str) -> Path:
    """Return a copy of a set beside it."""
    return shutil.copytree(path, path.with_name(name))
