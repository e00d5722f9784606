"""Starting and stopping beds from elsewhere: what `make cluster` and the tests use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import build, packages, registry
from testbed.bed import read_state
from testbed.errors import BedError
from testbed.places import builds_folder
from testbed.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).resolve().parents[1]
STOP_TIMEOUT_S = 60.0


def why_not() -> str | None:
    """Return why this machine cannot carry a bed; None when it can."""
    if sys.platform != "linux":
        return "a cluster of our own needs Linux"
    if os.geteuid() != 0:
        return "a cluster of our own needs root"
    if packages.missing() and packages.path_of("apt-get") is None:
        return f"a cluster of our own needs {' '.join(packages.missing())}"
    return None


@dataclass
class Owned:
    """A bed that ends with this process.

    Attributes
    ----------
    state
        How it is reached.
    """

    state: dict[str, Any]
    keeper: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it; return when everything has been taken back.

        Raises
        ------
        BedError
            When it cannot be ended.
        """
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        try:
            self.keeper.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()
        registry.sweep()


def start(
    report: Callable[[str], None] = build.to_stderr,
    folder: Path | None = None,
    *,
    attached: bool = False,
) -> Owned:
    """Build what is missing and start a bed; wait until it is ready.

    Parameters
    ----------
    report
        Called with lines that say how far it is.
    folder
        Its run folder; one in the cache by default.
    attached
        Whether it ends when this process does.

    Raises
    ------
    BedError
        When the machine cannot carry it, or a part does not start.
    """
    if reason := why_not():
        raise BedError(reason)
    packages.provide(report)
    binaries = build.binaries(report)
    command = [sys.executable, "-m", "testbed.keeper", "--bin", str(binaries)]
    command += ["--folder", str(folder.absolute())] if folder else []
    command += ["--attached"] if attached else []
    log_path = builds_folder() / "keeper.log"
    reading, writing = os.pipe()
    with log_path.open("ab") as log, os.fdopen(reading) as said:
        try:
            keeper = subprocess.Popen(
                [*command, "--said", str(writing)],
                stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                pass_fds=[writing],
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            line = said.readline().strip()
        except BaseException:
            keeper.terminate()
            keeper.wait()
            raise
    if not line or line.startswith("error: "):
        keeper.wait()
        registry.sweep()
        raise BedError(line.removeprefix("error: ") or f"the cluster's owner died: see {log_path}")
    state = read_state(Path(line))
    report(f"cluster {state['number']} ready in {state['seconds']:g} s, logs in {line}/logs")
    return Owned(state, keeper)


def stop(number: int) -> None:
    """End a bed that another process owns, or that nobody does any more.

    Raises
    ------
    BedError
        When its owner does not end.
    """
    entry = registry.written().get(number)
    if entry is not None and registry.is_alive(number):
        pid = entry["pid"]
        began = start_time(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while start_time(pid) == began and began is not None:
            if time.monotonic() > deadline_s:
                raise BedError(f"process {pid}, the owner of cluster {number}, does not end")
            time.sleep(0.05)
    registry.sweep()
