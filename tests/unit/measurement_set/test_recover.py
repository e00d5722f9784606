"""Sets whose writer was killed: what was reported closed is there, at once or after ms-recover."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore import tables

from receive.command.errors import InputError
from receive.measurement_set.read.table_name import WORK
from receive.measurement_set.tiled.headers import tiled_header
from receive.measurement_set.write.recover import recover
from receive.measurement_set.write.recover_command import main
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.killed_writer import make_cycle
from tests.unit.measurement_set.writing import (
    INTERVAL_S,
    START_MJD_S,
    Rows,
    assert_holds,
    columns,
    expected_rows,
    make_model,
    make_payload,
    make_template,
    read_elsewhere,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.icd.payload import Payload
    from receive.model.telescope import TelescopeModel

REPOSITORY = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("VIS_RECEIVE_TEST_KILLS", "10"))
"""How many writers of each kind are killed; more of them find rarer moments."""

KINDS: dict[str, dict[str, Any]] = {
    "tiny": {"antennas": 8, "channels": 8, "dumps": 400},
    "large": {"antennas": 64, "channels": 16, "auto": True, "dumps": 30},
}


@contextmanager
def nursery() -> Iterator[tuple[IO[str], IO[str]]]:
    """Start the process that forks writers, and end it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.measurement_set.killed_writer"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()
        assert process.wait(30) == 0


def kill_at_random(
    rng: random.Random, jobs: IO[str], answers: IO[str], job: dict[str, Any]
) -> tuple[int, bool]:
    """Run a writer, kill it somewhere; return the integrations it reported, and if it was done."""
    jobs.write(json.dumps(job) + "\n")
    jobs.flush()
    stage = rng.choice(["pid", "closed", "closed", "closed", "closed", "closing"])
    wanted = {"pid": "pid", "closing": "closing"}.get(
        stage, f"closed {rng.randrange(1, job['dumps'])}\n"
    )
    reported, done, pid = 0, False, 0
    for line in answers:
        if line.startswith("pid"):
            pid = int(line.split()[1])
        if line.startswith("closed"):
            reported = int(line.split()[1])
        done = done or line == "done\n"
        if line == "reaped\n":
            break
        if line.startswith(wanted):
            # A moment that no line of output marks.
            moment = time.perf_counter() + rng.random() * (0.1 if stage == "pid" else 0.004)
            while time.perf_counter() < moment:
                pass
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return reported, done


def opens(path: Path) -> bool:
    """Say whether a set opens as it is: not if its writer was killed between two headers."""
    try:
        tables.table(str(path), ack=False).close()
    except RuntimeError as error:
        if "mismatch in #row" in str(error):
            return False
        raise
    return True


def assert_dumps(path: Path, model: TelescopeModel, expected: list[Rows], least: int) -> int:
    """Assert that a set holds at least so many integrations, each one right; return how many."""
    data, flag, weights, stamps = columns(path, "DATA", "FLAG", "WEIGHT_SPECTRUM", "TIME")
    dumps, rest = divmod(len(data), model.num_baselines)
    assert rest == 0
    assert dumps >= least
    for dump in range(dumps):
        rows = slice(dump * model.num_baselines, (dump + 1) * model.num_baselines)
        wanted = expected[dump % len(expected)]
        np.testing.assert_array_equal(data[rows], wanted.data)
        np.testing.assert_array_equal(flag[rows], wanted.flag)
        np.testing.assert_array_equal(weights[rows], wanted.weight_spectrum)
        assert (stamps[rows] == START_MJD_S + dump * INTERVAL_S).all()
    return dumps


@pytest.mark.parametrize("kind", KINDS)
def test_kill_at_any_moment_loses_nothing_that_was_closed(tmp_path: Path, kind: str) -> None:
    shape = dict(KINDS[kind])
    model = make_model(**shape)
    expected = [expected_rows(model, payload) for payload in make_cycle(model)]
    template = make_template(tmp_path / "template.ms", model)
    rng = random.Random(20261121)
    with nursery() as (jobs, answers):
        for kill in range(KILLS):
            path = tmp_path / f"{kill}.ms"
            job = {
                "path": str(path),
                "template": str(template),
                "shape": shape,
                "dumps": shape["dumps"],
            }
            reported, done = kill_at_random(rng, jobs, answers, job)
            if not path.exists():
                assert reported == 0
                continue
            if opens(path):
                assert_dumps(path, model, expected, reported)
            result = recover(path)
            assert not (done and result.needed)
            assert assert_dumps(path, model, expected, reported) <= reported + 1
            assert not (path / WORK).exists()
            assert not recover(path).needed


@pytest.fixture
def model() -> TelescopeModel:
    return make_model()


