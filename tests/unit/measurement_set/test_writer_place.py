"""Where sets go: what is in the way, what is not writable, disks that are too small."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from casacore import tables

from receive.command.errors import OutputError
from receive.measurement_set.write import growing, space
from receive.measurement_set.write.recover import recover
from receive.measurement_set.write.space import check_free_space, required_bytes
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.writing import (
    assert_holds,
    make_model,
    make_payload,
    make_template,
    read_elsewhere,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.icd.payload import Payload
    from receive.model.telescope import TelescopeModel


@pytest.fixture
def model() -> TelescopeModel:
    return make_model()


@pytest.fixture
def template(tmp_path: Path, model: TelescopeModel) -> Path:
    return make_template(tmp_path / "template.ms", model)


def test_an_output_that_exists_is_kept(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    path = tmp_path / "out.ms"
    SetWriter.create(path, template, model, history=["first"]).close()
    with pytest.raises(OutputError, match=r"out\.ms exists already"):
        SetWriter.create(path, template, model)
    with SetWriter.create(path, template, model, overwrite=True) as writer:
        writer.write(make_payload(model, 0))
    assert_holds(path, model, [make_payload(model, 0)])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.ms", "template.ms"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_measurement_sets_are_replaced(
    tmp_path: Path, template: Path, model: TelescopeModel, kind: str
) -> None:
    path = tmp_path / "thesis"
    if kind == "file":
        path.write_text("three years of work")
    else:
        path.mkdir()
        (path / "chapter").write_text("three years of work")
    with pytest.raises(OutputError, match="is not a Measurement Set: it is not replaced"):
        SetWriter.create(path, template, model, overwrite=True)
    assert path.exists()


def test_a_set_that_is_being_written_is_not_replaced(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    path = tmp_path / "out.ms"
    with (
        SetWriter.create(path, template, model),
        pytest.raises(OutputError, match="is being written by another process"),
    ):
        SetWriter.create(path, template, model, overwrite=True)


def test_a_set_whose_template_is_itself(tmp_path: Path, model: TelescopeModel) -> None:
    path = make_template(tmp_path / "out.ms", model)
    with SetWriter.create(path, path, model, overwrite=True) as writer:
        writer.write(make_payload(model, 0))
    assert_holds(path, model, [make_payload(model, 0)])


def test_places_that_cannot_be_written(
    tmp_path: Path, template: Path, model: TelescopeModel
) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
        SetWriter.create(tmp_path / "nowhere" / "out.ms", template, model)
    with pytest.raises(OutputError, match="choose another place"):
        # Nobody, not even root, makes folders there.
        SetWriter.create(Path("/proc/out.ms"), template, model)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 6 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def write_all(writer: SetWriter, payloads: list[Payload]) -> None:
    for payload in payloads:
        writer.write(payload)


def test_a_full_disk_keeps_what_was_closed(small_disk: Path, tmp_path: Path) -> None:
    model = make_model(antennas=16, channels=16, dumps=100)
    template = make_template(tmp_path / "template.ms", model)
    path = small_disk / "out.ms"
    payloads = [make_payload(model, index) for index in range(100)]
    writer = SetWriter.create(path, template, model)
    with pytest.raises(OutputError, match=r"no space left for .*out\.ms") as caught:
        write_all(writer, payloads)
    assert caught.value.exit_code == 4
    closed = writer.dumps_closed
    assert closed > 5
    with pytest.raises(OutputError, match="no space left"):
        writer.write(payloads[closed])
    assert read_elsewhere(path)["rows"] == closed * model.num_baselines
    writer.close(history=["the disk was full"])
    assert_holds(path, model, payloads[:closed])
    with tables.table(f"{path}/HISTORY", ack=False) as history:
        assert history.getcol("MESSAGE") == ["the disk was full"]
    assert not (path / growing.WORK).exists()


def test_a_full_disk_and_a_kill(small_disk: Path, tmp_path: Path) -> None:
    model = make_model(antennas=16, channels=16, dumps=100)
    template = make_template(tmp_path / "template.ms", model)
    path = small_disk / "out.ms"
    writer = SetWriter.create(path, template, model)
    with pytest.raises(OutputError, match="no space left"):
        write_all(writer, [make_payload(model, index) for index in range(100)])
    writer._files.close()
    assert recover(path).dumps == writer.dumps_closed
    assert_holds(path, model, [make_payload(model, index) for index in range(writer.dumps_closed)])


def test_no_room_even_for_an_empty_set(small_disk: Path, tmp_path: Path) -> None:
    model = make_model()
    template = make_template(tmp_path / "template.ms", model)
    (small_disk / "filler").write_bytes(bytes((6 << 20) - (200 << 10)))
    with pytest.raises(OutputError, match=r"out\.ms") as caught:
        SetWriter.create(small_disk / "out.ms", template, model)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in small_disk.iterdir()] == ["filler"]


def test_required_bytes_bound_what_is_written(tmp_path: Path) -> None:
    model = make_model(antennas=16, channels=70, dumps=9)
    template = make_template(tmp_path / "template.ms", model)
    with SetWriter.create(tmp_path / "out.ms", template, model, expected_dumps=9) as writer:
        for index in range(9):
            writer.write(make_payload(model, index))
    size = sum(entry.stat().st_size for entry in (tmp_path / "out.ms").rglob("*"))
    assert size <= required_bytes(model, 9) <= size + (10 << 20)


def test_free_space_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_free_space(tmp_path / "out.ms", free // 2)
    with pytest.raises(OutputError, match=r"takes .* but .* are free on its disk: free"):
        check_free_space(tmp_path / "out.ms", 3 * free)
    with pytest.raises(OutputError, match=r"the folder of .* does not exist"):
        check_free_space(tmp_path / "nowhere" / "out.ms", 1)
    monkeypatch.setattr(space, "SCARCE_FACTOR", 4)
    with caplog.at_level(logging.WARNING):
        check_free_space(tmp_path / "out.ms", free // 2)
    assert "are free on its disk" in caplog.text
