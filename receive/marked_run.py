"""A run that tells the containers beside it, in a run folder, that it goes on and how it ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from receive.errors import VisReceiveError

if TYPE_CHECKING:
    from types import TracebackType

    from receive.config import Config
    from receive.run_folder import RunFolder

_STOPPED = frozenset({130, 143})
_DEFECT = 1


class MarkedRun:
    """Holds a run folder, and leaves the marker before it lets go.

    A process that is killed leaves none: that is how a crash is known.

    Parameters
    ----------
    folder
        None if nobody is to be told.
    """

    def __init__(self, folder: RunFolder | None) -> None:
        self._folder = folder
        self._hold = folder.hold() if folder is not None else None
        self._told: dict[str, Any] = {"attempt": 0, "base": None}
        self._summary: dict[str, Any] | None = None
        self._exit_code = 0

    def __enter__(self) -> Self:
        if self._hold is not None:
            self._hold.__enter__()
        return self

    @property
    def ready_file(self) -> Path | None:
        """Where it is to be told that packets can come."""
        return None if self._folder is None else self._folder.ready_file

    def begin(self, config: Config, base: Path, attempt: int) -> None:
        """Tell where the sets will be written.

        Parameters
        ----------
        config
            Of the attempt.
        base
            What the output of the first attempt is called.
        attempt
            0 for the first.
        """
        if self._folder is None:
            return
        output = Path(config["reception.outputfilename"]).absolute()
        there = output.parent
        before = sorted(entry.name for entry in there.iterdir()) if there.is_dir() else []
        self._told = {"attempt": attempt, "base": str(base.absolute())}
        self._folder.write_run(
            self._told
            | {
                "pid": os.getpid(),
                "folder": str(there),
                "outputs_before": before,
                "process_index": config["reception.process_index"],
                "process_count": config["reception.process_count"],
            }
        )

    def end(self, exit_code: int, summary: dict[str, Any]) -> None:
        """Note how the run ended."""
        self._exit_code, self._summary = exit_code, summary

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._folder is None or self._hold is None:
            return
        try:
            self._folder.write_result(self._result(error))
        finally:
            self._hold.__exit__(None, None, None)

    def _result(self, error: BaseException | None) -> dict[str, Any]:
        code = self._exit_code if error is None else _code_of(error)
        summary = self._summary or {}
        failures = summary.get("consumers", {}).get("errors", [])
        if error is not None:
            failures = [str(error) or type(error).__name__]
        return self._told | {
            "status": "stopped" if code in _STOPPED else "failed" if code else "complete",
            "exit_code": code,
            "sets": [str(Path(path).absolute()) for path in summary.get("sets", [])],
            "lost": summary.get("lost", True),
            "error": failures[0] if failures else None,
            "summary": self._summary,
        }


def _code_of(error: BaseException) -> int:
    if isinstance(error, VisReceiveError):
        return error.exit_code
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 130 if isinstance(error, KeyboardInterrupt) else _DEFECT
