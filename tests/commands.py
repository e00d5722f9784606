"""The project's commands as a user runs them: other processes, real sockets, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BIN = Path(sys.executable).parent
TIMEOUT_S = 120.0


def run(
    command: str, *arguments: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [BIN / command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=cwd,
    )


def ok(command: str, *arguments: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed; return what it printed."""
    done = run(command, *arguments, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def options(values: Mapping[str, Any]) -> list[str]:
    """Return the command-line options for configuration values."""
    return [part for key, value in values.items() for part in ("-o", f"{key}={value}")]


@dataclass
class RunningReceiver:
    """``emu-recv`` at work.

    Attributes
    ----------
    folder
        Where it runs and writes.
    """

    folder: Path
    process: subprocess.Popen[str]
    log_path: Path
    ports: list[int] = field(default_factory=list)

    @property
    def endpoints(self) -> str:
        """Value of ``transmission.endpoints`` that reaches it."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        return self.log_path.read_text()

    @property
    def last_line(self) -> str:
        """What it says of the whole run when it ends."""
        (line,) = [line for line in self.log.splitlines() if line.startswith("received ")]
        return line

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout_s)

    def summary(self) -> dict[str, Any]:
        """Return its summary file."""
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content

    def kill(self) -> None:
        """Kill it, children included, as the kernel does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT_S)


def start_receiver(
    folder: Path,
    datamodel: Path,
    values: Mapping[str, Any] | None = None,
    *,
    flags: Sequence[str] = (),
    ready: bool = True,
) -> RunningReceiver:
    """Start ``emu-recv`` on free ports and wait until packets can come."""
    settings = {
        "reception.bind_hostname": "127.0.0.1",
        "reception.port_start": 0,
        "reception.datamodel": datamodel,
        "reception.outputfilename": folder / "received.ms",
        "reception.idle_timeout": 30,
    } | dict(values or {})
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)
    log_path = folder / "receiver.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [
                BIN / "emu-recv",
                *options(settings),
                "--ready-file",
                ready_file,
                "--summary-file",
                folder / "summary.json",
                *flags,
            ],
            stdout=log,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    receiver = RunningReceiver(folder, process, log_path)
    if ready:
        wait_until(
            lambda: ready_file.exists() or process.poll() is not None,
            f"emu-recv is ready: {receiver.log}",
        )
        assert ready_file.exists(), receiver.log
        receiver.ports = json.loads(ready_file.read_text())["ports"]
    return receiver


def send(
    receiver: RunningReceiver, ms: Path, values: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """Send a set to a receiver with ``emu-send``, flat out unless told otherwise."""
    settings = {
        "transmission.endpoints": receiver.endpoints,
        "transmission.time_interval": -1,
    } | dict(values or {})
    return run("emu-send", *options(settings), ms)
