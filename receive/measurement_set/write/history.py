"""Lines of a set's HISTORY: written into a copy of the table, which then takes its place.

So a kill at any moment leaves either the old HISTORY or the new one.  Everything that calls
casacore here runs on the thread that owns it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
from casacore import tables

from receive.measurement_set.write.built_aside import built_aside
from receive.measurement_set.write.growing import folder_bytes
from receive.measurement_set.write.subtable_copy import copy_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

APPLICATION = "vis-receive"

APPEND_BYTES = 256 << 10
"""What casacore takes at most to append rows, beside their text."""

_MJD_S_OF_UNIX_EPOCH = 40587 * 86400.0

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def append_lines(history: Path, lines: Sequence[str]) -> None:
    """Append lines to a HISTORY table in place: a row for each, with the time of now."""
    if not lines:
        return
    now_mjd_s = time.time() + _MJD_S_OF_UNIX_EPOCH
    with tables.table(str(history), readonly=False, ack=False) as table:
        first = table.nrows()
        table.addrows(len(lines))
        for row, line in enumerate(lines, start=first):
            table.putcell("TIME", row, now_mjd_s)
            table.putcell("OBSERVATION_ID", row, 0)
            table.putcell("OBJECT_ID", row, -1)
            table.putcell("MESSAGE", row, line)
            table.putcell("PRIORITY", row, "INFO")
            table.putcell("ORIGIN", row, APPLICATION)
            table.putcell("APPLICATION", row, APPLICATION)
            for column in ("CLI_COMMAND", "APP_PARAMS"):
                # Some readers stop at cells without a value.
                table.putcell(column, row, np.array([""]))


def swap_in_lines(folder: Path, work: Path, lines: Sequence[str]) -> None:
    """Append lines to HISTORY in a way that a kill cannot spoil.

    Parameters
    ----------
    folder : Path
        The set.
    work : Path
        A folder of the same file system for the copy; the old table stays there.
    lines : sequence of str
        What to add.
    """
    if not lines:
        return
    restore(folder, work)
    fresh = work / "HISTORY"
    if fresh.exists():
        shutil.rmtree(fresh)
    history = folder / "HISTORY"
    text_bytes = sum(len(line.encode()) for line in lines)
    with built_aside(fresh, folder_bytes(history) + APPEND_BYTES + 2 * text_bytes) as made:
        copy_folder(history, made)
        append_lines(made, lines)
    exchange(fresh, history, work / "HISTORY.old")


def restore(folder: Path, work: Path) -> None:
    """Put HISTORY back if a kill came between the two steps of an exchange."""
    old = work / "HISTORY.old"
    if not (folder / "HISTORY").exists() and old.exists():
        old.rename(folder / "HISTORY")


def exchange(fresh: Path, target: Path, aside: Path) -> Path:
    """Put a folder in the place of another one, at once where the file system can.

    Returns
    -------
    Path
        Where the other one is now: `fresh`, or `aside` if it took two steps.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        result = libc.renameat2(
            _AT_FDCWD,
            os.fsencode(fresh),
            _AT_FDCWD,
            os.fsencode(target),
            ctypes.c_uint(_RENAME_EXCHANGE),
        )
        if result == 0:
            return fresh
        code = ctypes.get_errno()
        if code not in _NOT_SUPPORTED:
            raise OSError(code, os.strerror(code), str(fresh), None, str(target))
    if aside.exists():
        shutil.rmtree(aside)
    target.rename(aside)
    fresh.rename(target)
    return aside
