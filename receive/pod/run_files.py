"""The files in which a run tells programs of itself: that it is ready, and what became of it."""

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


def remove_left(option: str, path: Path | None) -> None:
    """Remove what an earlier run left, so that nobody takes it for this one's.

    Devices and pipes are left alone, also those that a name such as ``/dev/stdout`` leads to.

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
            # A file that may be written in a folder that may not.
            path.write_text("")
    except OSError as error:
        raise _refusal(option, path, error) from error


def remove_ready(paths: Iterable[Path]) -> None:
    """Remove ready files that are of this process: packets cannot come any more."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(path.read_text())["pid"] == os.getpid():
                path.unlink()


def write_ready(path: Path, content: Mapping[str, Any]) -> None:
    """Write the ready file; whoever sees it sees all of it.

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
    """Write the summary file; whoever sees it sees all of it, if it is a file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = json.dumps(content, indent=2) + "\n"
    try:
        if path.exists():
            # A device, a pipe, or what the name leads to: what was left of a file is gone.
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
