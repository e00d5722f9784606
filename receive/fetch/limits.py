"""Limits on unpacking an archive: bytes, number of files, compression ratio, free space."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from receive.command.errors import InputError, OutputError
from receive.command.progress import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

MAX_UNPACKED_BYTES = 100 << 30
MAX_FILES = 200_000
"""A Measurement Set has about 200; with very many columns and subtables, some thousands."""
MAX_RATIO = 300.0
"""Noise hardly compresses; flags and constants do.  Zeros alone reach 1030 in gzip, 7000 in xz."""
_RATIO_FROM_BYTES = 64 << 20
"""Below this size an archive does no harm, whatever its ratio."""


@dataclass
class Limits:
    """The limits of one archive, and the amounts counted so far.

    Parameters
    ----------
    archive
        Name of the archive in messages.
    archive_bytes
        Size of the archive.
    folder
        Where it is unpacked.
    """

    archive: str
    archive_bytes: int
    folder: Path
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES
    max_ratio: float = MAX_RATIO
    max_files: int = MAX_FILES
    unpacked_bytes: int = field(default=0, init=False)
    files: int = field(default=0, init=False)

    def add_bytes(self, count: int) -> None:
        """Count unpacked bytes; raise InputError when they exceed a limit."""
        self.unpacked_bytes += count
        self.check_bytes(self.unpacked_bytes)

    def check_bytes(self, total: int) -> None:
        """Raise InputError if an unpacked size of `total` bytes exceeds a limit."""
        if total > self.max_unpacked_bytes:
            raise InputError(
                f"{self.archive}: unpacks to more than {format_bytes(self.max_unpacked_bytes)}, so "
                "it is refused; --max-unpacked sets the limit"
            )
        ratio = total / max(self.archive_bytes, 1)
        if total > _RATIO_FROM_BYTES and ratio > self.max_ratio:
            raise InputError(
                f"{self.archive}: unpacks to more than {self.max_ratio:g} times its size, so it is "
                "refused; --max-ratio sets the limit"
            )

    def add_file(self) -> None:
        """Count a file or folder; raise InputError when there are too many."""
        self.files += 1
        if self.files > self.max_files:
            raise InputError(
                f"{self.archive}: holds more than {self.max_files} files and folders, so it is "
                "refused"
            )

    def check_space(self, needed_bytes: int) -> None:
        """Raise OutputError if the disk has less than `needed_bytes` free."""
        system = os.statvfs(self.folder)
        free_bytes = system.f_bavail * system.f_frsize
        if needed_bytes > free_bytes:
            raise OutputError(
                f"{self.folder.parent}: there is room for {format_bytes(free_bytes)}, and the next "
                f"file of the model needs {format_bytes(needed_bytes)}"
            )
