"""Where casacore makes tables for a set: on a disk that is not the set's.

casacore ends the whole process when it closes a table that its disk does not take: a disk that is
full or read-only, a folder that was moved away.  So it never writes where sets are written: what it
makes elsewhere is copied there by calls whose errors are told.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from receive.measurement_set.write.growing import make_sure_of_space
from receive.measurement_set.write.subtable_copy import copy_folder
from receive.measurement_set.write.try_folder import make_try_folder, remove_left_try_folders

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "vis-receive"
_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder with a name of its own is made there)
_MOST_IN_MEMORY_BYTES = 64 << 20


@contextmanager
def built_aside(target: Path, size_bytes: int) -> Iterator[Path]:
    """Give a folder to make tables in; when they are made they are copied.

    Parameters
    ----------
    target : Path
        The folder that they become, which does not exist yet.
    size_bytes : int
        What they take at most.

    Yields
    ------
    Path
        Does not exist yet.

    Raises
    ------
    OSError
        If `target` cannot be written, or there is no space to make them in.
    """
    aside, held = _make_folder(target.parent, size_bytes)
    try:
        made = aside / target.name
        yield made
        copy_folder(made, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(held)


def remove_left_aside() -> None:
    """Remove what processes that were killed have left there."""
    for folder in _folders():
        remove_left_try_folders(folder, _NAME)


def _folders() -> list[Path]:
    return [_MEMORY, Path(tempfile.gettempdir())]


def _make_folder(last: Path, size_bytes: int) -> tuple[Path, int]:
    """Make a folder where there is space: in memory, on the temporary disk, or on the set's."""
    for folder in _folders():
        if folder == _MEMORY and size_bytes > _MOST_IN_MEMORY_BYTES:
            continue
        with suppress(OSError):
            make_sure_of_space(folder, size_bytes)
            return make_try_folder(folder, _NAME)
    make_sure_of_space(last, size_bytes)
    return make_try_folder(last, _NAME)
