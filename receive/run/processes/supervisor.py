"""Supervises several receiver processes: starts them, forwards output and signals, merges results.

Each receiver runs the same command with its share of the streams.  If one ends before all are
ready, the others are stopped, since nothing was received yet.  If one ends later, the others
continue without it, because their data are sent only once.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from receive.command.cli import write_line
from receive.command.ending import EndedBy
from receive.command.port_ranges import port_ranges
from receive.pod.run_files import remove_ready, write_ready
from receive.run.processes.summary import lines, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.run.marked_run import MarkedRun

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.02
LAST_WORDS_S = 1.0
"""How long to read the output of receivers after they have ended: a process that one of them
started may keep its pipe open."""
_READ_BYTES = 1 << 16
_SIGNAL_EXIT = 128
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_STOPPED = tuple(_SIGNAL_EXIT + number for number in _PASSED_ON)
_BY_SEVERITY = (1, 4, 8, 3, 5, 2, 6, 7, *_STOPPED)
"""Exit codes, most severe first; any other code, as of a killed process, comes before all."""


@dataclass
class _Child:
    """One receiver process."""

    index: int
    process: asyncio.subprocess.Process
    ready_file: Path
    summary_file: Path
    ready: dict[str, Any] | None = None
    exit_code: int | None = None

    @property
    def name(self) -> str:
        """Name of the receiver, as in the names of its sets."""
        return f"r{self.index}"

    def look(self) -> None:
        """Update `ready` and `exit_code`."""
        # The receiver removes the file when it ends, which may be before it is seen.
        if self.ready is None:
            with contextlib.suppress(FileNotFoundError):
                self.ready = json.loads(self.ready_file.read_text())
        if self.exit_code is None:
            code = self.process.returncode
            self.exit_code = _SIGNAL_EXIT - code if code is not None and code < 0 else code

    def send(self, number: int) -> None:
        """Send it a signal if it still runs."""
        # Not by `Process.send_signal`: that polls, and takes the exit code from asyncio's watcher.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def end(self) -> None:
        """Terminate it if it still runs, and wait for its end."""
        self.send(signal.SIGTERM)
        await self.process.wait()

    def pumps(self) -> list[asyncio.Task[None]]:
        """Start to forward its output."""
        pipes = ((self.process.stdout, sys.stdout), (self.process.stderr, sys.stderr))
        return [
            asyncio.create_task(_pass_on_lines(pipe, f"[{self.name}] ", stream))
            for pipe, stream in pipes
            if pipe is not None
        ]


@dataclass
class Supervisor:
    """Runs the receivers.

    Parameters
    ----------
    command
        Argument list common to all receivers.
    shares
        Configuration keys of each receiver.
    """

    command: Sequence[str]
    shares: Sequence[dict[str, int]]
    _children: list[_Child] = field(default_factory=list)
    _caught: list[int] = field(default_factory=list)
    _forwarded: int = 0
    _gave_up: bool = False

    def run(self, ready_file: Path | None, marked: MarkedRun) -> int:
        """Run all receivers until they have ended.

        Parameters
        ----------
        ready_file
            Written when all receivers are ready, with all ports in the order of the streams.
        marked
            Gets the merged summary.

        Returns
        -------
        int
            The most severe exit code of the receivers; 0 if all succeeded.
        """
        return asyncio.run(self._run(ready_file, marked))

    async def _run(self, ready_file: Path | None, marked: MarkedRun) -> int:
        for number in _PASSED_ON:
            asyncio.get_running_loop().add_signal_handler(number, self._caught.append, number)
        pumps: list[asyncio.Task[None]] = []
        with tempfile.TemporaryDirectory(prefix="emu-recv-") as folder:
            try:
                for index, share in enumerate(self.shares):
                    child = await _start(self.command, index, share, Path(folder))
                    self._children.append(child)
                    pumps += child.pumps()
                await self._watch(ready_file)
            finally:
                if ready_file is not None:
                    remove_ready([ready_file])
                for child in self._children:
                    await child.end()
                if pumps:
                    await asyncio.wait(pumps, timeout=LAST_WORDS_S)
            exit_code = _worst([child.exit_code or 0 for child in self._children])
            report = self._report(exit_code)
        marked.end(exit_code, report)
        if report["scans"] or not self._gave_up:
            sys.stdout.write("\n".join(lines(report)) + "\n")
            sys.stdout.flush()
        return exit_code

    async def _watch(self, ready_file: Path | None) -> None:
        """Forward signals, and announce when all are ready, until all have ended."""
        announced = False
        while self._look(before_ready=not announced):
            if not announced and all(child.ready for child in self._children):
                announced = True
                self._announce(ready_file)
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self, *, before_ready: bool) -> bool:
        """Forward signals and note receivers that ended; return whether any still runs."""
        while self._forwarded < len(self._caught):
            number = self._caught[self._forwarded]
            self._forwarded += 1
            logger.info("%s: passed on to all receivers", signal.Signals(number).name)
            for child in self._children:
                child.send(number)
        for child in self._children:
            ended_before = child.exit_code is not None
            child.look()
            if not ended_before and child.exit_code is not None:
                self._note_end(child, before_ready=before_ready)
        return any(child.exit_code is None for child in self._children)

    def _note_end(self, child: _Child, *, before_ready: bool) -> None:
        code = child.exit_code
        stopped = code in _STOPPED and bool(self._caught)
        if code == 0 or stopped or self._gave_up:
            logger.debug("Receiver %s ended with %s", child.name, code)
            return
        died = f"Receiver {child.name} (process {child.process.pid}) ended with exit code {code}"
        others = [other for other in self._children if other.exit_code is None]
        if not before_ready:
            suffix = ": the others go on without its channels" if others else ""
            logger.error("%s%s", died, suffix)
            return
        self._gave_up = True
        logger.error("%s before all were ready: the others are stopped", died)
        for other in others:
            other.send(signal.SIGTERM)

    def _announce(self, ready_file: Path | None) -> None:
        told = [child.ready for child in self._children if child.ready is not None]
        ports = [port for ready in told for port in ready["ports"]]
        host = told[0]["host"]
        logger.info(
            "Ready: %d receivers (processes %s) on %s, ports %s",
            len(told),
            ", ".join(str(child.process.pid) for child in self._children),
            host,
            port_ranges(ports),
        )
        if ready_file is not None:
            write_ready(ready_file, {"pid": os.getpid(), "host": host, "ports": ports})

    def _report(self, exit_code: int) -> dict[str, Any]:
        parts = [_read_summary(child.summary_file) for child in self._children]
        report = merge(parts)
        telling = next((child for child in self._children if child.exit_code == exit_code), None)
        if telling is not None and parts[telling.index] is None:
            # This takes precedence over the summaries of the others.
            report["ended_by"] = EndedBy.ERROR
            report["error"] = (
                f"receiver {telling.name} (process {telling.process.pid}) ended with exit code "
                f"{exit_code} and left no summary"
            )
        elif telling is not None and exit_code:
            report["error"] = (parts[telling.index] or {})["error"]
        report["processes"] = [
            {
                "process": child.index,
                "pid": child.process.pid,
                "exit_code": child.exit_code,
                "summary": parts[child.index] is not None,
            }
            for child in self._children
        ]
        return report


async def _start(command: Sequence[str], index: int, share: dict[str, int], folder: Path) -> _Child:
    ready_file, summary_file = folder / f"ready-{index}", folder / f"summary-{index}"
    own = [f"--option={key}={value}" for key, value in share.items()]
    # The last of repeated options applies.
    process = await asyncio.create_subprocess_exec(
        *command,
        *own,
        "--processes=1",
        f"--parent={os.getpid()}",
        f"--ready-file={ready_file}",
        f"--summary-file={summary_file}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C in a terminal reaches the receivers only once, forwarded by this process.
        process_group=0,
    )
    return _Child(index, process, ready_file, summary_file)


def _read_summary(file: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        # The receiver was killed before or while it wrote the file.
        return None
    return content


async def _pass_on_lines(pipe: asyncio.StreamReader, prefix: str, stream: TextIO) -> None:
    """Forward the output of a receiver line by line, prefixed with its name."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while content := await pipe.read(_READ_BYTES):
        *whole, rest = (rest + decoder.decode(content)).split("\n")
        for line in whole:
            _say(f"{prefix}{line}", stream)
    if rest:
        _say(f"{prefix}{rest}", stream)


def _say(line: str, stream: TextIO) -> None:
    # A closed output must not end an observation.
    with contextlib.suppress(OSError):
        write_line(line, stream)


def _worst(codes: Sequence[int]) -> int:
    """Return the most severe exit code."""
    failures = [code for code in codes if code]
    unknown = [code for code in failures if code not in _BY_SEVERITY]
    return unknown[0] if unknown else min(failures, key=_BY_SEVERITY.index, default=0)
