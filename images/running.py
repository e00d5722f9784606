"""Other programs, run so that a build shows where it is and how long each step took."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from images.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["answer", "run", "say", "timed"]

# What docker's BuildKit, and what podman and buildah print of a step.
_STEP = re.compile(r"^(#\d+ \[.*|(\[\d+/\d+\] )?STEP .*|compiled .*)")
_SHOWN_CHARACTERS = 110
_SHOWN_OF_FAILURE = 30

_began_s = time.monotonic()


def say(text: str) -> None:
    """Print a line with the time since the beginning."""
    sys.stdout.write(f"[{time.monotonic() - _began_s:6.1f} s] {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def timed(text: str) -> Iterator[None]:
    """Say what is being done, and at the end how long it took."""
    say(f"{text} ...")
    began_s = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - began_s:.1f} s")


def answer(command: Sequence[str | os.PathLike[str]], timeout_s: float = 60.0) -> str | None:
    """Return what a command prints, None if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    verbose: bool = False,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a command, showing its steps; everything it said if it fails.

    Raises
    ------
    BuildError
        It is not there or fails.
    """
    said: deque[str] = deque(maxlen=_SHOWN_OF_FAILURE)
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=os.environ | (environment or {}),
        )
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error.strerror}") from error
    with process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        for line in process.stdout:
            said.append(line)
            if verbose or _STEP.match(line):
                say(f"  {line.rstrip()[: None if verbose else _SHOWN_CHARACTERS]}")
    if process.returncode:
        if not verbose:
            sys.stdout.writelines(said)
        parts = " ".join(map(str, command[:2]))
        raise BuildError(f"{parts} ended with {process.returncode}; its last lines are above")
