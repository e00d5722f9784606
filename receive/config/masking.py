"""What may be shown of a text that may hold a credential: the one place where that is decided.

Logs, errors, HISTORY, summaries, ``--check``: whatever shows a configuration's value shows what
`masked` makes of it.  Where a text can be read in two ways, more of it is hidden: ``?``, ``#``,
``/`` and ``@`` are characters of passwords too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from receive.config.destination import parse_destination
from receive.config.user_command import masked_argument

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# In a sentence, where quotes and blanks end it.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"']*")
_SHORTEST_SECRET = 4  # "true" is one, and says nothing where it is hidden
_END_OF_AUTHORITY = re.compile(r"[/?#]")
# A password without the @ that should follow it would be taken for a port.
_HOST = re.compile(r"(?:\[[^\[\]]*\]|[^:]*)(?::[0-9]*)?")


def masked(kind: str | bool, value: object) -> object:  # noqa: FBT001 (what Key.secret is)
    """Return what may be shown of a key's value.

    Parameters
    ----------
    kind
        `Key.secret`: False, True, ``userinfo``, ``destination`` or ``command``.
    value
        As the configuration has it; None stays None.
    """
    if not kind or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [masked(kind, item) for item in value]
    text = str(value)
    match kind:
        case "userinfo":
            return masked_url(text)
        case "destination":
            return masked_destination(text)
        case "command":
            return masked_argument(text, masked_url)
    return MASK


def masked_url(text: str) -> str:
    """Return a URL, or ``user:password@host:port``, without user, password, query and fragment."""
    scheme = match[0] if (match := _SCHEME.match(text)) else ""
    rest = text[len(scheme) :]
    end = match.start() if (match := _END_OF_AUTHORITY.search(rest)) else len(rest)
    authority, tail = rest[:end], rest[end:]
    if scheme.lower() in {"", "file://"} and not authority and not tail.startswith("//"):
        # A path of this machine, with or without file:// before it, names no user.
        return f"{scheme}{_without_query(tail) if scheme else tail}"
    if "@" in tail:
        # Of a password, or of the path: only the browser that it was copied from knows.
        return f"{scheme}{MASK}"
    _, at, host = authority.rpartition("@")
    if _HOST.fullmatch(host) is None:
        return f"{scheme}{MASK}"
    return f"{scheme}{f'{MASK}@' if at else ''}{host}{_without_query(tail)}"


def _without_query(tail: str) -> str:
    path = re.split(r"[?#]", tail, maxsplit=1)[0]
    return path if path == tail else f"{path}?{MASK}"


def masked_destination(text: str) -> str:
    """Return a destination of rclone without the parameters of its remote."""
    try:
        return parse_destination(text).shown
    except ValueError:
        # Where the parameters end is not known then.
        return MASK


def masked_urls(text: str) -> str:
    """Return a sentence of another program with its URLs as they may be shown."""
    return _URL.sub(lambda match: masked_url(match[0]), text)


def without(text: str, secrets: Iterable[str]) -> str:
    """Return what another program says, without values that it was given in confidence."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text
