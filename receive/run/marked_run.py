"""A run that records how it ended, in its summary file and in a run folder.

Both are written however the run ends, unless the process is killed: a missing summary and marker
mean a crash.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from receive.account.outcome import Outcome, summary
from receive.command.cli import exit_code_of
from receive.command.ending import EndedBy
from receive.command.errors import VisReceiveError
from receive.pod.run_files import SUMMARY, remove_left, write_summary

if TYPE_CHECKING:
    from types import TracebackType

    from receive.config import Config
    from receive.pod.run_folder import RunFolder

logger = logging.getLogger(__name__)

_STOPPED = frozenset({130, 143})


class MarkedRun:
    """Holds the lock of a run folder; writes summary and marker before releasing it.

    Parameters
    ----------
    folder
        None without ``--run-folder``.
    """

    def __init__(self, folder: RunFolder | None) -> None:
        self._folder = folder
        self._hold = folder.hold() if folder is not None else None
        self._attempt: dict[str, Any] = {"attempt": 0, "base": None}
        self._summary_file: Path | None = None
        self._summary: dict[str, Any] = summary(Outcome())
        self._received = False

    def __enter__(self) -> Self:
        if self._hold is not None:
            self._hold.__enter__()
        return self

    @property
    def ready_file(self) -> Path | None:
        """Ready file in the run folder."""
        return None if self._folder is None else self._folder.ready_file

    def summarise_in(self, file: Path | None) -> None:
        """Set the summary file, and remove that of an earlier run now.

        Raises
        ------
        OutputError
            If it cannot be removed.
        """
        remove_left(SUMMARY, file)
        self._summary_file = file

    def begin(self, config: Config, base: Path, attempt: int) -> None:
        """Record in the run folder where the sets will be written.

        Parameters
        ----------
        config
            Configuration of the attempt.
        base
            Output name of the first attempt.
        attempt
            0 for the first.
        """
        if self._folder is None:
            return
        output = Path(config.reception.outputfilename).absolute()
        there = output.parent
        before = sorted(entry.name for entry in there.iterdir()) if there.is_dir() else []
        self._attempt = {"attempt": attempt, "base": str(base.absolute())}
        self._folder.write_run(
            self._attempt
            | {
                "pid": os.getpid(),
                "folder": str(there),
                "outputs_before": before,
                "process_index": config.reception.process_index,
                "process_count": config.reception.process_count,
            }
        )

    def so_far(self, report: dict[str, Any]) -> None:
        """Note the summary so far: an error is about to end the run."""
        self._summary, self._received = report, True

    def end(self, exit_code: int, report: dict[str, Any]) -> None:
        """Note the final summary."""
        self.so_far(report | {"exit_code": exit_code})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unwritten = self._write_summary(self._report(error))
        try:
            if self._folder is not None:
                self._folder.write_result(self._result(error or unwritten))
        finally:
            if self._hold is not None:
                self._hold.__exit__(None, None, None)
        if unwritten is not None:
            if error is None:
                raise unwritten
            logger.error("%s", unwritten)

    def _write_summary(self, report: dict[str, Any]) -> VisReceiveError | None:
        """Write the summary file; return the error if that fails."""
        if self._summary_file is None:
            return None
        try:
            write_summary(self._summary_file, report)
        except VisReceiveError as unwritten:
            return unwritten
        return None

    def _report(self, error: BaseException | None) -> dict[str, Any]:
        """Return the summary, corrected for an error that ended the run."""
        if error is None:
            return self._summary
        code = exit_code_of(error)
        # After `end` all output is closed, and the error can only be one of printing.
        lost = self._summary["lost"] if self._summary["exit_code"] is not None else True
        by = EndedBy.SIGNAL if code in _STOPPED else self._summary["ended_by"] or EndedBy.ERROR
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, SystemExit):
            said = "wrong usage; what was wrong is on standard error"
        return self._summary | {
            "ended_by": by,
            "exit_code": code,
            "error": None if code in _STOPPED else said,
            "lost": lost,
        }

    def _result(self, error: BaseException | None) -> dict[str, Any]:
        report = self._report(error)
        code = report["exit_code"]
        return self._attempt | {
            "status": "stopped" if code in _STOPPED else "failed" if code else "complete",
            "exit_code": code,
            "ended_by": report["ended_by"],
            "sets": [str(Path(path).absolute()) for path in report["sets"]],
            "lost": report["lost"],
            "incomplete": report["incomplete"],
            "error": report["error"],
            "summary": report if self._received else None,
        }
