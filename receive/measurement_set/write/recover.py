"""Mend a set whose writer was killed: every integration that was reported closed is there again."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import InputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.read.table_name import WORK, table_name
from receive.measurement_set.write import lock
from receive.measurement_set.write.file_layout import SetLayout
from receive.measurement_set.write.growing import (
    LAYOUT,
    PROGRESS,
    drop_ballast,
    install,
    output_error,
    remove_work,
)
from receive.measurement_set.write.history import restore, swap_in_lines
from receive.measurement_set.write.placing import is_measurement_set

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """What was done to a set.

    Attributes
    ----------
    needed : bool
        Whether there was anything to do.
    dumps, rows : int
        Integrations and rows that the set has now; 0 where nothing was to be done.
    """

    needed: bool
    dumps: int = 0
    rows: int = 0


def recover(path: Path) -> Recovery:
    """Close a set whose writer no longer lives.

    Headers are written again and files cut for the integrations that were reported closed.  Doing
    it twice, or being killed while doing it, does no harm.

    Parameters
    ----------
    path : Path
        The set.

    Returns
    -------
    Recovery
        What was done.

    Raises
    ------
    InputError
        If it is not a Measurement Set, is still being written, or was changed since.
    OutputError
        If it cannot be written.
    """
    table_name(path)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {found}: the folder of a Measurement Set was expected")
    work = path / WORK
    if not work.is_dir():
        if not is_measurement_set(path):
            raise InputError(f"{path} is not a Measurement Set: it lacks table.dat or ANTENNA")
        return Recovery(needed=False)
    try:
        held = lock.take(work)
    except BlockingIOError:
        raise InputError(
            f"{path} is still being written by a living process: wait for it, or stop it"
        ) from None
    except OSError as error:
        raise output_error(error, path) from error
    try:
        return _recover_locked(path)
    except OSError as error:
        raise output_error(error, path) from error
    finally:
        os.close(held)


def _recover_locked(path: Path) -> Recovery:
    work = path / WORK
    if not (work / LAYOUT).exists():
        # Killed while the last of it was removed: all else was done.
        remove_work(path)
        return Recovery(needed=False)
    layout = _read_layout(path)
    _refuse_changed(path, layout)
    dumps = int.from_bytes((work / PROGRESS).read_bytes()[:8], "little")
    rows = dumps * layout.dump_rows
    drop_ballast(path)
    install(path, layout, dumps)
    restore(path, work)
    line = f"ms-recover closed this set after its writer was killed: {dumps} integrations"
    try:
        casacore_thread.run(swap_in_lines, path, work, [line])
    except (OSError, RuntimeError) as error:
        # The data are what matters; the log may be what the disk has no room for.
        log.warning("HISTORY of %s does not tell of this (%s)", path, error)
    remove_work(path)
    return Recovery(needed=True, dumps=dumps, rows=rows)


def _read_layout(path: Path) -> SetLayout:
    try:
        return SetLayout.from_json((path / WORK / LAYOUT).read_text())
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path / WORK / LAYOUT} cannot be read ({error}): "
            "it was written by another version of vis-receive"
        ) from None


def _refuse_changed(path: Path, layout: SetLayout) -> None:
    """Raise if the main table's description is not as its writer left it."""
    name = "table.dat"
    try:
        found = (path / name).read_bytes()
    except FileNotFoundError:
        return
    if layout.with_rows(name, found, 0) != layout.with_rows(name, layout.headers[name], 0):
        raise InputError(
            f"{path} was changed after its writer was killed, and is not touched: if it is as it "
            f"should be, remove {path / WORK}"
        )
