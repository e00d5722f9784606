"""A new set without rows: what its subtables say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore import tables

from receive.measurement_set.write.bare_set import SetDescription, create_empty_set
from receive.model import Antennas
from tests.unit.measurement_set.writing import make_model

if TYPE_CHECKING:
    from pathlib import Path

POSITIONS = np.array([[5109271.498, 2006808.893, -3239130.736], [5109280.0, 2006800.0, -3239130.0]])
FREQ_HZ = 1e9 + np.arange(3) * 2e6
START, END = 5.2e9, 5.2e9 + 60
SUBTABLES = [
    "ANTENNA",
    "DATA_DESCRIPTION",
    "FEED",
    "FIELD",
    "FLAG_CMD",
    "HISTORY",
    "OBSERVATION",
    "POINTING",
    "POLARIZATION",
    "PROCESSOR",
    "SOURCE",
    "SPECTRAL_WINDOW",
    "STATE",
]


def describe(corr_types: tuple[int, ...] = (9, 10, 11, 12)) -> SetDescription:
    model = replace(
        make_model(antennas=2, channels=3),
        antennas=Antennas(("m000", "m001"), POSITIONS),
        channel_freq_hz=FREQ_HZ,
        channel_width_hz=np.full(3, 2e6),
        corr_types=corr_types,
    )
    return SetDescription(
        model=model,
        telescope="MeerKAT",
        observer="someone",
        project="a project",
        field_name="Field",
        stations=("p0", "p1"),
        mounts=("ALT-AZ", "ALT-AZ"),
        diameters_m=np.array([13.5, 15.0]),
        start_mjd_s=START,
        end_mjd_s=END,
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "new.ms"
    create_empty_set(path, describe())
    return path


def column(path: Path, table: str, name: str) -> Any:
    with tables.table(str(path / table), ack=False) as opened:
        return opened.getcol(name)


def test_no_rows_and_all_subtables(made: Path) -> None:
    with tables.table(str(made), ack=False) as main:
        assert main.nrows() == 0
        keywords = main.getkeywords()
        assert keywords["MS_VERSION"] == 2.0
        assert {"DATA", "UVW", "FLAG", "WEIGHT_SPECTRUM", "TIME_CENTROID"} <= set(main.colnames())
    for name in SUBTABLES:
        assert keywords[name].endswith(f"/{name}")
        with tables.table(str(made / name), ack=False) as table:
            assert table.nrows() > 0 or name in ("FLAG_CMD", "HISTORY")


def test_antennas_feeds_and_pointings(made: Path) -> None:
    assert column(made, "ANTENNA", "NAME") == ["m000", "m001"]
    assert column(made, "ANTENNA", "STATION") == ["p0", "p1"]
    np.testing.assert_array_equal(column(made, "ANTENNA", "POSITION"), POSITIONS)
    np.testing.assert_array_equal(column(made, "ANTENNA", "DISH_DIAMETER"), [13.5, 15])
    np.testing.assert_array_equal(column(made, "FEED", "ANTENNA_ID"), [0, 1])
    np.testing.assert_array_equal(column(made, "POINTING", "ANTENNA_ID"), [0, 1])
    np.testing.assert_array_equal(column(made, "POINTING", "DIRECTION")[:, 0], [[1.25, -0.5]] * 2)
    time, interval = column(made, "POINTING", "TIME"), column(made, "POINTING", "INTERVAL")
    np.testing.assert_array_equal(time - interval / 2, START)
    np.testing.assert_array_equal(time + interval / 2, END)


def test_spectral_window(made: Path) -> None:
    np.testing.assert_array_equal(column(made, "SPECTRAL_WINDOW", "CHAN_FREQ")[0], FREQ_HZ)
    assert column(made, "SPECTRAL_WINDOW", "NUM_CHAN")[0] == 3
    assert column(made, "SPECTRAL_WINDOW", "REF_FREQUENCY")[0] == FREQ_HZ[0]
    assert column(made, "SPECTRAL_WINDOW", "TOTAL_BANDWIDTH")[0] == 6e6


def test_field_and_source_are_the_phase_centre(made: Path) -> None:
    for name in ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR"):
        np.testing.assert_array_equal(column(made, "FIELD", name)[0], [[1.25, -0.5]])
    np.testing.assert_array_equal(column(made, "SOURCE", "DIRECTION")[0], [1.25, -0.5])
    with tables.table(str(made / "FIELD"), ack=False) as field:
        assert field.getcolkeywords("PHASE_DIR")["MEASINFO"]["Ref"] == "J2000"


def test_observation(made: Path) -> None:
    assert column(made, "OBSERVATION", "TELESCOPE_NAME") == ["MeerKAT"]
    np.testing.assert_array_equal(column(made, "OBSERVATION", "TIME_RANGE")[0], [START, END])


@pytest.mark.parametrize(
    ("corr_types", "letters", "products"),
    [
        ((9, 10, 11, 12), ["X", "Y"], [[0, 0], [0, 1], [1, 0], [1, 1]]),
        ((9, 12), ["X", "Y"], [[0, 0], [1, 1]]),
        ((9,), ["X", "Y"], [[0, 0]]),
        ((5, 6, 7, 8), ["R", "L"], [[0, 0], [0, 1], [1, 0], [1, 1]]),
    ],
)
def test_polarisations(
    tmp_path: Path, corr_types: tuple[int, ...], letters: list[str], products: list[list[int]]
) -> None:
    path = tmp_path / "pols.ms"
    create_empty_set(path, describe(corr_types))
    assert tuple(column(path, "POLARIZATION", "CORR_TYPE")[0]) == corr_types
    assert column(path, "POLARIZATION", "NUM_CORR")[0] == len(corr_types)
    np.testing.assert_array_equal(column(path, "POLARIZATION", "CORR_PRODUCT")[0], products)
    with tables.table(str(path / "FEED"), ack=False) as feed:
        assert list(np.ravel(feed.getcell("POLARIZATION_TYPE", 0))) == letters
