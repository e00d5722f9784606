"""Folders that are made to be thrown away: hidden, and locked as long as their maker lives."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_LOCK = "in-use"
_MOST_CHARACTERS = 100
"""Of a name, so that what is added to it still fits into a file's name."""


def make_try_folder(parent: Path | None, name: str) -> tuple[Path, int]:
    """Make a folder.

    Parameters
    ----------
    parent
        Where; None: where temporary files are.
    name
        By which it is found when it is left.

    Returns
    -------
    Path
        The folder.
    int
        A descriptor: as long as it is open nobody removes the folder.
    """
    made = Path(tempfile.mkdtemp(prefix=_prefix(name), suffix=".try", dir=parent))
    held = os.open(made / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A file system without locks is told of elsewhere.
    with suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # One that is there is locked, or its process has ended.
    (made / ".lock").rename(made / _LOCK)
    return made, held


def remove_left_try_folders(parent: Path, name: str) -> None:
    """Remove the folders of a name whose makers have been killed."""
    pattern = re.compile(rf"{re.escape(_prefix(name))}[^.]+\.try")
    with suppress(OSError):
        for entry in parent.iterdir():
            if pattern.fullmatch(entry.name) and _is_left(entry):
                shutil.rmtree(entry, ignore_errors=True)
                log.info("Removed %s, which a process that was killed has left", entry)


def _prefix(name: str) -> str:
    return f".{name[:_MOST_CHARACTERS]}."


def _is_left(folder: Path) -> bool:
    try:
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True
