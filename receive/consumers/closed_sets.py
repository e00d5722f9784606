"""Lists the closed sets of a run, and runs the user's command for each.

Commands run in the background, a few at a time, each in a process group of its own, so that the
terminal's Ctrl-C reaches the receiver and not them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from receive.command.errors import ConfigError, ConsumerError
from receive.command.progress import Progress
from receive.config.masking import masked
from receive.config.user_command import take_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from receive.command.stop import StopRequest

logger = logging.getLogger(__name__)

PLACEHOLDER = "{path}"
AT_A_TIME = 2
"""Commands that run at a time: they share disk and processors with the receiver."""
TERM_S = 5.0
"""Time for a command to end after SIGTERM, before SIGKILL."""
_LOOK_EVERY_S = 0.1


@runtime_checkable
class ClosesSets(Protocol):
    """A consumer that closes Measurement Sets, and calls ``on_closed`` with each of them."""

    on_closed: Callable[[Path], None]


@dataclass(frozen=True)
class Failure:
    """A command that failed.

    Attributes
    ----------
    path
        The set it was run for.
    reason
        ``exit code 3``, ``ended by SIGKILL``, ``took longer than 10 s``, ...
    exit_code
        None if it did not end by itself.
    """

    path: Path
    reason: str
    exit_code: int | None


class ClosedSets:
    """Collects the sets that a run has closed, and runs the command for each.

    Parameters
    ----------
    command
        Arguments; ``{path}`` in them is the absolute path of the set, and marked ones are secrets
        (`receive.config.user_command`).  Empty: none is run.
    timeout_s
        How long a command may take; 0 is no limit.

    Raises
    ------
    ConfigError
        If there is no such program.
    """

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self.paths: list[Path] = []
        self.failures: list[Failure] = []
        self._command, self._variables = take_apart(command)
        self._timeout_s = timeout_s
        self._waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._done = 0
        self._give_up = threading.Event()
        self._workers = 0
        program = self._command[0] if self._command else ""
        if program and PLACEHOLDER not in program and shutil.which(program) is None:
            raise ConfigError(
                f"consumer.command: there is no program {program}: give the first of the list as "
                f"a program in PATH, or with its whole path"
            )

    def add(self, path: Path) -> None:
        """Record a closed set, and queue its command."""
        path = path.absolute()
        with self._lock:
            # Several consumers may close sets.
            self.paths.append(path)
            if not self._command:
                return
            self._waiting.put(path)
            if self._workers < AT_A_TIME:
                self._workers += 1
                # A daemon, since it never ends.
                threading.Thread(target=self._work, name="consumer.command", daemon=True).start()

    def finish(self, stop: StopRequest, on_look: Callable[[], None] = lambda: None) -> None:
        """Wait for all commands.

        Parameters
        ----------
        stop
            If set again, running commands are ended, and waiting ones count as failed.
        on_look
            Called repeatedly meanwhile.
        """
        commands = len(self.paths) if self._command else 0
        if self._done == commands:
            return
        stop.clear()
        logger.info(
            "Waiting for the command of %d sets%s; a signal (Ctrl-C) ends them",
            commands - self._done,
            f", each at most {self._timeout_s:g} s" if self._timeout_s else "",
        )
        with Progress("commands", commands, "sets") as progress:
            while progress.done < commands:
                if stop.wait(_LOOK_EVERY_S):
                    self._give_up.set()
                progress.update(self._done - progress.done)
                on_look()

    def error(self) -> ConsumerError | None:
        """Return the failures as an error of one line; None if there are none."""
        if not self.failures:
            return None
        first = self.failures[0]
        return ConsumerError(
            f"consumer.command {self._command[0]} failed for {len(self.failures)} of "
            f"{len(self.paths)} sets, first for {first.path}: {first.reason}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome of the commands, for the summary file."""
        return {
            "run": self._done,
            "failed": len(self.failures),
            "failures": [
                {"path": str(f.path), "reason": f.reason, "exit_code": f.exit_code}
                for f in self.failures
            ],
        }

    def _work(self) -> None:
        while True:
            path = self._waiting.get()
            failure = self._run(path)
            if failure is None:
                logger.info("consumer.command %s ended for %s", self._command[0], path)
            else:
                logger.error(
                    "consumer.command %s failed for %s: %s",
                    self._command[0],
                    path,
                    failure.reason,
                )
            with self._lock:
                if failure is not None:
                    self.failures.append(failure)
                self._done += 1

    def _run(self, path: Path) -> Failure | None:
        if self._give_up.is_set():
            return Failure(path, "not started: told to stop", None)
        arguments = [argument.replace(PLACEHOLDER, str(path)) for argument in self._command]
        logger.debug("consumer.command: %s", masked("command", arguments))
        try:
            process = subprocess.Popen(  # noqa: S603 -- the user's own command, without a shell
                arguments,
                stdin=subprocess.DEVNULL,
                env=os.environ | self._variables,
                # Standard output is reserved for the summary.
                stdout=2,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Failure(path, f"cannot be started: {error}", None)
        ended_for = self._await(process)
        if ended_for is not None:
            return Failure(path, ended_for, None)
        code = process.returncode
        if code < 0:
            return Failure(path, f"ended by {signal.Signals(-code).name}", None)
        return Failure(path, f"exit code {code}", code) if code else None

    def _await(self, process: subprocess.Popen[bytes]) -> str | None:
        """Wait for a command; return the reason if it had to be ended, else None."""
        began_s = time.monotonic()
        while True:
            try:
                process.wait(_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                return None
            if self._give_up.is_set():
                _end(process)
                return "ended: told to stop"
            if self._timeout_s and time.monotonic() - began_s > self._timeout_s:
                _end(process)
                return f"took longer than consumer.command_timeout = {self._timeout_s:g} s"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its whole process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERM_S)
            return