def abandon(folder: Path, model: TelescopeModel, payloads: list[Payload]) -> Path:
    """Leave a set as a writer that is killed when nothing happens leaves it."""
    path = folder / "killed.ms"
    template = make_template(folder / "template.ms", model)
    writer = SetWriter.create(path, template, model)
    for payload in payloads:
        writer.write(payload)
    writer._files.close()
    return path


@pytest.fixture
def payloads(model: TelescopeModel) -> list[Payload]:
    return [make_payload(model, index) for index in range(4)]


@pytest.fixture
def killed(tmp_path: Path, model: TelescopeModel, payloads: list[Payload]) -> Path:
    return abandon(tmp_path, model, payloads)


def test_a_growing_set_opens_with_what_was_closed(
    killed: Path, model: TelescopeModel, payloads: list[Payload]
) -> None:
    assert read_elsewhere(killed)["rows"] == 4 * model.num_baselines
    assert_holds(killed, model, payloads)


def test_recovering_tells_what_it_did(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(killed)]) == 0
    assert capsys.readouterr().out == f"{killed}: closed with 4 integrations in 24 rows\n"
    assert main([str(killed)]) == 0
    assert capsys.readouterr().out == f"{killed}: needs nothing\n"
    with tables.table(f"{killed}/HISTORY", ack=False) as history:
        assert history.getcol("MESSAGE") == [
            "ms-recover closed this set after its writer was killed: 4 integrations"
        ]


@pytest.mark.parametrize("column", ["DATA", "TIME", "FLAG_ROW"])
def test_killed_between_two_headers(
    killed: Path, model: TelescopeModel, payloads: list[Payload], column: str
) -> None:
    with SetWriter.create(killed.with_name("o.ms"), killed, model) as other:
        tiled = other._files.layout.column(column)
    assert tiled is not None
    (killed / tiled.header_name).write_bytes(tiled_header(tiled, 18))
    with pytest.raises(RuntimeError, match="mismatch"):
        tables.table(str(killed), ack=False)
    assert recover(killed).dumps == 4
    assert_holds(killed, model, payloads)


def test_rows_that_were_not_reported_are_cut_off(killed: Path, model: TelescopeModel) -> None:
    (killed / WORK / "progress").write_bytes((3).to_bytes(8, "little"))
    assert recover(killed).rows == 3 * model.num_baselines
    assert read_elsewhere(killed)["rows"] == 3 * model.num_baselines


def test_killed_while_history_was_swapped(killed: Path) -> None:
    (killed / "HISTORY").rename(killed / WORK / "HISTORY.old")
    assert recover(killed).dumps == 4
    with tables.table(f"{killed}/HISTORY", ack=False) as history:
        assert history.nrows() == 1


def test_killed_while_the_last_of_it_was_removed(killed: Path) -> None:
    recover(killed)
    (killed / WORK).mkdir()
    (killed / WORK / "progress").write_bytes(bytes(8))
    assert not recover(killed).needed
    assert not (killed / WORK).exists()


def test_a_recovered_set_can_be_changed_by_casacore(
    killed: Path, model: TelescopeModel, payloads: list[Payload]
) -> None:
    recover(killed)
    with tables.table(str(killed), readonly=False, ack=False) as table:
        table.addrows(100)
        table.putcol("DATA", np.ones((100, 5, 4), np.complex64), startrow=24)
    assert read_elsewhere(killed)["rows"] == 124
    assert_holds(killed, model, payloads)


def test_a_set_whose_writer_lives_is_refused(
    tmp_path: Path, model: TelescopeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    template = make_template(tmp_path / "template.ms", model)
    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        writer.write(make_payload(model, 0))
        assert main([str(tmp_path / "out.ms"), str(template)]) == 3
        captured = capsys.readouterr()
        assert "still being written by a living process" in captured.err
        assert captured.out == f"{template}: needs nothing\n"
        writer.write(make_payload(model, 1))
    assert_holds(tmp_path / "out.ms", model, [make_payload(model, index) for index in range(2)])


def test_a_set_that_was_changed_since_is_not_touched(killed: Path) -> None:
    with tables.table(str(killed), readonly=False, ack=False) as table:
        table.putkeyword("SOMETHING", "new")
    with pytest.raises(InputError, match="was changed after its writer was killed"):
        recover(killed)
    assert (killed / WORK).exists()


def test_an_unknown_layout_is_refused(killed: Path) -> None:
    (killed / WORK / "layout.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="layout format 99, not 1"):
        recover(killed)


def test_what_is_not_a_measurement_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    assert main([str(tmp_path / name) for name in ("nothing", "file", "folder")]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line, reason in zip(lines, ("does not exist", "is a file", "lacks table.dat"), strict=True):
        assert line.startswith("ms-recover: error: ")
        assert reason in line
