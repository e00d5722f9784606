"""The folder ``.vis-receive`` of a growing set, and the files that grow.

The order of what is written is the whole of the crash safety.  A dump's tiles first; then the
headers, which make its rows exist; then, in ``.vis-receive/progress``, the number of dumps that
were reported closed.  A kill between two headers leaves a set that does not open until
``ms-recover`` has written them all again, for the dumps that were reported.  Nothing of what is
needed for that changes while the set grows.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from receive.command.errors import OutputError
from receive.measurement_set.read.table_name import WORK
from receive.measurement_set.tiled.direct_io import LEAST_BYTES, DirectWrites, write_all
from receive.measurement_set.tiled.headers import MAX_ROWS, TiledHeader
from receive.measurement_set.tiled.write_behind import WriteBehind
from receive.measurement_set.write import lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.measurement_set.write.file_layout import SetLayout

LAYOUT = "layout.json"
PROGRESS = "progress"
BALLAST = "ballast"

BALLAST_BYTES = 512 << 10
"""Space kept for the last lines of HISTORY, beside a copy of it, should the disk fill up."""

AHEAD_BYTES = 1 << 30
"""Files are made longer by about this much at a time; the space is taken when it is written."""

MAX_AHEAD_DUMPS = 1024


def output_error(error: OSError, path: Path) -> OutputError:
    """Return what an error of the system means to a user who wanted something at `path`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutputError(
            f"no space left for {path} ({error.strerror}): free some, or choose another disk"
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return OutputError(f"{path} cannot be written ({error.strerror}): choose another place")
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return OutputError(f"the folder of {path} does not exist: make it, or choose another one")
    return OutputError(f"{path} cannot be written ({error.strerror})")


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


def make_sure_of_space(folder: Path, size_bytes: int) -> None:
    """Take so much space in a folder and give it back.

    casacore ends the whole process when it closes a table on a full disk.

    Raises
    ------
    OSError
        If there is not as much.
    """
    block = bytes(1 << 20)
    # It has no name, and is gone with this process, however that ends.
    with tempfile.TemporaryFile(dir=folder, buffering=0) as taken:
        for offset in range(0, size_bytes, len(block)):
            write_all(taken.fileno(), block[: size_bytes - offset], offset)


class GrowingFiles:
    """The files of a set that grows: tiles, headers, and what ms-recover would need.

    Parameters
    ----------
    folder : Path
        The set, made by `receive.measurement_set.write.empty_set.build_skeleton`.
    layout : SetLayout
        Its layout.
    expected_dumps : int or None
        How many integrations there will be, if that is known.
    direct : bool
        Whether large pieces may be written past the kernel's cache.
    """

    def __init__(
        self, folder: Path, layout: SetLayout, expected_dumps: int | None, *, direct: bool
    ) -> None:
        self.layout = layout
        self._expected_dumps = expected_dumps
        self._room_dumps = 0
        self._behind = WriteBehind()
        self._direct = DirectWrites(folder, wanted=direct)
        self._tiled_headers = [
            (column.header_name, TiledHeader(column)) for column in layout.columns
        ]
        self._descriptors: dict[str, int] = {}
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._descriptors["folder"] = self._folder
        work = folder / WORK
        try:
            work.mkdir()
            (work / LAYOUT).write_text(layout.to_json())
            (work / BALLAST).write_bytes(bytes(BALLAST_BYTES + folder_bytes(folder / "HISTORY")))
            self._descriptors["lock"] = lock.take(work)
            self._progress = self._open(work / PROGRESS)
            self._headers = {name: self._open(folder / name) for name in layout.header_files(0)}
            self._tiles = {
                column.name: self._open(folder / column.data_name) for column in layout.columns
            }
            for column in layout.columns:
                if column.tiling.strip_bytes >= LEAST_BYTES:
                    self._direct.add(self._tiles[column.name], folder / column.data_name)
            for name, content in layout.header_files(0).items():
                write_all(self._headers[name], content, 0)
            self.commit(0)
        except OSError:
            self.close()
            raise

    def _open(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._descriptors[str(path)] = descriptor
        return descriptor

    def close(self) -> None:
        """Close all files, the lock with them."""
        self._behind.close()
        self._direct.close()
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def make_room(self, dump: int) -> None:
        """Make the files long enough for a dump: casacore reads whole tiles only."""
        if dump < self._room_dumps:
            return
        rows = (dump + 1) * self.layout.dump_rows
        if rows > MAX_ROWS:
            raise OutputError(
                f"a Measurement Set holds {MAX_ROWS} rows at most, {rows} are to be written: "
                "limit it by consumer.max_dumps_per_ms"
            )
        ahead = int(AHEAD_BYTES // self.layout.dump_bytes())
        room = dump + min(max(ahead, 1), MAX_AHEAD_DUMPS)
        if self._expected_dumps is not None and dump < self._expected_dumps:
            room = min(room, self._expected_dumps)
        for column in self.layout.columns:
            os.ftruncate(self._tiles[column.name], column.tiling.file_bytes_of_dumps(room))
        self._room_dumps = room

    def write(self, column: str, offset: int, buffer: NDArray[Any]) -> None:
        """Write bytes of a column's tiles."""
        self._direct.write(self._tiles[column], buffer, offset)

    def commit(self, dumps: int) -> None:
        """Make the rows of so many dumps exist, and then report them closed."""
        rows = dumps * self.layout.dump_rows
        for name, header in self._tiled_headers:
            write_all(self._headers[name], header.with_rows(rows), 0)
        for field in self.layout.row_fields:
            write_all(self._headers[field.file], field.encode(rows), field.offset)
        write_all(self._progress, dumps.to_bytes(8, "little"), 0)
        for column in self.layout.columns:
            self._behind.wrote(self._tiles[column.name], column.tiling.dump_bit(dumps) // 8)

    def cut(self, dumps: int) -> None:
        """Give back what lies behind so many dumps: it reads as 0 again, and takes no space."""
        for column in self.layout.columns:
            tiles, tiling = self._tiles[column.name], column.tiling
            os.ftruncate(tiles, -(-tiling.dump_bit(dumps) // 8))
            # casacore reads whole tiles only.
            os.ftruncate(tiles, tiling.file_bytes_of_dumps(self._room_dumps))

    @property
    def removed(self) -> bool:
        """Whether the set was removed: what is written is then nowhere."""
        return any(not os.fstat(tiles).st_nlink for tiles in self._tiles.values())

    def whereabouts(self, path: Path) -> Path:
        """Return where the set is now: at a path, or where it was moved to.

        Raises
        ------
        FileNotFoundError
            If it is nowhere, or not to be reached; what is at the path is then another one.
        """
        mine = os.fstat(self._folder)
        for found in (path, Path(f"/proc/self/fd/{self._folder}").readlink()):
            with suppress(OSError):
                if os.path.samestat(found.stat(), mine):
                    return found
        raise FileNotFoundError(
            errno.ESTALE, "it was moved away, removed or replaced while it was written"
        )

    def sync(self) -> None:
        """Wait until the disk has what was written: only then it tells what it could not keep."""
        for name, descriptor in self._descriptors.items():
            if name != "lock":
                os.fsync(descriptor)

    def trim(self, dumps: int) -> None:
        """Cut the tiles to what so many dumps need."""
        for column in self.layout.columns:
            os.ftruncate(self._tiles[column.name], column.tiling.file_bytes_of_dumps(dumps))


def install(folder: Path, layout: SetLayout, dumps: int) -> None:
    """Give a set that nobody writes the headers and the lengths for so many dumps."""
    for name, content in layout.header_files(dumps * layout.dump_rows).items():
        _set_content(folder / name, content, len(content))
    for column in layout.columns:
        _set_content(folder / column.data_name, b"", column.tiling.file_bytes_of_dumps(dumps))


def _set_content(path: Path, content: bytes, length: int) -> None:
    """Give a file its first bytes and its length; the bytes between stay as they are."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, content, 0)
        os.ftruncate(descriptor, length)
    finally:
        os.close(descriptor)


def remove_work(folder: Path) -> None:
    """Remove ``.vis-receive``: first what says that there is something to recover."""
    work = folder / WORK
    with suppress(FileNotFoundError):
        (work / LAYOUT).unlink()
    shutil.rmtree(work)


def drop_ballast(folder: Path) -> None:
    """Free the space that was kept for closing."""
    with suppress(FileNotFoundError):
        (folder / WORK / BALLAST).unlink()
