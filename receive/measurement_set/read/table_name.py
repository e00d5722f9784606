"""The names by which casacore opens what is at a path, and the paths that it takes for others.

casacore takes a name apart before it opens it: what follows ``::`` is a subtable, ``$NAME`` and
``${NAME}`` in any folder's name are variables of the environment where these are set, ``~`` at the
beginning is a home, ``x/..`` is nothing even where x is a link, and a relative name must fit a
buffer.  The last three are of no consequence to an absolute name without ``..``, which is what
`table_name` returns.  For the others there is no way to write them that casacore would take
literally, and a set of such a name could be opened by no program that uses it: they are refused.

What is asked here is asked where a path comes in, before anything relies on it; nothing here needs
casacore.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from receive.command.errors import InputError, OutputError, VisReceiveError

WORK = ".vis-receive"
"""The folder, in a set that grows, of what its writer needs to go on or to mend it."""
_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|(?=([^/]*))(?=(.*)))", re.DOTALL)
_LONGEST_PATH_BYTES = 4000
"""Linux takes 4095; names of a set's subtables and files follow."""
_LONGEST_NAME_BYTES = 255
_LONGEST_NEW_NAME_BYTES = 200
"""Before and behind the name of a new set stand numbers of scans, parts and processes."""


def table_name(path: Path) -> str:
    """Return the name by which casacore opens the set or table at `path`.

    Raises
    ------
    InputError
        casacore would take it for another.
    """
    absolute = _absolute(path)
    _refuse(path, absolute, _LONGEST_NAME_BYTES, InputError)
    return absolute


def refuse_misread_output(path: Path) -> None:
    """Refuse the path of a new set, if casacore would make it elsewhere or not at all.

    Raises
    ------
    OutputError
        If so.
    """
    # A link is followed when a set is put in its place.
    for absolute in dict.fromkeys((_absolute(path), os.path.realpath(path))):
        _refuse(path, absolute, _LONGEST_NEW_NAME_BYTES, OutputError)


def _absolute(path: Path) -> str:
    # Not what ".." would be without links, as os.path.abspath has it.
    return os.path.realpath(path) if ".." in path.parts else str(Path.cwd() / path)


def _refuse(
    path: Path, absolute: str, longest_name_bytes: int, error: type[VisReceiveError]
) -> None:
    reason = _reason(absolute, longest_name_bytes)
    if reason is not None:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        inside = os.fsencode(absolute).decode("utf-8", "backslashreplace")
        where = shown if inside.endswith(shown) else f"{shown}, which is {inside},"
        raise error(f"{where} cannot be the path of a Measurement Set: {reason}")


def _reason(absolute: str, longest_name_bytes: int) -> str | None:
    """Return why casacore cannot be given an absolute path; None if it can."""
    try:
        content = absolute.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8 text; rename it"
    if len(content) > _LONGEST_PATH_BYTES:
        return f"it is longer than {_LONGEST_PATH_BYTES} bytes; choose a shorter one"
    *folders, name = content.split(b"/")
    if len(name) > longest_name_bytes or any(len(f) > _LONGEST_NAME_BYTES for f in folders):
        return f"a name in it is longer than {longest_name_bytes} bytes; choose a shorter one"
    if "::" in absolute:
        return "casacore takes what follows '::' for a subtable; use a path without '::'"
    for match in _VARIABLE.finditer(absolute):
        for variable in match.groups():
            if variable and os.environ.get(variable):
                return (
                    f"casacore puts the value of the variable {variable} for ${variable} in it; "
                    "use a path without '$'"
                )
    return None
