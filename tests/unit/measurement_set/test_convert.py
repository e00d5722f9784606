"""Payloads in the tiles of a set, against whole-array functions and casacore's reading."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from receive.command.errors import OutputError
from receive.icd.payload import Payload, PayloadPart
from receive.measurement_set.tiled import tiles
from receive.measurement_set.tiled.kernels import compile_kernels
from receive.measurement_set.write.growing import GrowingFiles
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.writing import (
    EXPOSURE_S,
    assert_holds,
    columns,
    make_model,
    make_payload,
    make_template,
)

if TYPE_CHECKING:
    from pathlib import Path

    from receive.model.telescope import TelescopeModel


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    compile_kernels()


def write(folder: Path, model: TelescopeModel, payloads: list[Payload], **options: Any) -> Path:
    template = make_template(folder / "template.ms", model)
    with SetWriter.create(folder / "out.ms", template, model, **options) as writer:
        for payload in payloads:
            writer.write(payload)
    return folder / "out.ms"


# Flags of three baselines and one polarisation end in the middle of a byte.
SHAPES: list[dict[str, Any]] = [
    {"antennas": 3, "channels": 1, "pols": 1},
    {"antennas": 3, "channels": 5, "pols": 1},
    {"antennas": 3, "channels": 3, "pols": 2},
    {"antennas": 4, "channels": 7, "pols": 4, "auto": True},
    {"antennas": 6, "channels": 130, "pols": 4},
]


@pytest.mark.parametrize("telescope", ["low", "mid"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parts", [1, 3])
def test_records_come_out_as_rows(
    tmp_path: Path, shape: dict[str, Any], parts: int, telescope: str
) -> None:
    model = make_model(**shape)
    rng = np.random.default_rng(3)
    payloads = [
        make_payload(
            model,
            index,
            parts=min(parts, shape["channels"]),
            telescope=telescope,
            absent=rng.integers(0, parts, 1) if index % 2 else (),
        )
        for index in range(11)
    ]
    path = write(tmp_path, model, payloads, expected_dumps=4, fd_zero="flag")
    assert_holds(path, model, payloads)


@pytest.mark.parametrize(
    ("antennas", "channels", "pols"),
    # A strip for each of several tiles; and 61 baselines, which no smaller tile divides.
    [(16, 70, 4), (16, 7, 2), (23, 33, 1)],
)
@pytest.mark.parametrize("tile_bytes", [1 << 12, 1 << 15])
def test_dumps_larger_than_a_tile(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    antennas: int,
    channels: int,
    pols: int,
    tile_bytes: int,
) -> None:
    monkeypatch.setattr(tiles, "LARGE_TILE_BYTES", 1024)
    monkeypatch.setattr(tiles, "LARGEST_TILE_BYTES", tile_bytes)
    model = make_model(antennas, channels, pols)
    payloads = [make_payload(model, index, parts=3, absent=[index % 3]) for index in range(4)]
    assert_holds(write(tmp_path, model, payloads), model, payloads)


def test_a_number_of_baselines_without_divisors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LARGE_TILE_BYTES", 1024)
    monkeypatch.setattr(tiles, "LARGEST_TILE_BYTES", 1 << 14)
    whole = make_model(12, 40, 4)
    model = type(whole)(
        **{
            **{name: getattr(whole, name) for name in whole.__dataclass_fields__},
            "antenna1": whole.antenna1[:61],
            "antenna2": whole.antenna2[:61],
        }
    )
    payloads = [make_payload(model, index, parts=2) for index in range(3)]
    assert_holds(write(tmp_path, model, payloads), model, payloads)


def test_nothing_came_at_all(tmp_path: Path) -> None:
    model = make_model()
    payloads = [make_payload(model, 0), make_payload(model, 1, absent=[0]), make_payload(model, 2)]
    path = write(tmp_path, model, payloads)
    assert_holds(path, model, payloads)
    flag_row, data = columns(path, "FLAG_ROW", "DATA")
    assert flag_row[6:12].all()
    assert not data[6:12].any()


def test_a_time_that_the_model_does_not_hold(tmp_path: Path) -> None:
    model = make_model(dumps=2)
    payload = make_payload(model, 7)
    assert payload.model_index is None
    assert_holds(write(tmp_path, model, [payload]), model, [payload])


def test_slots_of_two_polarisations(tmp_path: Path) -> None:
    model = make_model(pols=2)
    payload = make_payload(model, 0)
    (data,) = columns(write(tmp_path, model, [payload]), "DATA")
    np.testing.assert_array_equal(data[:, :, 1], payload.visibilities[:, :, 3].T)


def unfilled(model: TelescopeModel, index: int, channels: slice = slice(None)) -> Payload:
    """Return a payload of one part for each channel, some of them with all of FD at 0."""
    payload = make_payload(model, index, parts=model.num_channels)
    for part in payload.parts[channels]:
        part.records["FD"] = 0
    return payload


def test_senders_that_never_fill_fd_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make_model()
    payloads = [unfilled(model, index) for index in range(3)]
    empty = unfilled(model, 3)
    for part in empty.parts:
        part.records["VIS"] = -0.0
    with caplog.at_level(logging.WARNING):
        path = write(tmp_path, model, [*payloads, empty])
    flag, weights, flag_row = columns(path, "FLAG", "WEIGHT_SPECTRUM", "FLAG_ROW")
    assert not flag[:18].any()
    np.testing.assert_array_equal(weights[:18], np.float32(1e5 * EXPOSURE_S))
    assert flag_row[18:].all()
    assert not flag_row[:18].any()
    assert [record.message for record in caplog.records if "FD at 0" in record.message] == [
        caplog.messages[0]
    ]


@pytest.mark.parametrize(
    ("fd_zero", "flagged"), [("auto", True), ("flag", True), ("ignore", False)]
)
def test_heaps_of_flags_only_from_a_sender_that_fills_fd_in(
    tmp_path: Path, fd_zero: str, flagged: bool
) -> None:
    model = make_model()
    payloads = [unfilled(model, index, slice(1, 3)) for index in range(2)]
    (flag,) = columns(write(tmp_path, model, payloads, fd_zero=fd_zero), "FLAG")
    assert flag[:, 1:3].all() == flagged
    assert flag[:, 1:3].any() == flagged


def test_all_unfilled_is_flagged_where_that_is_asked_for(tmp_path: Path) -> None:
    model = make_model()
    path = write(tmp_path, model, [unfilled(model, 0)], fd_zero="flag")
    flag, data, weights = columns(path, "FLAG", "DATA", "WEIGHT_SPECTRUM")
    assert flag.all()
    assert data.all()
    assert not weights.any()


def test_records_that_do_not_lie_side_by_side(tmp_path: Path) -> None:
    model = make_model()
    payload = make_payload(model, 0)
    records = payload.parts[0].records
    wide = np.zeros((records.shape[0], 2 * records.shape[1]), records.dtype)
    wide[:, ::2] = records
    apart = Payload(
        timestamp_count=payload.timestamp_count,
        timestamp_fraction=payload.timestamp_fraction,
        channel_id=0,
        channel_count=payload.channel_count,
        baseline_count=payload.baseline_count,
        parts=[PayloadPart(0, payload.channel_count, wide[:, ::2], present=True)],
        scan_id=1,
        model_index=0,
    )
    assert_holds(write(tmp_path, model, [apart]), model, [payload])


def allocated_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def test_what_never_came_takes_flags_and_no_data_of_the_disk(tmp_path: Path) -> None:
    """A disk that is too slow for the data must not be given as much again for their lack."""
    model = make_model(antennas=16, channels=200, dumps=40)
    taken = {}
    for name, absent in (("came", ()), ("none", (0,))):
        (tmp_path / name).mkdir()
        payloads = [make_payload(model, index, absent=absent) for index in range(40)]
        path = write(tmp_path / name, model, payloads, expected_dumps=40)
        assert_holds(path, model, payloads)
        empty = write(tmp_path, model, [], expected_dumps=40, overwrite=True)
        taken[name] = allocated_bytes(path) - allocated_bytes(empty)
        (tmp_path / "template.ms").rename(tmp_path / name / "used.ms")
    # DATA and WEIGHT_SPECTRUM are 12 bytes a visibility, FLAG is a bit.
    assert taken["none"] < 0.05 * taken["came"]


def test_what_a_failed_write_left_is_not_taken_for_an_integration_that_never_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    template = make_template(tmp_path / "template.ms", model)
    came, never = make_payload(model, 0), make_payload(model, 0, absent=(0,))
    commit = GrowingFiles.commit

    def no_space(files: GrowingFiles, dumps: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        monkeypatch.setattr(GrowingFiles, "commit", no_space)
        with pytest.raises(OutputError, match="no space left"):
            writer.write(came)
        monkeypatch.setattr(GrowingFiles, "commit", commit)
        writer.write(never)
    assert_holds(tmp_path / "out.ms", model, [never])
