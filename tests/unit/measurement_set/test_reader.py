"""The reader, on sets that casacore made: regular, irregular, foreign, broken."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import makearrcoldesc, maketabdesc, table

from receive.command.errors import ConfigError, InputError
from receive.measurement_set.read.reader import open_set
from tests.unit.measurement_set.made_by_casacore import make_set, subtable

if TYPE_CHECKING:
    from pathlib import Path


def columns(path: Path, *names: str) -> list[Any]:
    with table(str(path), ack=False) as opened:
        return [opened.getcol(name) for name in names]


def keep_rows(path: Path, rows: list[int]) -> Path:
    """Make a set of some rows of another, in the order given."""
    kept = path.with_name(f"kept-{path.name}")
    with table(str(path), ack=False) as opened:
        opened.selectrows(rows).copy(str(kept), deep=True).close()
    return kept


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_set(tmp_path / "small.ms")  # 3 baselines x 4 times x 5 channels x 4


def test_real_set_is_read_as_it_is(lofar_ms: Path) -> None:
    data, flag, weights, uvw, time, centroid, ant1, ant2 = columns(
        lofar_ms,
        *("DATA", "FLAG", "WEIGHT_SPECTRUM", "UVW"),
        *("TIME", "TIME_CENTROID", "ANTENNA1", "ANTENNA2"),
    )
    with open_set(lofar_ms) as reader:
        model = reader.model()
        assert (model.num_stations, model.num_baselines, model.num_channels) == (8, 28, 8)
        assert (model.num_pols, model.is_autocorrelated) == (4, False)
        assert np.array_equal(model.antenna1, ant1[:28])
        assert np.array_equal(model.antenna2, ant2[:28])
        assert np.array_equal(model.times_mjd_s, np.unique(time))
        for index in range(6):
            rows = slice(28 * index, 28 * (index + 1))
            got = reader.integration(index, 2, 5)
            assert np.array_equal(got.data, data[rows, 2:7])
            assert np.array_equal(got.flag, flag[rows, 2:7])
            assert got.weight_spectrum is not None
            assert np.array_equal(got.weight_spectrum, weights[rows, 2:7])
            assert np.array_equal(got.uvw, uvw[rows])
            assert np.array_equal(model.uvw(index), uvw[rows])
            assert np.array_equal(got.time_centroid, centroid[rows])
            assert got.present.all()
            assert got.time_mjd_s == time[rows.start]
            assert (got.interval_s, got.exposure_s) == (10.0139008, 10.0139008)


def test_arrays_of_an_earlier_integration_are_used_again(small: Path) -> None:
    with open_set(small) as reader:
        first = reader.integration(0, 0, 5)
        again = reader.integration(2, 0, 5, into=first)
        fresh = reader.integration(2, 0, 5)
    assert again.data is first.data
    assert again.time_mjd_s == fresh.time_mjd_s
    assert np.array_equal(again.data, fresh.data)


def test_missing_and_shuffled_rows_find_their_baselines(small: Path) -> None:
    # The first time is complete; the second comes backwards; of the third one row is missing.
    path = keep_rows(small, [0, 1, 2, 5, 4, 3, 8, 6, 9, 10, 11])
    data, uvw = columns(small, "DATA", "UVW")
    with open_set(path) as reader:
        model = reader.model()
        backwards = reader.integration(1, 1, 3)
        holed = reader.integration(2, 0, 5)
        assert (model.num_baselines, model.num_times) == (3, 4)
        assert np.array_equal(backwards.data, data[3:6, 1:4])
        assert np.array_equal(holed.present, [True, False, True])
        assert np.array_equal(holed.data[[0, 2]], data[[6, 8]])
        assert not holed.data[1].any()
        assert holed.flag[1].all()
        assert np.isnan(holed.uvw[1]).all()
        assert np.isfinite(model.uvw(2)).all()
        assert np.array_equal(model.uvw(2)[[0, 2]], uvw[[6, 8]])
        assert holed.time_centroid[1] == holed.time_mjd_s


def test_repeated_rows_are_baselines_of_their_own(small: Path) -> None:
    path = keep_rows(small, [0, 1, 1, 2])
    with open_set(path) as reader:
        assert reader.model().num_baselines == 4
        got = reader.integration(0, 0, 5)
    assert np.array_equal(got.data[1], got.data[2])


def test_columns_that_the_set_does_not_have(small: Path) -> None:
    with subtable(small, "") as main:
        main.removecols(["WEIGHT_SPECTRUM", "TIME_CENTROID"])
    with open_set(small) as reader:
        got = reader.integration(1, 0, 5)
    assert got.weight_spectrum is None
    assert (got.time_centroid == got.time_mjd_s).all()


def test_weight_spectrum_with_empty_cells_counts_as_none(small: Path) -> None:
    with subtable(small, "") as main:
        main.removecols(["WEIGHT_SPECTRUM"])
        main.addcols(maketabdesc(makearrcoldesc("WEIGHT_SPECTRUM", 0.0, valuetype="float", ndim=2)))
    with open_set(small) as reader:
        assert reader.integration(0, 0, 5).weight_spectrum is None


def test_data_in_double_precision_is_converted(small: Path) -> None:
    (data,) = columns(small, "DATA")
    with subtable(small, "") as main:
        main.removecols(["DATA"])
        main.addcols(maketabdesc(makearrcoldesc("DATA", 0j, valuetype="dcomplex", ndim=2)))
        main.putcol("DATA", data.astype(np.complex128))
    with open_set(small) as reader:
        assert np.array_equal(reader.integration(1, 1, 2).data, data[3:6, 1:3])


def test_rows_flagged_as_a_whole_are_flagged(small: Path) -> None:
    with subtable(small, "") as main:
        main.putcell("FLAG_ROW", 4, True)
    with open_set(small) as reader:
        assert np.array_equal(reader.integration(1, 0, 5).flag.all(axis=(1, 2)), [0, 1, 0])


def test_one_spectral_window_is_taken_and_the_other_named(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The second window has other channels: its rows have DATA of another shape.
    with subtable(small, "SPECTRAL_WINDOW", 1) as window:
        window.putcell("CHAN_FREQ", 1, np.array([2.0e8, 2.1e8]))
        window.putcell("CHAN_WIDTH", 1, np.array([1.0e7, 1.0e7]))
    with subtable(small, "DATA_DESCRIPTION", 1) as description:
        description.putcell("SPECTRAL_WINDOW_ID", 1, 1)
    (data,) = columns(small, "DATA")
    with subtable(small, "", add_rows=1) as main:
        row = main.nrows() - 1
        main.putcell("DATA_DESC_ID", row, 1)
        main.putcell("TIME", row, 4.8e9)
        for name, dtype in (("DATA", np.complex64), ("FLAG", bool)):
            main.putcell(name, row, np.zeros((2, 4), dtype))
    with caplog.at_level(logging.WARNING), open_set(small) as reader:
        assert (reader.model().num_channels, reader.model().num_times) == (5, 4)
        assert np.array_equal(reader.integration(3, 0, 5).data, data[9:12])
    assert "left out: data description 1 of field 0" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize("frame", ["J2000", "ICRS", "GALACTIC"])
def test_phase_centre_comes_in_icrs(small: Path, frame: str) -> None:
    with subtable(small, "FIELD") as field:
        field.putcolkeyword("PHASE_DIR", "MEASINFO", {"type": "direction", "Ref": frame})
    radec_rad = galactic_to_icrs(3.276, 0.216) if frame == "GALACTIC" else (3.276, 0.216)
    with open_set(small) as reader:
        # The matrix leads to FK5, which is off ICRS by 0.02 arcseconds.
        assert reader.model().phase_centre_radec_rad == pytest.approx(radec_rad, abs=2e-7)


def galactic_to_icrs(longitude: float, latitude: float) -> tuple[float, float]:
    """Turn by the matrix of ESA, The Hipparcos Catalogue, vol. 1, equation 1.5.11."""
    matrix = np.array(
        [
            [-0.0548755604, +0.4941094279, -0.8676661490],
            [-0.8734370902, -0.4448296300, -0.1980763734],
            [-0.4838350155, +0.7469822445, +0.4559837762],
        ]
    )
    galactic = [
        np.cos(latitude) * np.cos(longitude),
        np.cos(latitude) * np.sin(longitude),
        np.sin(latitude),
    ]
    x, y, z = matrix @ galactic
    return float(np.arctan2(y, x) % (2 * np.pi)), float(np.arcsin(z))


def test_frame_written_down_for_each_row_as_casa_does(small: Path) -> None:
    with subtable(small, "FIELD") as field:
        field.addcols(
            {"PhaseDir_Ref": {"valueType": "int", "option": 0, "maxlen": 0, "comment": ""}}
        )
        info = {
            "type": "direction",
            "VarRefCol": "PhaseDir_Ref",
            "TabRefTypes": ["J2000", "AZEL"],
            "TabRefCodes": np.array([0, 15], np.int32),
        }
        field.putcolkeyword("PHASE_DIR", "MEASINFO", info)
    open_set(small).close()
    with subtable(small, "FIELD") as field:
        field.putcell("PhaseDir_Ref", 0, 15)
    with pytest.raises(InputError, match="PHASE_DIR of field 0 is in AZEL"):
        open_set(small)


def test_stokes_parameters_are_refused_by_number(small: Path) -> None:
    with subtable(small, "POLARIZATION") as polarization:
        polarization.putcell("CORR_TYPE", 0, np.array([1, 2, 3, 4], np.int32))
    with pytest.raises(InputError, match="CORR_TYPE 1, 2, 3, 4 cannot be sent"):
        open_set(small)


def test_channels_past_the_end(small: Path) -> None:
    with open_set(small) as reader, pytest.raises(ConfigError, match="has 5"):
        reader.integration(0, 3, 3)


def break_nothing_there(path: Path) -> None:
    shutil.rmtree(path)


def break_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no set")


def break_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def break_into_antenna_table(path: Path) -> None:
    shutil.copytree(path / "ANTENNA", path.with_name("a"))
    shutil.rmtree(path)
    path.with_name("a").rename(path)


def break_no_data(path: Path) -> None:
    with subtable(path, "") as main:
        main.removecols(["DATA"])


def break_no_rows(path: Path) -> None:
    kept = keep_rows(path, [])
    shutil.rmtree(path)
    kept.rename(path)


def break_no_antennas(path: Path) -> None:
    shutil.rmtree(path / "ANTENNA")


def break_bad_window_number(path: Path) -> None:
    with subtable(path, "DATA_DESCRIPTION") as description:
        description.putcell("SPECTRAL_WINDOW_ID", 0, 7)


def break_antenna_number(path: Path) -> None:
    with subtable(path, "") as main:
        main.putcell("ANTENNA2", 0, 99)


def break_table_dat(path: Path) -> None:
    os.truncate(path / "table.dat", 2000)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (break_nothing_there, "does not exist"),
        (break_file, "is a file: a Measurement Set is a folder"),
        (break_folder, "is not a Measurement Set: there is no table.dat"),
        (break_into_antenna_table, "is a casacore table but not a Measurement Set"),
        (break_no_data, "has no DATA column"),
        (break_no_rows, "is empty"),
        (break_no_antennas, "subtable ANTENNA is missing"),
        (break_bad_window_number, "row 7 of its subtable SPECTRAL_WINDOW"),
        (break_antenna_number, "antenna number 99"),
        (break_table_dat, "is truncated or damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_read_is_said_in_one_line(small: Path, break_it: Any, message: str) -> None:
    break_it(small)
    with pytest.raises(InputError, match=message) as caught:
        open_set(small)
    assert str(small) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncated_or_missing_file_is_found(lofar_ms: Path, tmp_path: Path) -> None:
    # f5 and those from f7 on hold LOFAR's own and CORRECTED_DATA, which are not read.
    read = [
        *(f"table.f{n}" for n in (0, 1, 2, 3, 4, 6)),
        *(f"table.f{n}_TSM0" for n in (2, 3, 4, 6)),
    ]
    for name in read:
        for damage in ("half", "empty", "missing"):
            path = tmp_path / f"{name}-{damage}.ms"
            shutil.copytree(lofar_ms, path)
            size = (path / name).stat().st_size
            if damage == "missing":
                (path / name).unlink()
            else:
                os.truncate(path / name, size // 2 if damage == "half" else 0)
            with pytest.raises(InputError, match="is truncated or damaged"):
                open_set(path)
            shutil.rmtree(path)


HOLD_LOCK = """
import sys
from casacore.tables import table
held = table(sys.argv[1], ack=False, readonly=False, lockoptions=sys.argv[2])
held.lock(True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("option", ["permanent", "user"])
def test_locked_by_another_process(small: Path, option: str) -> None:
    command = [sys.executable, "-c", HOLD_LOCK, str(small), option]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="is locked by another process"):
            open_set(small)
        holder.communicate()
    open_set(small).close()


def test_reading_does_not_lock_out_a_writer(small: Path) -> None:
    with open_set(small):
        command = [sys.executable, "-c", HOLD_LOCK, str(small), "permanent"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (0, "held\n")


def test_no_permission_to_write_is_needed(small: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*") if path.is_file()}
    for path in [small, *small.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with open_set(small) as reader:
            assert reader.integration(0, 0, 5).present.all()
    finally:
        for path in [small, *small.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert {path: path.stat().st_mtime_ns for path in before} == before
