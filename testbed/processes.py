"""The ledger of a bed's own processes: who was started, and whether it is still the same."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import BedError

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

LEDGER = "processes.jsonl"
END_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.01
# Its group is that of the shell's last child, which needs no fork of its own.
DETACH = 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null & echo $!'


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none.

    A process id alone may since belong to somebody else.
    """
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 22; field 2, the name, is in brackets and may hold anything (proc(5)).
    fields = content.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Started:
    """A process that the bed started."""

    name: str
    pid: int
    start: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Whether this very process is still there."""
        return start_time(self.pid) == self.start

    def send(self, what: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)

    def wait(self) -> None:
        """Wait until it has ended.

        Raises
        ------
        BedError
            When it does not.
        """
        deadline_s = time.monotonic() + END_TIMEOUT_S
        while self.is_alive():
            if time.monotonic() > deadline_s:
                raise BedError(f"waited {END_TIMEOUT_S:g} s in vain until {self.name} ends")
            time.sleep(LOOK_EVERY_S)


class Ledger:
    """Starts processes, their output into files of their own, and writes down which they are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / LEDGER
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._children: list[subprocess.Popen[bytes]] = []
        self._writing = threading.Lock()

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> Started:
        """Start a process."""
        self.reap()
        words = tuple(str(word) for word in command)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | dict(environment or {}),
                cwd="/",
            )
        with self._writing:
            self._children.append(child)
        return self._note(name, child.pid, words, environment or {})

    def start_again(self, process: Started) -> Started:
        """Start what has ended as it was started, as nobody's child: this one may end first."""
        done = subprocess.run(
            ["sh", "-c", DETACH, "detach", self.log(process.name), *process.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=os.environ | dict(process.environment),
            cwd="/",
            text=True,
            check=True,
        )
        pid = int(done.stdout)
        return self._note(process.name, pid, process.command, process.environment)

    def _note(
        self, name: str, pid: int, command: tuple[str, ...], environment: Mapping[str, str]
    ) -> Started:
        started = Started(name, pid, start_time(pid) or 0, command, environment)
        with self._writing, self._file.open("a") as file:
            file.write(json.dumps(asdict(started)) + "\n")
        return started

    def log(self, name: str) -> Path:
        """Return the file with a process's output."""
        return self._logs / f"{name}.log"

    def reap(self) -> None:
        """Take leave of the children that have ended."""
        with self._writing:
            self._children = [child for child in self._children if child.poll() is None]


def written_down(folder: Path) -> list[Started]:
    """Return the processes of a bed that was started in a folder."""
    file = folder / LEDGER
    if not file.exists():
        return []
    # The last line of an owner that was killed may be half.
    found = []
    for line in file.read_text().splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            content = json.loads(line)
            found.append(Started(**content | {"command": tuple(content["command"])}))
    return found
