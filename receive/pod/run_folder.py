"""The folder in which a receiver reports its state to the other containers of its pod.

Containers that share it with the receiver (`--run-folder`) learn when the receiver is ready, and
when and how the run ended, without access to Kubernetes or the network::

    lock         held (flock) while the receiver's process lives
    run.json     the receiver has started: process, attempt, output folder
    ready.json   the receiver is ready: host, ports, channels
    result.json  the marker: the run has ended or was stopped, and all output is closed

The kernel releases the lock when the process ends in any way, so a free lock without a marker
means a crash.  Files are renamed into place, so a reader never sees a part of one.

This module imports only the standard library, which is all that the pushing container has.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Any

from receive.command.errors import OutputError
from receive.command.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from receive.command.stop import StopRequest

OPTION = "--run-folder"
STEP_S = 0.1
"""Interval at which the files and the lock are polled."""
PATIENCE_S = 2.0
"""How long to retry the lock: `RunFolder.is_held` takes it for a moment."""


class RunFolder:
    """The folder of one receiver.

    Parameters
    ----------
    path
        Must exist and be writable for the receiver.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- the receiver ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock, which shows that the receiver lives.

        Files of an earlier run are removed.  Child processes do not inherit the lock.

        Raises
        ------
        OutputError
            If the folder cannot be written, or another receiver holds its lock.
        """
        try:
            # Python sets O_CLOEXEC, so children do not inherit the lock.
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._refusal(error) from error
        try:
            if not _lock_for_good(lock):
                raise OutputError(
                    f"{OPTION} {self.path}: another receiver is at work there; give each its own"
                )
            for left in (self._result, self.ready_file, self._run):
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Record that the receiver has started."""
        self._write(self._run, content)

    def write_result(self, content: Mapping[str, Any]) -> None:
        """Write the marker."""
        self._write(self._result, content)

    # --- those beside it ------------------------------------------------------------------------

    @property
    def ready_file(self) -> Path:
        """Written by the receiver when it is ready for packets."""
        return self.path / "ready.json"

    def is_held(self) -> bool:
        """Whether a receiver lives."""
        try:
            lock = os.open(self._lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def wait_for_start(self, timeout_s: float, stop: StopRequest) -> bool:
        """Wait for a receiver to start, until the timeout or `stop`; return whether one has."""
        deadline_s = time.monotonic() + timeout_s
        while not self._has_begun():
            if time.monotonic() > deadline_s or stop.wait(STEP_S):
                return self._has_begun()
        return True

    def run(self) -> dict[str, Any] | None:
        """Return what the receiver recorded when it started; None if it recorded nothing.

        A receiver whose configuration is refused writes only the marker.
        """
        return _read(self._run)

    def ready(self) -> dict[str, Any] | None:
        """Return the receiver's address; None if it is not ready or its process has ended."""
        content = _read(self.ready_file)
        return content if self.is_held() else None

    def result(self) -> dict[str, Any] | None:
        """Return the marker, None if there is none: if the lock is free none will follow."""
        return _read(self._result)

    def _has_begun(self) -> bool:
        return self.run() is not None or self.result() is not None

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def _run(self) -> Path:
        return self.path / "run.json"

    @property
    def _result(self) -> Path:
        return self.path / "result.json"

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        try:
            write_whole(path, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(
            f"{OPTION} {self.path} cannot be written: {error.strerror or error}; give a "
            f"folder that is there and writable"
        )


def _lock_for_good(lock: int) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(STEP_S)
        else:
            return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content
