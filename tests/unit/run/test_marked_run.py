"""Whatever ends a run leaves its summary, with the exit code that the command ends with."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from receive.account.outcome import Outcome, summary
from receive.command import cli
from receive.command.ending import EndedBy
from receive.command.errors import InputError, NothingReceivedError, OutputError
from receive.pod.run_folder import RunFolder
from receive.run.marked_run import MarkedRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.command.errors import VisReceiveError


@pytest.mark.parametrize("received", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "by", "said"),
    [
        (InputError("a.ms is\nno set"), 3, "error", "a.ms is no set"),
        (NothingReceivedError("nothing came"), 6, "error", "nothing came"),
        (RuntimeError("ours"), 1, "error", "ours"),
        (RuntimeError(), 1, "error", "RuntimeError"),
        (OSError(errno.ENOSPC, "No space left", "x"), 4, "error", "[Errno 28] No space left: 'x'"),
        (KeyboardInterrupt(), 130, "signal", None),
        (SystemExit(143), 143, "signal", None),
    ],
    ids=repr,
)
def test_an_error(
    tmp_path: Path,
    error: BaseException,
    code: int,
    by: str,
    said: str | None,
    *,
    received: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "summary.json"
    file.write_text("of an earlier run")

    def main(_argv: Sequence[str] | None) -> int:
        with MarkedRun(RunFolder(tmp_path)) as marked:
            marked.summarise_in(file)
            assert not file.exists()
            if received:
                marked.so_far(summary(Outcome(refused_outside={"late": 3})))
            raise error

    assert cli.run("emu-recv", main) == code
    capsys.readouterr()
    report = json.loads(file.read_text())
    assert (report["exit_code"], report["ended_by"], report["error"]) == (code, by, said)
    assert report["lost"]
    assert report["heaps_refused_outside_scans"] == ({"late": 3} if received else {})
    marker = RunFolder(tmp_path).result()
    assert marker is not None
    assert {key: marker[key] for key in ("exit_code", "ended_by", "error", "lost")} == {
        key: report[key] for key in ("exit_code", "ended_by", "error", "lost")
    }
    assert marker["summary"] == (report if received else None)


def end_without_a_place(folder: Path, error: VisReceiveError | None) -> None:
    """End a run whose summary cannot be written any more."""
    gone = folder / "gone"
    gone.mkdir()
    with MarkedRun(RunFolder(folder)) as marked:
        marked.summarise_in(gone / "summary.json")
        gone.rmdir()
        if error is not None:
            raise error
        marked.end(0, summary(Outcome(ended_by=EndedBy.STREAMS_ENDED)))


def test_a_summary_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--summary-file"):
        end_without_a_place(tmp_path, None)
    marker = RunFolder(tmp_path).result()
    assert marker is not None
    assert (marker["exit_code"], marker["status"]) == (OutputError.exit_code, "failed")
    assert marker["ended_by"] == "streams-ended"


def test_a_summary_that_cannot_be_written_hides_no_other_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError):
        end_without_a_place(tmp_path, InputError("no model"))
    assert "--summary-file" in caplog.text
