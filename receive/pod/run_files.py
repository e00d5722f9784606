"""Files in which a run reports to programs: the ready file and the summary file."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from receive.command.errors import OutputError
from receive.command.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

READY = "--ready-file"
SUMMARY = "--summary-file"
_SYSTEM = frozenset({("/", "dev"), ("/", "proc")})


def check_run_files(ready: Path | None, summary: Path | None, *, may_write: bool) -> None:
    """Refuse files that could not be written later.

    Parameters
    ----------
    ready, summary
        The files; None if not requested.
    may_write
        Whether to test by writing a file: permission bits are not reliable on network file systems
        or for root.

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
            # A device or a pipe, for example: it is written in place.
            if not os.access(path, os.W_OK):
                raise OutputError(f"{option} {path} cannot be written: it is not writable")
            continue
        _check_folder(option, path, may_write=may_write)


def remove_left(option: str, path: Path | None) -> None:
    """Remove the file of an earlier run, which could be mistaken for that of this run.

    Devices and pipes are kept, also if they are reached through a link such as ``/dev/stdout``.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    if path is None or not path.is_file():
        return
    named = {path.absolute().parts[:2], path.readlink().parts[:2] if path.is_symlink() else ()}
    if named & _SYSTEM:
        return
    try:
        try:
            path.resolve().unlink(missing_ok=True)
        except PermissionError:
            # The file is writable, its folder is not.
            path.write_text("")
    except OSError as error:
        raise _refusal(option, path, error) from error


def remove_ready(paths: Iterable[Path]) -> None:
    """Remove the ready files of this process, which receives no more packets."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(path.read_text())["pid"] == os.getpid():
                path.unlink()


def write_ready(path: Path, content: Mapping[str, Any]) -> None:
    """Write the ready file atomically.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        write_whole(path, json.dumps(content))
    except OSError as error:
        raise _refusal(READY, path, error) from error


def write_summary(path: Path, content: Mapping[str, Any]) -> None:
    """Write the summary file; atomically unless it exists, as a device or a pipe does.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = json.dumps(content, indent=2) + "\n"
    try:
        if path.exists():
            # A device, a pipe, or a file that could only be emptied (see `remove_left`).
            path.write_text(text)
        else:
            write_whole(path.resolve(), text)
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
