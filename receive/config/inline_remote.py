"""Parameters of a remote that stand in the destination, as variables of rclone's environment.

In ``:s3,secret_access_key=...:bucket/x`` or ``far,pass=...:x`` they would stand in rclone's command
line, which everybody on the machine can read.  ``RCLONE_CONFIG_<REMOTE>_<KEY>`` says the same to
that one process alone, and comes before what the configuration file says.
"""

from __future__ import annotations

import re

NAME = "vis_receive_described"
"""What a remote that no configuration has is called."""
_PARAMETER = re.compile(r""",([\w-]+)(?:=("(?:[^"]|"")*"|'(?:[^']|'')*'|[^,]*))?""")


def parameters(text: str) -> dict[str, str]:
    """Return the parameters of ``,key=value,key="va""lue",switch``."""
    return {match[1]: _value(match[2]) for match in _PARAMETER.finditer(text)}


def variables(remote: str, text: str) -> dict[str, str]:
    """Return what says to rclone what `text`, the parameters of `remote`, would.

    Parameters
    ----------
    remote
        Name of a remote; with a colon before it the kind of one that is called `NAME`.
    text
        Its parameters, ``,key=value``.
    """
    given = parameters(text)
    name = remote
    if remote.startswith(":"):
        name, given = NAME, {"type": remote[1:]} | given
    return {_variable(name, key): value for key, value in given.items()}


def _variable(remote: str, key: str) -> str:
    return f"RCLONE_CONFIG_{remote}_{key}".replace("-", "_").upper()


def _value(text: str | None) -> str:
    if text is None:
        return "true"
    if text[:1] in {'"', "'"}:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text
