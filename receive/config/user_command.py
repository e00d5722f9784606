"""Arguments of ``consumer.command``, and those among them that are secrets.

``secret:NAME=VALUE`` and ``secret_file:NAME=FILE`` are no arguments: VALUE, or what FILE holds, is
the variable NAME in the environment of the command, which only its own user can look at.  The
arguments of a process can be seen by everybody on the machine.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MARKED = re.compile(r"(secret|secret_file):(.*)", re.DOTALL)
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.+)", re.ASCII | re.DOTALL)
_LARGEST_BYTES = 64 << 10  # Linux takes 128 KiB for one variable
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)  # a password may hold blanks


def check_argument(text: str) -> None:
    """Raise ValueError, saying what is accepted, for a mark without a name or a value."""
    marked = _MARKED.fullmatch(text)
    if marked is not None and _VARIABLE.fullmatch(marked[2]) is None:
        what = "VALUE" if marked[1] == "secret" else "FILE"
        raise ValueError(f"{marked[1]}: is followed by NAME={what}, a variable of the command")


def masked_argument(text: str, masked_url: Callable[[str], str]) -> str:
    """Return what may be shown of an argument: no marked value, no password of a URL."""
    marked = _MARKED.fullmatch(text)
    if marked is None:
        return _URL.sub(lambda match: masked_url(match[0]), text)
    variable = _VARIABLE.fullmatch(marked[2])
    if marked[1] == "secret_file" and variable is not None:
        return text
    return f"{marked[1]}:{variable[1] if variable else ''}=***"


def take_apart(items: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the arguments of ``consumer.command``, and the variables that are marked in it.

    Raises
    ------
    ConfigError
        A file of a secret cannot be read, or nothing but secrets is given.
    """
    arguments: list[str] = []
    variables: dict[str, str] = {}
    for item in items:
        marked = _MARKED.fullmatch(item)
        variable = _VARIABLE.fullmatch(marked[2]) if marked is not None else None
        if marked is None or variable is None:
            arguments.append(item)
        elif marked[1] == "secret":
            variables[variable[1]] = variable[2]
        else:
            variables[variable[1]] = _content(Path(variable[2]))
    if variables and not arguments:
        raise ConfigError("consumer.command: there is no program beside the secrets; name one")
    return tuple(arguments), variables


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"consumer.command: secret_file {path} cannot be read: {reason}"
        ) from None
    if len(content) > _LARGEST_BYTES or b"\0" in content:
        raise ConfigError(
            f"consumer.command: secret_file {path} is no text of at most 64 KiB without NUL"
        )
    return content.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
