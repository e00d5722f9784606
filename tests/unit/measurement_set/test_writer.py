"""Sets as they are created, written and closed."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore import tables

from receive.command.errors import InputError, OutputError
from receive.measurement_set.compare.tables import diff_sets
from receive.measurement_set.read.reader import open_set
from receive.measurement_set.write import growing, subtable_copy
from receive.measurement_set.write.recover import recover
from receive.measurement_set.write.writer import SetWriter
from receive.model import Integration
from tests.unit.measurement_set.writing import (
    EXPOSURE_S,
    INTERVAL_S,
    START_MJD_S,
    assert_holds,
    columns,
    make_model,
    make_payload,
    make_template,
    read_elsewhere,
)

if TYPE_CHECKING:
    from receive.model.telescope import TelescopeModel


@pytest.fixture
def model() -> TelescopeModel:
    return make_model()


@pytest.fixture
def template(tmp_path: Path, model: TelescopeModel) -> Path:
    return make_template(tmp_path / "template.ms", model)


def make_integration(**changes: Any) -> Integration:
    """Make an integration of six baselines, five channels and four polarisations."""
    shape = (6, 5, 4)
    values: dict[str, Any] = {
        "data": np.zeros(shape, np.complex64),
        "flag": np.zeros(shape, np.bool_),
        "weight_spectrum": None,
        "time_centroid": np.full(6, START_MJD_S),
        "uvw": np.zeros((6, 3)),
        "present": np.ones(6, np.bool_),
        "time_mjd_s": START_MJD_S,
        "interval_s": INTERVAL_S,
        "exposure_s": EXPOSURE_S,
    }
    return Integration(**(values | changes))


def copy_of(source: Path, target: Path) -> Path:
    with open_set(source) as reader:
        model = reader.model()
        with SetWriter.create(target, source, model, history=["begun"]) as writer:
            for index in range(model.num_times):
                writer.write_integration(reader.integration(index, 0, model.num_channels))
            writer.close(history=["ended", "for good"])
    return target


def test_a_real_set_copied_row_by_row_is_the_same(lofar_ms: Path, tmp_path: Path) -> None:
    path = copy_of(lofar_ms, tmp_path / "out.ms")
    wanted = ["DATA", "FLAG", "WEIGHT_SPECTRUM", "UVW", "TIME", "TIME_CENTROID", "INTERVAL"]
    wanted += ["EXPOSURE", "ANTENNA1", "ANTENNA2", "DATA_DESC_ID", "FIELD_ID", "FEED1", "ARRAY_ID"]
    for name, ours, theirs in zip(
        wanted, columns(path, *wanted), columns(lofar_ms, *wanted), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    report = diff_sets(lofar_ms, path)
    differing = {(found.table, found.column) for found in report.differences}
    assert {column for table, column in differing if table == "MAIN"} <= {
        "WEIGHT",
        "SIGMA",
        "FLAG_ROW",
        "SCAN_NUMBER",
        "PROCESSOR_ID",
        "STATE_ID",
        "CORRECTED_DATA",
        "LOFAR_FULL_RES_FLAG",
        None,
    }
    assert {table for table, _ in differing} == {"MAIN", "HISTORY"}
    with tables.table(f"{path}/HISTORY", ack=False) as history:
        assert history.getcol("MESSAGE")[-3:] == ["begun", "ended", "for good"]


def test_keywords_are_as_the_standard_wants(tmp_path: Path, lofar_ms: Path) -> None:
    path = copy_of(lofar_ms, tmp_path / "out.ms")
    with tables.table(str(path), ack=False) as ours, tables.table(str(lofar_ms), ack=False) as old:
        assert ours.getkeyword("MS_VERSION") == 2.0
        assert ours.info()["type"] == "Measurement Set"
        assert set(ours.keywordnames()) == set(old.keywordnames())
        assert ours.getcolkeyword("FLAG_CATEGORY", "CATEGORY") == []
        for name in ("UVW", "TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE"):
            assert ours.getcolkeywords(name) == old.getcolkeywords(name)


def test_a_new_process_reads_it(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    payloads = [make_payload(model, index) for index in range(3)]
    path = tmp_path / "out.ms"
    with SetWriter.create(path, template, model, scan_number=17) as writer:
        assert read_elsewhere(path)["rows"] == 0
        for count, payload in enumerate(payloads, start=1):
            writer.write(payload)
            assert writer.dumps_closed == count
            assert read_elsewhere(path)["rows"] == count * model.num_baselines
    assert_holds(path, model, payloads)
    assert not (path / growing.WORK).exists()
    names = [entry.name for entry in tmp_path.iterdir()]
    assert sorted(names) == ["out.ms", "template.ms"]
    (scans,) = columns(path, "SCAN_NUMBER")
    assert (scans == 17).all()
    assert not recover(path).needed


def test_casacore_can_change_and_extend_it(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    payloads = [make_payload(model, index) for index in range(3)]
    path = tmp_path / "out.ms"
    with SetWriter.create(path, template, model) as writer:
        for payload in payloads:
            writer.write(payload)
    with tables.table(str(path), readonly=False, ack=False) as table:
        table.addcols(tables.makecoldesc("CORRECTED_DATA", table.getcoldesc("DATA")))
        table.putcol("CORRECTED_DATA", table.getcol("DATA"))
        table.addrows(1000)
        table.putcell("SCAN_NUMBER", 500, 5)
    assert_holds(path, model, payloads)
    (time, scans) = columns(path, "TIME", "SCAN_NUMBER")
    assert len(time) == 1018
    assert (scans[:500] == 1).all()


def test_an_empty_set(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    SetWriter.create(tmp_path / "out.ms", template, model).close(history=["nothing came"])
    with tables.table(str(tmp_path / "out.ms"), ack=False) as table:
        assert table.nrows() == 0


def test_arrays_are_written_as_they_are(tmp_path: Path) -> None:
    model = make_model(antennas=3, channels=3, pols=2, auto=True)
    template = make_template(tmp_path / "template.ms", model)
    rng = np.random.default_rng(1)
    shape = (6, 3, 2)
    dumps = [
        make_integration(
            data=(rng.normal(size=shape) + 1j).astype(np.complex64),
            flag=rng.random(shape) < 0.4,
            weight_spectrum=rng.random(shape).astype(np.float32),
            time_centroid=START_MJD_S + rng.random(6),
            uvw=rng.normal(size=(6, 3)),
            time_mjd_s=START_MJD_S + index,
        )
        for index in range(5)
    ]
    dumps[2].flag[:] = True
    path = tmp_path / "out.ms"
    with SetWriter.create(path, template, model, expected_dumps=2) as writer:
        for dump in dumps:
            writer.write_integration(dump)
    for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM", "TIME_CENTROID", "UVW"):
        given = [getattr(dump, name.lower()) for dump in dumps]
        np.testing.assert_array_equal(columns(path, name)[0], np.concatenate(given))
    time, interval, exposure, flag_row, weight, sigma = columns(
        path, "TIME", "INTERVAL", "EXPOSURE", "FLAG_ROW", "WEIGHT", "SIGMA"
    )
    np.testing.assert_array_equal(time, np.repeat(START_MJD_S + np.arange(5), 6))
    assert (interval == INTERVAL_S).all()
    assert (exposure == EXPOSURE_S).all()
    flags = np.concatenate([dump.flag for dump in dumps])
    weights = np.concatenate([dump.weights(model.channel_width_hz) for dump in dumps])
    np.testing.assert_array_equal(flag_row, flags.all(axis=(1, 2)))
    expected = np.ma.array(weights, mask=flags).mean(axis=1).filled(0)
    np.testing.assert_allclose(weight, expected, rtol=1e-6)
    np.testing.assert_allclose(sigma[expected > 0], expected[expected > 0] ** -0.5, rtol=1e-6)


def test_full_weights_where_none_are_given(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    flag = np.random.default_rng(2).random((6, 5, 4)) < 0.4
    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        writer.write_integration(make_integration(flag=flag))
    (weights,) = columns(tmp_path / "out.ms", "WEIGHT_SPECTRUM")
    np.testing.assert_array_equal(weights, np.where(flag, 0, np.float32(1e5 * EXPOSURE_S)))


def test_arrays_of_another_shape_are_a_defect(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        for name in ("data", "flag", "weight_spectrum"):
            wrong = make_integration(**{name: np.zeros((1, 5, 4))})
            with pytest.raises(ValueError, match=rf"{name} has shape \(1, 5, 4\), \(6, 5, 4\)"):
                writer.write_integration(wrong)
        with pytest.raises(ValueError, match="payload of 2 channels and 6 baselines, 5 and 6"):
            writer.write(make_payload(model.select_channels(0, 2), 0))
    with pytest.raises(ValueError, match="is closed"):
        writer.write(make_payload(model, 0))


def test_without_weight_spectrum(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    path = tmp_path / "out.ms"
    payload = make_payload(model, 0)
    with SetWriter.create(path, template, model, weight_spectrum=False) as writer:
        writer.write(payload)
    data, weight = columns(path, "DATA", "WEIGHT")
    np.testing.assert_array_equal(data, payload.visibilities.transpose(1, 0, 2))
    assert weight.any()
    with tables.table(str(path), ack=False) as table:
        assert "WEIGHT_SPECTRUM" not in table.colnames()


def test_scan_numbers_beyond_the_column(
    tmp_path: Path, template: Path, model: TelescopeModel, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.ms"
    with (
        caplog.at_level(logging.WARNING),
        SetWriter.create(path, template, model, scan_number=2**40 + 9) as writer,
    ):
        writer.write(make_payload(model, 0))
    assert (columns(path, "SCAN_NUMBER")[0] == 9).all()
    assert f"scan {2**40 + 9} does not fit SCAN_NUMBER" in caplog.text


def test_channels_are_cut_in_the_subtables(lofar_ms: Path, tmp_path: Path) -> None:
    """LOFAR's columns have fixed shapes, which casacore does not let one cut."""
    with open_set(lofar_ms) as reader:
        model = reader.model().select_channels(2, 3)
    path = tmp_path / "out.ms"
    SetWriter.create(path, lofar_ms, model, channels=(2, 3)).close()
    with (
        tables.table(f"{path}/SPECTRAL_WINDOW", ack=False) as ours,
        tables.table(f"{lofar_ms}/SPECTRAL_WINDOW", ack=False) as old,
    ):
        for name in ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            np.testing.assert_array_equal(ours.getcell(name, 0), old.getcell(name, 0)[2:5])
            assert repr(ours.getcolkeywords(name)) == repr(old.getcolkeywords(name))
        width_hz = old.getcell("CHAN_WIDTH", 0)[0]
        assert ours.getcell("NUM_CHAN", 0) == 3
        assert ours.getcell("TOTAL_BANDWIDTH", 0) == pytest.approx(3 * width_hz)
        reference_hz = ours.getcell("REF_FREQUENCY", 0)
        assert np.abs(ours.getcell("CHAN_FREQ", 0) - reference_hz).min() <= width_hz / 2
        assert ours.getcell("NAME", 0) == old.getcell("NAME", 0)
    with open_set(lofar_ms) as old_set:
        assert old_set.model().num_channels == 8


