"""Whether the writer of a growing set still lives: it holds a lock that ends with it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "writer"


def take(work: Path) -> int:
    """Take the writer's lock of a set and return its descriptor: closing it gives it back.

    Parameters
    ----------
    work : Path
        The set's folder ``.vis-receive``.

    Raises
    ------
    BlockingIOError
        If another process has it.
    """
    descriptor = os.open(work / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_being_written(work: Path) -> bool:
    """Say whether a living process writes the set."""
    if not (work / LOCK).exists():
        return False
    try:
        os.close(take(work))
    except BlockingIOError:
        return True
    return False
