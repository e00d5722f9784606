"""Takes one Measurement Set out of an archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from receive.errors import InputError, OutputError
from receive.model_fetch.archive import corruption_named, members
from receive.model_fetch.member import shown_name
from receive.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from receive.model_fetch.limits import Limits
    from receive.model_fetch.member import Member

TABLE = "table.dat"
"""Every casacore table is a folder that has one."""
_PIECE_BYTES = 1 << 18
_MOST_SHOWN = 10

Parts = tuple[str, ...]


@dataclass
class _Contents:
    """What an archive holds, and what of it was asked for."""

    files: set[Parts] = field(default_factory=set)
    folders: set[Parts] = field(default_factory=set)
    tables: set[Parts] = field(default_factory=set)
    found: set[Parts] = field(default_factory=set)

    def add(self, member: Member, archive: str) -> None:
        """Take a member in; InputError if there is a file of its name already."""
        parents = {member.parts[:depth] for depth in range(1, len(member.parts))}
        if member.is_folder:
            parents.add(member.parts)
        clash = parents & self.files
        if not member.is_folder and (member.parts in self.files or member.parts in self.folders):
            clash = {member.parts}
        if clash:
            name = shown_name("/".join(min(clash)))
            raise InputError(f"{archive}: holds {name} more than once, so it is refused")
        self.folders |= parents
        if not member.is_folder:
            self.files.add(member.parts)
            if member.parts[-1] == TABLE:
                self.tables.add(member.parts[:-1])

    def sets(self) -> list[str]:
        """Return the Measurement Sets: tables that are not in another one."""
        top = [
            table
            for table in self.tables
            if not any(table[:depth] in self.tables for depth in range(len(table)))
        ]
        return sorted("/".join(table) or "." for table in top)


def unpack_set(path: Path, name: str, folder: Path, limits: Limits) -> Path:
    """Unpack the Measurement Set `name`, at whatever depth it is.

    Parameters
    ----------
    path
        The archive.
    name
        The set's.
    folder
        An empty folder to unpack to.
    limits
        Of what the archive may become.

    Returns
    -------
    Path
        Where it is now, in `folder`.

    Raises
    ------
    InputError
        The archive does not hold the set, or must not be unpacked.
    OutputError
        There is no room for it.
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
            contents.found.add(member.parts[: depth + 1])
            _unpack(member, folder, limits, progress)
    found = [parts for parts in contents.found if parts in contents.tables]
    if len(found) == 1:
        return folder.joinpath(*found[0])
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


def _listed(found: set[Parts] | list[Parts]) -> str:
    return ", ".join(sorted(shown_name("/".join(parts)) for parts in found)[:_MOST_SHOWN])


def _there(contents: _Contents) -> str:
    sets = contents.sets()
    if not sets:
        return "there is no Measurement Set in it"
    more = f" and {len(sets) - _MOST_SHOWN} more" if len(sets) > _MOST_SHOWN else ""
    shown = ", ".join(shown_name(one) for one in sets[:_MOST_SHOWN])
    return f"the Measurement Sets there are {shown}{more}"
