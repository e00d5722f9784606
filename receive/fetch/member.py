"""Members of an archive in any format, and the check that their paths stay inside the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from receive.command.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_NAME_BYTES = 255
_LONGEST_PATH_BYTES = 3500
"""The kernel's limit is 4096, including the path of the target folder."""
_DEEPEST = 64
_LONGEST_SHOWN = 120


@dataclass(frozen=True)
class Member:
    """A file or a folder of an archive.

    Attributes
    ----------
    parts
        Its path, checked by `safe_parts`; empty for the archive's root.
    is_folder
        Whether it is a folder; otherwise it is a regular file.
    size_bytes
        Size of the file according to the archive.
    open
        Opens the file for reading.
    """

    parts: tuple[str, ...]
    is_folder: bool
    size_bytes: int
    open: Callable[[], BinaryIO]


def shown_name(name: str) -> str:
    """Return a member's name for a message: escaped to one line and shortened."""
    text = ascii(name)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...'"


def safe_parts(name: str, archive: str) -> tuple[str, ...]:
    """Return the parts of a member's path.

    Parameters
    ----------
    name
        The path as stored in the archive.
    archive
        Name of the archive in messages.

    Raises
    ------
    InputError
        The path is absolute, contains ``..`` or forbidden characters, or is too long or too deep.
    """
    if name.startswith("/"):
        raise _refusal(name, archive, "an absolute path")
    if "\\" in name or any(ord(c) < ord(" ") or c == "\x7f" for c in name):
        raise _refusal(name, archive, "a name with a backslash or a control character")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise _refusal(name, archive, "a path with ..")
    sizes = [len(part.encode(errors="surrogateescape")) for part in parts]
    if any(size > _LONGEST_NAME_BYTES for size in sizes) or sum(sizes) > _LONGEST_PATH_BYTES:
        raise _refusal(name, archive, "too long a name")
    if len(parts) > _DEEPEST:
        raise _refusal(name, archive, f"a path of more than {_DEEPEST} folders")
    return parts


def _refusal(name: str, archive: str, why: str) -> InputError:
    return InputError(f"{archive}: holds {shown_name(name)}, {why}, so it is refused")
