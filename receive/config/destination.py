"""Where sets are pushed to: ``remote:path`` of rclone, and the names of several sets there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from receive.config import inline_remote

ACCEPTED = "remote:path, such as gcs:bucket/demo.ms"
# What rclone takes: letters, digits, _ . + @, and inside also blanks and dashes.
_REMOTE = re.compile(r"[\w.+@]+(?:[ -]+[\w.+@-]+)*")
_BACKEND = re.compile(r"[a-z0-9]+")
_URL_TAIL = re.compile(r"//.*@.*", re.DOTALL)
_PARAMETER = re.compile(r""",[\w-]+(?:=(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^'",:][^,:]*|))?""")


@dataclass(frozen=True)
class Destination:
    """A place that rclone copies to.

    Attributes
    ----------
    remote
        Name of a remote of the configuration; with a colon before it the kind of one that is
        described right here.
    parameters
        Of the connection, ``,key=value``; they may hold credentials.
    path
        On the remote.
    """

    remote: str
    parameters: str
    path: str

    def __str__(self) -> str:
        """As rclone is given it, beside `variables`: without the parameters."""
        return f"{inline_remote.NAME if self.is_described else self.remote}:{self.path}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which rclone takes it for what it is."""
        return inline_remote.variables(self.remote, self.parameters)

    @property
    def shown(self) -> str:
        """As it may be shown.

        A URL for a remote leaves its password in the path, and so does a parameter without quotes
        that holds a colon.
        """
        path = _URL_TAIL.sub("//***", self.path)
        if self.parameters and ":" in path:
            path = "***"
        return f"{self.remote}{',***' if self.parameters else ''}:{path}"

    @property
    def is_described(self) -> bool:
        """Whether no configuration needs to have the remote."""
        return self.remote.startswith(":")

    def with_suffix(self, suffix: str) -> Destination:
        """Return a place beside it: `suffix` is put before the extension."""
        path = PurePosixPath(self.path)
        folder = self.path[: len(self.path) - len(path.name)]
        return replace(self, path=f"{folder}{path.stem}{suffix}{path.suffix}")


def parse_destination(text: str) -> Destination:
    """Return the destination that ``rclone.command`` names.

    Raises
    ------
    ValueError
        It is no ``remote:path``; the message says why.
    """
    if text.startswith("-"):
        raise ValueError("it would be an option of rclone")
    described = text.startswith(":")
    match = (_BACKEND if described else _REMOTE).match(text, int(described))
    if match is None:
        raise ValueError("no remote stands at its beginning")
    end = match.end()
    parameters_at = end
    while parameter := _PARAMETER.match(text, end):
        end = parameter.end()
    if text[end : end + 1] != ":":
        raise ValueError("no colon stands after the remote")
    path = text[end + 1 :].rstrip("/")
    if PurePosixPath(path).name in {"", ".."}:
        raise ValueError("no name stands at its end, so the root of the remote would be filled")
    return Destination(text[: match.end()], text[parameters_at:end], path)


def destinations(
    command: Destination, sets: list[Path], base: Path, *, index: int, count: int, attempt: int
) -> dict[Path, Destination]:
    """Return where each set goes.

    One set of one receiver goes to `command` as it is.  Else the receiver's index, if there are
    several, and what tells the set from others of its run (scan, part) are put before the
    extension; after the first attempt the attempt's number, too.

    Parameters
    ----------
    command
        What the user gave.
    sets
        All sets of the run.
    base
        What the output of the first attempt is called.
    index, count
        This receiver is number `index` of `count`.
    attempt
        0 for the first.
    """
    alone = count == 1 and len(sets) == 1
    return {
        one: command.with_suffix(
            (f"-{index}" if count > 1 else "")
            + ("" if alone else _own_suffix(one, base, attempt))
            + (f"-{attempt}" if attempt else "")
        )
        for one in sets
    }


def _own_suffix(path: Path, base: Path, attempt: int) -> str:
    """Return what a set's name has for its scan and part: ``-s1-p2``."""
    if not path.stem.startswith(base.stem):
        return f"-{path.stem}"
    rest = path.stem.removeprefix(base.stem)
    if attempt:
        rest = rest.removeprefix(f"-a{attempt}")
    return re.sub(r"\A-r[0-9]+(?=-|\Z)", "", rest)
