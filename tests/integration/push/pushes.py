"""``emu-push`` at work, and what stands for the receiver beside it."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from receive.pod.run_folder import RunFolder
from tests.commands import BIN, TIMEOUT_S, options
from tests.remotes import PASSWORD
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests import remotes

FILES = {"table.dat": b"main", "table.f0": bytes(range(256)) * 500, "ANTENNA/table.dat": b"ants"}


class Receiver:
    """A receiver as its run folder shows it."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.results.mkdir()
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        self._folder = RunFolder(self.run_folder)
        self._held = ExitStack()
        self._told: dict[str, Any] = {}

    def begin(self, attempt: int = 0) -> None:
        self._held.enter_context(self._folder.hold())
        base = str(self.results / "recv-vis.ms")
        self._told = {"attempt": attempt, "base": base}
        self._folder.write_run(
            self._told
            | {
                "pid": os.getpid(),
                "folder": str(self.results),
                "outputs_before": sorted(path.name for path in self.results.iterdir()),
                "process_index": 0,
                "process_count": 1,
            }
        )

    def write(self, name: str = "recv-vis.ms", extra: bytes = b"") -> Path:
        path = self.results / name
        for file, content in FILES.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(content + extra)
        return path

    def end(self, status: str = "complete", *sets: Path) -> None:
        codes = {"complete": 0, "stopped": 143, "failed": 8}
        self._folder.write_result(
            self._told
            | {
                "status": status,
                "exit_code": codes[status],
                "sets": [str(path) for path in sets],
                "lost": False,
                "error": None,
                "summary": {"sets": [str(path) for path in sets]},
            }
        )
        self._held.close()

    def crash(self) -> None:
        self._held.close()

    def complete(self, *names: str, attempt: int = 0) -> list[Path]:
        """Run from beginning to end."""
        self.begin(attempt)
        sets = [self.write(name) for name in names or ("recv-vis.ms",)]
        self.end("complete", *sets)
        return sets

    def pushed(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.run_folder / "push.json").read_text())
        return content


def command(
    receiver: Receiver, conf: Path | None, *flags: str, **values: Any
) -> list[str | os.PathLike[str]]:
    settings = {"rclone.command": "far:bucket/demo.ms", "results.retries": 0}
    settings |= {name.replace("__", "."): value for name, value in values.items()}
    given = ["--rclone-config", conf] if conf is not None else []
    return [
        BIN / "emu-push",
        "--run-folder",
        receiver.run_folder,
        "--scratch",
        receiver.run_folder.with_name("scratch"),
        *given,
        *options({name: value for name, value in settings.items() if value is not None}),
        *flags,
    ]


ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
} | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def push(
    receiver: Receiver,
    conf: Path | None,
    *flags: str,
    env: Mapping[str, str] | None = None,
    **values: Any,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(receiver, conf, *flags, **values),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=ENVIRONMENT | dict(env or {}),
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert not list(receiver.run_folder.with_name("scratch").glob("rclone.conf"))
    return done


class Pushing:
    """A push at work."""

    def __init__(self, receiver: Receiver, conf: Path | None, **values: Any) -> None:
        self._log_path = receiver.run_folder.with_name("push.log")
        with self._log_path.open("w") as log:
            self.process = subprocess.Popen(
                command(receiver, conf, **values), stdout=log, stderr=log, env=ENVIRONMENT
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.log or self.process.poll() is not None, words)
        assert words in self.log

    def end(self) -> int:
        return self.process.wait(TIMEOUT_S)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(remote: remotes.Remote) -> set[str]:
    return {path.name for path in (remote.root / "bucket").iterdir()}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]
