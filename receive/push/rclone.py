"""Runs rclone: arguments only, no shell, in an environment of our own.

What is so is concluded from exit codes and from lists in JSON; its log is for people.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from receive.command.errors import ConfigError, PushError
from receive.config.masking import masked_urls, without
from receive.push.environment import rclone_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

PROGRAM = "rclone"
_NOT_FOUND = 3
"""Its exit code for a folder that is not there."""
# It tries again within an attempt only what costs little; whole attempts are ours.
_COMMON = (
    "--use-json-log",
    "--ask-password=false",
    "--retries=1",
    "--low-level-retries=3",
    "--contimeout=15s",
    "--timeout=60s",
    # A subtable, or a file of one, may lie elsewhere.
    "--copy-links",
)
_HASHES = ("sha256", "sha1", "md5")
"""In this order, before others that a remote may have."""
_CONTENTS_HASH = "sha256"
_STATS = ("--stats=2s", "--stats-log-level=NOTICE")
_LONGEST_REASON = 300


class RcloneError(Exception):
    """What rclone says of why it could not."""


class Rclone:
    """rclone with a configuration.

    Parameters
    ----------
    config
        Its configuration file, which it may rewrite (tokens).
    scratch
        A folder for its temporary files.
    variables
        What its environment has besides: parameters of the destination, which may be credentials.

    Raises
    ------
    ConfigError
        There is no rclone.
    """

    def __init__(self, config: Path, scratch: Path, variables: Mapping[str, str]) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise ConfigError(f"there is no {PROGRAM} on the PATH; install it (the push image has)")
        # What describes the remote goes to that process alone.
        self._secrets = tuple(variables.values())
        self._environment = rclone_environment() | dict(variables)
        self._command = (
            program,
            f"--config={config}",
            f"--temp-dir={scratch}",
            f"--cache-dir={scratch}",
            *_COMMON,
        )

    def remotes(self) -> list[str]:
        """Return the names of the remotes that the configuration, or the environment, has."""
        out = self._output(["listremotes"])
        return [line.rstrip(":") for line in out.splitlines() if line]

    def is_taken(self, destination: str) -> bool:
        """Tell whether there is something at a place."""
        return bool(self._output(["lsf", "--max-depth=1", destination], missing="").strip())

    def copy(
        self, source: Path, destination: str, on_bytes: Callable[[int], None], *, anew: bool
    ) -> None:
        """Copy a folder; what is there already is not sent again, unless `anew`."""
        flags = [*_STATS, *(["--ignore-times"] if anew else [])]
        code, _, messages = self._run(["copy", *flags, str(source), destination], on_bytes)
        if code:
            raise RcloneError(_reason(messages))

    def check(self, source: Path, destination: str) -> str:
        """Compare what is there with a folder; return how: ``hashes``, or ``contents``.

        Names and sizes of all files, and the hashes that the remote has of them.  Where it has
        none, or not of every file, the contents are read back and hashed here.

        Raises
        ------
        DifferentError
            They differ.
        RcloneError
            That could not be found out.
        """
        there = self._listed(destination, None)
        _compare({name: size for name, (size, _) in there.items()}, files_in(source))
        way, kind = "hashes", self._hash_of(destination)
        hashes = self._hashes(destination, kind) if kind is not None else {}
        if kind is None or not all(hashes.values()):
            logger.info("the remote keeps no hashes: what was pushed is read back")
            way, kind = "contents", _CONTENTS_HASH
            hashes = self._read_back(destination)
        _compare(hashes, self._hashes(str(source), kind))
        return way

    def _hash_of(self, destination: str) -> str | None:
        """Return the hash to ask a remote for; None if it has none."""
        features = _parsed(self._output(["backend", "features", destination]), dict)
        kinds = features.get("Hashes") or []
        return next((kind for kind in (*_HASHES, *kinds) if kind in kinds), None)

    def _listed(self, place: str, kind: str | None) -> dict[str, tuple[int, str]]:
        """Return size and hash of each file in a folder; a hash that there is not is empty."""
        flags = ["--recursive", "--files-only", "--no-modtime", "--no-mimetype"]
        flags += [f"--hash-type={kind}"] if kind is not None else []
        out = self._output(["lsjson", *flags, place], missing="[]")
        return {
            str(entry["Path"]): (int(entry["Size"]), (entry.get("Hashes") or {}).get(kind, ""))
            for entry in _parsed(out, list)
        }

    def _hashes(self, place: str, kind: str) -> dict[str, str]:
        return {name: value for name, (_, value) in self._listed(place, kind).items()}

    def _read_back(self, destination: str) -> dict[str, str]:
        """Return the hash of each file of a remote, of what comes when it is read."""
        out = self._output(["hashsum", _CONTENTS_HASH, "--download", destination])
        lines = [line.partition("  ") for line in out.split("\n") if line]
        return {name: value for value, _, name in lines}

    def _output(self, arguments: Sequence[str], missing: str | None = None) -> str:
        """Return what a command prints; `missing` where the folder it is about is not there."""
        code, out, messages = self._run(arguments)
        if code == _NOT_FOUND and missing is not None:
            return missing
        if code:
            raise RcloneError(_reason(messages))
        return out

    def _run(
        self, arguments: Sequence[str], on_bytes: Callable[[int], None] | None = None
    ) -> tuple[int, str, list[tuple[str, str]]]:
        """Run it; return exit code, standard output, and (level, text) of its log."""
        command = [*self._command, *arguments]
        messages = []
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out,
            subprocess.Popen(  # noqa: S603 (a list of arguments, the user's ones validated)
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=self._environment,
                start_new_session=True,  # a Ctrl-C is ours to handle
            ) as process,
        ):
            assert process.stderr is not None  # noqa: S101 (a pipe)
            try:
                for line in process.stderr:
                    entry = _entry(line)
                    stats = entry.get("stats")
                    if on_bytes is not None and isinstance(stats, dict):
                        on_bytes(int(stats.get("bytes", 0)))
                    elif entry.get("msg"):
                        text = without(masked_urls(str(entry["msg"])), self._secrets)
                        messages.append((str(entry.get("level", "")), text))
                        logger.debug("rclone %s: %s", arguments[0], messages[-1][1])
                code = process.wait()
            except BaseException:
                process.kill()
                raise
            out.seek(0)
            return code, out.read(), messages


class DifferentError(RcloneError):
    """What is there is not what is here."""


def files_in(folder: Path) -> dict[str, int]:
    """Return the size of each file in a folder, by its path there; PushError if it cannot."""
    paths = (
        os.path.join(inside, name)  # noqa: PTH118 (os.walk gives text)
        for inside, _, names in os.walk(folder, followlinks=True)
        for name in names
    )
    try:
        return {os.path.relpath(path, folder): os.stat(path).st_size for path in paths}  # noqa: PTH116
    except OSError as error:
        raise PushError(f"{error.filename} cannot be read: {error.strerror}") from None


def _compare(there: Mapping[str, object], here: Mapping[str, object]) -> None:
    """Raise DifferentError, which names one of the differences, if there are some."""
    names = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    if not names:
        return
    first = names[0]
    what = (
        "is not there" if first not in there else "is not here" if first not in here else "differs"
    )
    raise DifferentError(
        f"{len(here)} files are here, {len(there)} there, {len(names)} of them are not the same: "
        f"{first} {what}"
    )


def _parsed(text: str, kind: type) -> Any:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, kind):
        raise RcloneError("rclone answers in another way than the rclone that is known here")
    return content


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"level": "", "msg": line.strip()}


def _reason(messages: Sequence[tuple[str, str]]) -> str:
    """Return the last thing that went wrong."""
    for levels in ({"critical"}, {"error"}, {"warning"}, {"notice", ""}):
        texts = [text for level, text in messages if level in levels]
        if texts:
            reason = " ".join(texts[-1].split())
            return reason if len(reason) < _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."
    return "rclone failed and does not say why"
