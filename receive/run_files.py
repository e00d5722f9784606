"""The files in which a run tells programs of itself: that it is ready, and what became of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from receive.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READY = "--ready-file"
SUMMARY = "--summary-file"


def check_run_files(ready: Path | None, summary: Path | None, *, may_write: bool) -> None:
    """Refuse files that could not be written later, when it would be too late.

    Parameters
    ----------
    ready, summary
        The files; None where none is asked for.
    may_write
        Whether it may be tried: permissions lie on network file systems and to root.

    Raises
    ------
    OutputError
        If a folder is missing or not writable, or a folder is where the file should be.
    """
    for option, path in ((READY, ready), (SUMMARY, summary)):
        if path is None:
            continue
        if path.is_dir():
            raise OutputError(f"{option} {path} is a folder: give the name of a file in it")
        if option == SUMMARY and path.exists():
            # Such as a device or a pipe, in whose folder nothing is made.
            if not os.access(path, os.W_OK):
                raise OutputError(f"{option} {path} cannot be written: it is not writable")
            continue
        _check_folder(option, path, may_write=may_write)


def write_ready(path: Path, content: Mapping[str, Any]) -> None:
    """Write the ready file; whoever sees it sees all of it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(content))
        partial.replace(path)
    except OSError as error:
        raise _refusal(READY, path, error) from error


def write_summary(path: Path, content: Mapping[str, Any]) -> None:
    """Write the summary file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise _refusal(SUMMARY, path, error) from error


def _check_folder(option: str, path: Path, *, may_write: bool) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"{option} {path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{option} {path} cannot be written: the folder {folder} is not writable")
    if not may_write:
        return
    probe = path.with_name(f".{path.name}.{os.getpid()}.probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _refusal(option, path, error) from error


def _refusal(option: str, path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{option} {path} cannot be written in the folder {path.parent}: {reason}; choose another "
        f"place"
    )
