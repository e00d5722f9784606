"""Runs rclone: arguments only, no shell, its log made ours."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from receive.errors import ConfigError
from receive.masking import masked_urls, without

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
)
_STATS = ("--stats=2s", "--stats-log-level=NOTICE")
_NO_HASH = "hashes could not be checked"
_DIFFERENCES = re.compile(r"([0-9]+) differences found")
_ERRORS = re.compile(r"([0-9]+) errors while checking")
_IS_A_FILE = "is a file not a directory"
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
        self._variables = dict(variables)
        self._command = (
            program,
            f"--config={config}",
            f"--temp-dir={scratch}",
            f"--cache-dir={scratch}",
            *_COMMON,
        )

    def remotes(self) -> list[str]:
        """Return the names of the remotes that the configuration, or the environment, has."""
        code, out, messages = self._run(["listremotes"])
        if code:
            raise RcloneError(_reason(messages))
        return [line.rstrip(":") for line in out.splitlines() if line]

    def is_taken(self, destination: str) -> bool:
        """Tell whether there is something at a place."""
        code, out, messages = self._run(["lsf", "--max-depth=1", destination])
        if code == _NOT_FOUND:
            return False
        if code:
            raise RcloneError(_reason(messages))
        return bool(out.strip())

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

        By the hashes that the remote keeps.  Where it has none rclone would believe the sizes and
        say so; then the contents are read back and compared.

        Raises
        ------
        DifferentError
            They differ.
        RcloneError
            That could not be found out.
        """
        arguments = ["check", "--one-way", str(source), destination]
        code, _, messages = self._run(arguments)
        way = "hashes"
        if not code and any(_NO_HASH in text for _, text in messages):
            logger.info("the remote keeps no hashes: what was pushed is read back")
            way = "contents"
            code, _, messages = self._run([*arguments, "--download"])
        if code:
            raise (DifferentError if _differs(messages) else RcloneError)(_reason(messages))
        return way

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
                env=os.environ | self._variables,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
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
                        text = without(masked_urls(str(entry["msg"])), self._variables.values())
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


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"level": "", "msg": line.strip()}


def _differs(messages: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a comparison found differences, and nothing that it could not compare."""
    counts = []
    for pattern in (_DIFFERENCES, _ERRORS):
        found = [match for _, text in messages if (match := pattern.match(text))]
        counts.append(int(found[-1][1]) if found else 0)
    differences, errors = counts  # rclone counts the differences among the errors
    return 0 < differences >= errors or any(_IS_A_FILE in text for _, text in messages)


def _reason(messages: Sequence[tuple[str, str]]) -> str:
    """Return the last thing that went wrong."""
    for levels in ({"critical"}, {"error"}, {"warning"}, {"notice", ""}):
        texts = [text for level, text in messages if level in levels]
        if texts:
            reason = " ".join(texts[-1].split())
            return reason if len(reason) < _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."
    return "rclone failed and does not say why"
