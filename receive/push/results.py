"""Waits for a receiver to end, and tells what of its output is to be pushed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command.errors import NotStartedError

if TYPE_CHECKING:
    from receive.command.stop import StopRequest
    from receive.config import Config
    from receive.pod.run_folder import RunFolder

logger = logging.getLogger(__name__)

COMPLETE = "complete"
CRASHED = "crashed"
_TABLE = "table.dat"
_STEP_S = 0.1


@dataclass(frozen=True)
class Results:
    """What a receiver left.

    Attributes
    ----------
    status
        ``complete``, ``stopped``, ``failed`` or ``crashed``.
    sets
        The Measurement Sets.
    base
        What the output of the first attempt is called.
    attempt
        0 for the first.
    """

    status: str
    sets: list[Path]
    base: Path
    attempt: int


def wait_for_end(folder: RunFolder, config: Config, stop: StopRequest) -> bool:
    """Wait until the receiver has ended; return whether there was one.

    Parameters
    ----------
    folder
        In which it tells of itself.
    config
        With ``results.start_timeout``.
    stop
        Ends the waiting for one that has not begun.  One that has is told to stop by the same who
        tells us, and closes what it wrote.

    Raises
    ------
    NotStartedError
        None began in time.
    """
    timeout_s = config.results.start_timeout
    deadline_s = time.monotonic() + timeout_s
    logger.info("waiting for a receiver to begin in %s", folder.path)
    while not _has_begun(folder):
        if stop.wait(_STEP_S):
            return _has_begun(folder)
        if time.monotonic() > deadline_s:
            raise NotStartedError(
                f"no receiver has begun in {folder.path} in {timeout_s:g} s "
                "(results.start_timeout); see why it did not start"
            )
    logger.info("the receiver has begun; waiting for its end")
    told = False
    while folder.is_held():
        time.sleep(_STEP_S)
        if stop.is_set() and not told:
            logger.info("told to stop: waiting for the receiver to close what it wrote")
            told = True
    return True


def _has_begun(folder: RunFolder) -> bool:
    # One that fails at once leaves a marker only, one that is slow to begin holds its lock.
    return folder.is_held() or folder.run() is not None or folder.result() is not None


def results_of(folder: RunFolder) -> Results:
    """Return what the receiver left that has ended."""
    marker, run = folder.result(), folder.run()
    told = marker or run or {}
    base, attempt = Path(told.get("base") or "recv-vis.ms"), int(told.get("attempt", 0))
    if marker is None:
        return Results(CRASHED, _new_sets(run), base, attempt)
    sets = [Path(path) for path in marker["sets"]]
    if marker["status"] != COMPLETE and marker.get("summary") is None:
        # It ended before it could tell what it had closed.
        sets = _new_sets(run)
    return Results(str(marker["status"]), sets, base, attempt)


def _new_sets(run: dict[str, object] | None) -> list[Path]:
    """Return the tables in the folder of a run that were not there when it began."""
    if run is None:
        return []
    folder, before = Path(str(run["folder"])), run["outputs_before"]
    names = set(before) if isinstance(before, list) else set()
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name not in names
        and not entry.name.startswith(".")
        and not entry.is_symlink()
        and (entry / _TABLE).is_file()
    )