def test_system_temperatures_are_cut(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    with (
        tables.table(str(template), readonly=False, ack=False) as main,
        tables.default_ms_subtable("SYSCAL", f"{template}/SYSCAL") as calibration,
    ):
        calibration.addcols(tables.makearrcoldesc("TSYS_SPECTRUM", 0.0, ndim=2))
        calibration.addrows(2)
        calibration.putcol("SPECTRAL_WINDOW_ID", np.array([0, 1]))
        for row in range(2):
            calibration.putcell("TSYS_SPECTRUM", row, np.arange(10.0).reshape(5, 2))
        main.putkeyword("SYSCAL", f"Table: {template}/SYSCAL")
    cut = model.select_channels(1, 2)
    SetWriter.create(tmp_path / "out.ms", template, cut, channels=(1, 2)).close()
    with tables.table(f"{tmp_path}/out.ms/SYSCAL", ack=False) as calibration:
        np.testing.assert_array_equal(
            calibration.getcell("TSYS_SPECTRUM", 0), [[2.0, 3.0], [4.0, 5.0]]
        )
        assert calibration.getcell("TSYS_SPECTRUM", 1).shape == (5, 2)


@pytest.mark.parametrize("channels", [(3, 3), (-1, 3), (5, 3)])
def test_channels_that_the_template_does_not_have(
    tmp_path: Path, template: Path, model: TelescopeModel, channels: tuple[int, int]
) -> None:
    with pytest.raises(InputError, match=r"spectral window 0 of the model has 5 \(0 to 4\)"):
        SetWriter.create(
            tmp_path / "out.ms", template, model.select_channels(0, 3), channels=channels
        )
    with pytest.raises(InputError, match="are 2, but 3 are to be written"):
        SetWriter.create(
            tmp_path / "out.ms", template, model.select_channels(0, 3), channels=(0, 2)
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["template.ms"]


def test_missing_subtables_are_made_and_needed_ones_asked_for(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    with tables.table(str(template), readonly=False, ack=False) as main:
        for name in subtable_copy.MADE_IF_MISSING:
            main.removekeyword(name)
    for name in subtable_copy.MADE_IF_MISSING:
        shutil.rmtree(template / name)
    path = tmp_path / "out.ms"
    with SetWriter.create(path, template, model, history=["begun"]) as writer:
        writer.write(make_payload(model, 0))
    with tables.table(str(path), ack=False) as main:
        assert set(subtable_copy.MADE_IF_MISSING) <= set(main.keywordnames())
        assert main.getcell("STATE_ID", 0) == main.getcell("PROCESSOR_ID", 0) == -1
    with tables.table(str(template), readonly=False, ack=False) as main:
        main.removekeyword("POLARIZATION")
    with pytest.raises(InputError, match="it has no subtable POLARIZATION"):
        SetWriter.create(tmp_path / "other.ms", template, model)


def test_a_template_that_selects_rows_of_another_set(
    tmp_path: Path, lofar_ms: Path, model: TelescopeModel
) -> None:
    with open_set(lofar_ms) as reader:
        model = reader.model()
    with tables.table(str(lofar_ms), ack=False) as whole:
        whole.selectrows([0, 1]).copy(str(tmp_path / "part.ms")).close()
    SetWriter.create(tmp_path / "out.ms", tmp_path / "part.ms", model).close()
    with tables.table(f"{tmp_path}/out.ms/ANTENNA", ack=False) as antennas:
        assert antennas.nrows() == 8


@pytest.mark.parametrize("damage", ["missing", "foreign", "subtable"])
def test_templates_that_cannot_serve(
    tmp_path: Path, template: Path, model: TelescopeModel, damage: str
) -> None:
    if damage == "missing":
        shutil.rmtree(template)
    elif damage == "foreign":
        (template / "table.dat").write_bytes(b"not a table")
    else:
        (template / "FIELD" / "table.dat").write_bytes(b"not a table")
    with pytest.raises(InputError, match=str(template)) as caught:
        SetWriter.create(tmp_path / "out.ms", template, model)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.ms").exists()


def test_a_read_only_template(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    for folder, _, files in os.walk(template):
        for name in files:
            Path(folder, name).chmod(0o444)
    path = tmp_path / "out.ms"
    with SetWriter.create(path, template, model, history=["one"]) as writer:
        writer.close(history=["two"])
    assert all(os.access(entry, os.W_OK) for entry in (path / "ANTENNA").iterdir())
    mode = (path / "ANTENNA" / "table.dat").stat().st_mode
    assert mode & 0o200


def test_too_many_rows_for_one_set(tmp_path: Path, template: Path, model: TelescopeModel) -> None:
    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        writer.dumps_closed = 2**31 // model.num_baselines
        with pytest.raises(OutputError, match=r"limit it by consumer\.max_dumps_per_ms"):
            writer.write(make_payload(model, 0))
        writer.dumps_closed = 0


def test_history_may_fail_but_not_the_set(
    tmp_path: Path, template: Path, model: TelescopeModel, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.ms"
    writer = SetWriter.create(path, template, model)
    writer.write(make_payload(model, 0))
    (path / "HISTORY" / "table.dat").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        writer.close(history=["lost"])
    assert "lacks its last lines" in caplog.text
    assert_holds(path, model, [make_payload(model, 0)])
    assert not (path / growing.WORK).exists()
