"""Measurement Sets that casacore itself makes, a few rows each, for tests to compare and draw."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore.tables import default_ms, makearrcoldesc, maketabdesc, table

if TYPE_CHECKING:
    from pathlib import Path

START_MJD_S = 4.8e9
WIDTH_HZ = 2.0e5


def make_set(
    path: Path,
    *,
    antennas: int = 3,
    times: int = 4,
    channels: int = 5,
    pols: int = 4,
    autocorrelations: bool = False,
    cross: bool = True,
    interval_s: float = 8.0,
    seed: int = 1,
) -> Path:
    """Make a complete set: unflagged noise around 1, weights of full records."""
    description = maketabdesc(
        [
            makearrcoldesc("DATA", 0j, valuetype="complex", ndim=2),
            makearrcoldesc("WEIGHT_SPECTRUM", 0.0, valuetype="float", ndim=2),
        ]
    )
    main = default_ms(str(path), description)
    _fill_subtables(path, antennas, channels, pols, interval_s)
    pairs = [
        (i, j)
        for i, j in itertools.combinations_with_replacement(range(antennas), 2)
        if (i != j and cross) or (i == j and autocorrelations)
    ]
    rng = np.random.default_rng(seed)
    rows = len(pairs) * times
    main.addrows(rows)
    shape = (rows, channels, pols)
    noise = rng.standard_normal((2, *shape)).astype(np.float32) * 0.1
    cross_rows = np.tile([i != j for i, j in pairs], times)
    time_s = np.repeat(START_MJD_S + interval_s * np.arange(times), len(pairs))
    columns: dict[str, Any] = {
        "DATA": (1 + noise[0] + 1j * noise[1]).astype(np.complex64),
        "FLAG": np.zeros(shape, dtype=bool),
        "WEIGHT_SPECTRUM": np.full(shape, WIDTH_HZ * interval_s, dtype=np.float32),
        "WEIGHT": np.full((rows, pols), WIDTH_HZ * interval_s, dtype=np.float32),
        "SIGMA": np.full((rows, pols), (WIDTH_HZ * interval_s) ** -0.5, dtype=np.float32),
        "UVW": rng.uniform(-1000, 1000, (rows, 3)) * cross_rows[:, np.newaxis],
        "TIME": time_s,
        "TIME_CENTROID": time_s,
        "INTERVAL": np.full(rows, interval_s),
        "EXPOSURE": np.full(rows, interval_s),
        "ANTENNA1": np.tile(np.array([i for i, _ in pairs], dtype=np.int32), times),
        "ANTENNA2": np.tile(np.array([j for _, j in pairs], dtype=np.int32), times),
    }
    for name, values in columns.items():
        main.putcol(name, values)
    main.close()
    return path


def _fill_subtables(path: Path, antennas: int, channels: int, pols: int, interval_s: float) -> None:
    with subtable(path, "ANTENNA", antennas) as ants:
        ants.putcol("NAME", [f"ANT{n}" for n in range(antennas)])
        ants.putcol("POSITION", np.arange(3.0 * antennas).reshape(antennas, 3) * 100 + 3.0e6)
    with subtable(path, "SPECTRAL_WINDOW", 1) as window:
        window.putcell("NUM_CHAN", 0, channels)
        window.putcell("CHAN_FREQ", 0, 1.5e8 + WIDTH_HZ * np.arange(channels))
        for name in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            window.putcell(name, 0, np.full(channels, WIDTH_HZ))
        window.putcell("REF_FREQUENCY", 0, 1.5e8)
        window.putcell("NAME", 0, "one")
    with subtable(path, "POLARIZATION", 1) as polarization:
        types = {1: [9], 2: [9, 12], 4: [9, 10, 11, 12]}[pols]
        polarization.putcell("NUM_CORR", 0, pols)
        polarization.putcell("CORR_TYPE", 0, np.array(types, dtype=np.int32))
        products = np.array([[(t - 9) // 2, (t - 9) % 2] for t in types], dtype=np.int32)
        polarization.putcell("CORR_PRODUCT", 0, products)
    with subtable(path, "DATA_DESCRIPTION", 1):
        pass
    with subtable(path, "FIELD", 1) as field:
        field.putcell("NAME", 0, "Virgo A")
        for name in ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR"):
            field.putcell(name, 0, np.array([[3.276, 0.216]]))
    with subtable(path, "OBSERVATION", 1) as observation:
        observation.putcell("TELESCOPE_NAME", 0, "MADE")
        observation.putcell("TIME_RANGE", 0, START_MJD_S + np.array([0, 10 * interval_s]))


def subtable(path: Path, name: str, add_rows: int = 0) -> Any:
    """Open a subtable, or the main table for an empty name, to write to it."""
    opened = table(str(path / name) if name else str(path), ack=False, readonly=False)
    if add_rows:
        opened.addrows(add_rows)
    return opened


def alter(path: Path, name: str, column: str, row: int, change: Any) -> None:
    """Replace one cell by what a function makes of it."""
    with subtable(path, name) as opened:
        opened.putcell(column, row, change(opened.getcell(column, row)))
