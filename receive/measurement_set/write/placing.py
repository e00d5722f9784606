"""Where a new set goes: assembled under a temporary name, and then put in its place complete."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from receive.command.errors import OutputError
from receive.measurement_set.read.table_name import WORK, refuse_misread_output
from receive.measurement_set.write.growing import output_error
from receive.measurement_set.write.history import exchange
from receive.measurement_set.write.lock import is_being_written
from receive.measurement_set.write.name_lock import NameLock


class Place:
    """The place of a set that is to be created.

    Parameters
    ----------
    path : Path
        Where it will be.
    overwrite : bool
        Whether a Measurement Set that is there may be replaced.
    name_held : bool
        Whether the caller holds the lock of its name; else it is held until it is in its place.

    Attributes
    ----------
    path : Path
        The same, absolute.
    temporary : Path
        Beside it: where to assemble it.  Does not exist yet.
    placed : bool
        Whether the new set is in its place.

    Raises
    ------
    OutputError
        If it exists and may not be replaced, a receiver has its name, or its folder is not there or
        cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool, name_held: bool = False) -> None:
        # A link is followed, so that what it points to is replaced and not the link.
        refuse_misread_output(path)
        self.path = Path(os.path.realpath(path))
        self.placed = False
        stem = f".{self.path.name}.{os.getpid()}"
        self.temporary = self.path.with_name(f"{stem}.new")
        self._aside = self.path.with_name(f"{stem}.old")
        self._replaced: Path | None = None
        self._replace = self.path.exists()
        if self._replace:
            refuse_to_replace(self.path, overwrite=overwrite)
        _refuse_unwritable(self.path)
        self._lock = None if name_held else NameLock(self.path)
        if self.temporary.exists():
            # Left by a killed process that had this number.
            shutil.rmtree(self.temporary)

    def put_in_place(self) -> None:
        """Give the new set its name; what it replaces remains to be removed."""
        if self._replace:
            self._replaced = exchange(self.temporary, self.path, self._aside)
        else:
            self.temporary.rename(self.path)
        self.placed = True
        self._release()

    def remove_replaced(self) -> None:
        """Remove what was in the place, if there was a set: of a large one that takes a while."""
        if self._replaced is not None:
            shutil.rmtree(self._replaced, ignore_errors=True)

    def clean_up(self) -> None:
        """Remove an assembly that did not come to its end."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def is_measurement_set(path: Path) -> bool:
    """Say whether a folder has the files of a Measurement Set, damaged ones included."""
    return (path / "table.dat").is_file() and (path / "ANTENNA").is_dir()


def refuse_to_replace(path: Path, *, overwrite: bool) -> None:
    """Refuse a place that is taken, unless by a Measurement Set that may be replaced.

    Raises
    ------
    OutputError
        If it is taken so.
    """
    if not overwrite:
        raise OutputError(
            f"{path} exists already: choose another name, or set reception.overwrite=true"
        )
    if not is_measurement_set(path):
        raise OutputError(
            f"{path} exists and is not a Measurement Set: it is not replaced, choose another name"
        )
    if is_being_written(path / WORK):
        raise OutputError(f"{path} is being written by another process: choose another name")


def _refuse_unwritable(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist: make it, or choose another one")
    try:
        # Permissions lie (root, network file systems): only trying tells.
        probe = path.with_name(f".{path.name}.{os.getpid()}.probe")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        if error.errno == errno.ENOENT:
            # What file systems like /proc say.
            raise OutputError(f"{path} cannot be made there: choose another place") from error
        raise output_error(error, path) from error
