"""The token that those who end an observation must have."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError

if TYPE_CHECKING:
    from receive.config import Config

KEY = "monitor.token_file"
MAX_BYTES = 4096
_SCHEME = "bearer"


def read_token(config: Config) -> bytes | None:
    """Return the token of `monitor.token_file`, None if there is no such file to be read.

    Raises
    ------
    ConfigError
        If it cannot be read, or holds no token.  The message does not show what it holds.
    """
    name = config.monitor.token_file
    if name is None:
        return None
    place, path = f"{config.place_of(KEY)}: {KEY} {name}", Path(name)
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise ConfigError(f"{place} {what}: give a file that holds the token on one line")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{place} is too large for a token; accepted: up to {MAX_BYTES} bytes")
    token = content.strip()
    if not token:
        raise ConfigError(f"{place} is empty: give a file that holds the token on one line")
    # What a header cannot carry could never be given.
    if any(not 0x21 <= byte <= 0x7E for byte in token):  # noqa: PLR2004 (visible ASCII)
        raise ConfigError(
            f"{place} holds more than one token: accepted are letters, digits and signs of ASCII, "
            f"without blanks between them"
        )
    return token


def is_allowed(token: bytes, authorization: str | None) -> bool:
    """Tell whether the value of an Authorization header holds the token."""
    scheme, _, given = (authorization or "").strip().partition(" ")
    # Bytes, as they came; the time that the comparison takes tells nothing of the token.
    same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token)
    return same and scheme.lower() == _SCHEME
