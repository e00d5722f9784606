"""Unpacks one Measurement Set from an archive."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from receive.command.errors import InputError, OutputError
from receive.command.progress import Progress
from receive.fetch.archive import corruption_named, members
from receive.fetch.member import shown_name

if TYPE_CHECKING:
    from pathlib import Path

    from receive.fetch.limits import Limits
    from receive.fetch.member import Member

TABLE = "table.dat"
"""File that every folder of a casacore table contains."""
_PIECE_BYTES = 1 << 18
_MOST_SHOWN = 10

_MOST_NAMES_BYTES = 48 << 20
_SET_ENTRY_BYTES = 100


@dataclass
class _Contents:
    """The paths in an archive, and those in it that have the name of the set (`found`)."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    _bytes: int = 0

    def add(self, member: Member, archive: str) -> None:
        """Add a member.

        Raises
        ------
        InputError
            Its path is already in use, or the names take too much memory.
        """
        *folders, path = itertools.accumulate(member.parts, "{}/{}".format)
        if member.is_folder:
            folders.append(path)
        clash = [folder for folder in folders if folder in self.files]
        if not member.is_folder and (path in self.files or path in self.folders):
            clash = [path]
        if clash:
            raise InputError(
                f"{archive}: holds {shown_name(clash[0])} more than once, so it is refused"
            )
        self._add(folders, self.folders)
        if not member.is_folder:
            self._add([path], self.files)
            if member.parts[-1] == TABLE:
                self._add([path.removesuffix(TABLE).rstrip("/")], self.tables)
        if self._bytes > _MOST_NAMES_BYTES:
            raise InputError(f"{archive}: holds too many and too long names, so it is refused")

    def _add(self, paths: list[str], to: set[str]) -> None:
        new = [path for path in paths if path not in to]
        self._bytes += sum(sys.getsizeof(path) + _SET_ENTRY_BYTES for path in new)
        to.update(new)

    def sets(self) -> list[str]:
        """Return the Measurement Sets: tables that are not inside another table."""
        return sorted(
            table or "."
            for table in self.tables
            if not any(
                above in self.tables
                for above in ("", *itertools.accumulate(table.split("/")[:-1], "{}/{}".format))
                if above != table
            )
        )


def unpack_set(path: Path, name: str, folder: Path, limits: Limits) -> Path:
    """Unpack the Measurement Set `name`, at any depth in the archive.

    Parameters
    ----------
    path
        The archive.
    name
        Folder name of the set.
    folder
        An empty folder to unpack to.
    limits
        Limits of the archive.

    Returns
    -------
    Path
        Path of the unpacked set, in `folder`.

    Raises
    ------
    InputError
        The archive lacks the set, or must not be unpacked.
    OutputError
        The disk is full.
    """
    contents = _Contents()
    progress = Progress("unpacking the model", None, "B")
    with progress, corruption_named(limits.archive):
        for member in members(path, limits):
            if not member.parts:
                continue
            contents.add(member, limits.archive)
            depth = next((i for i, part in enumerate(member.parts) if part == name), None)
            if depth is None or (depth == len(member.parts) - 1 and not member.is_folder):
                continue
            contents.found.add("/".join(member.parts[: depth + 1]))
            _unpack(member, folder, limits, progress)
    found = [path for path in contents.found if path in contents.tables]
    if len(found) == 1:
        return folder / found[0]
    if found:
        raise InputError(
            f"{limits.archive}: holds {name} more than once ({_listed(found)}); pack one of them"
        )
    if contents.found:
        raise InputError(
            f"{limits.archive}: {_listed(contents.found)} is no Measurement Set: it has no {TABLE}"
        )
    raise InputError(f"{limits.archive}: does not hold {name} (model.name); {_there(contents)}")


def _unpack(member: Member, folder: Path, limits: Limits, progress: Progress) -> None:
    target = folder.joinpath(*member.parts)
    limits.check_space(member.size_bytes)
    try:
        if member.is_folder:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = target.open("xb")
    except OSError as error:
        raise OutputError(f"{target.name} cannot be written: {error.strerror}") from None
    read_bytes = 0
    with opened as file, member.open() as source:
        while piece := source.read(_PIECE_BYTES):
            try:
                file.write(piece)
            except OSError as error:
                raise OutputError(f"{target.name} cannot be written: {error.strerror}") from None
            read_bytes += len(piece)
            progress.update(len(piece))
    if read_bytes != member.size_bytes:
        name = shown_name("/".join(member.parts))
        raise InputError(
            f"{limits.archive}: is truncated or corrupt: {name} has {read_bytes} of "
            f"{member.size_bytes} bytes"
        )


def _listed(found: set[str] | list[str]) -> str:
    return ", ".join(sorted(shown_name(path) for path in found)[:_MOST_SHOWN])


def _there(contents: _Contents) -> str:
    sets = contents.sets()
    if not sets:
        return "there is no Measurement Set in it"
    more = f" and {len(sets) - _MOST_SHOWN} more" if len(sets) > _MOST_SHOWN else ""
    shown = ", ".join(shown_name(one) for one in sets[:_MOST_SHOWN])
    return f"the Measurement Sets there are {shown}{more}"
