"""The Measurement Set writer against one process's write() of as many bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Pairs, Result, interleave
from tests.bench.receivers import REPOSITORY
from tests.bench.shapes import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.measure import Settings


def dirty_limit_bytes() -> int:
    """Return how much the kernel lets lie unwritten before it makes writers wait."""
    vm = Path("/proc/sys/vm")
    given = int((vm / "dirty_bytes").read_text())
    if given:
        return given
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return available * 1024 * int((vm / "dirty_ratio").read_text()) // 100


@contextmanager
def dirty_limit(limit_bytes: int) -> Iterator[None]:
    """Set the limit for a while, if that is allowed; 0 leaves it."""
    vm = Path("/proc/sys/vm")
    # One of the two rules, and the other one reads 0.
    name = "dirty_bytes" if int((vm / "dirty_bytes").read_text()) else "dirty_ratio"
    before = (vm / name).read_text()
    if not limit_bytes:
        yield
        return
    try:
        (vm / "dirty_bytes").write_text(str(limit_bytes))
    except PermissionError:
        raise SystemExit("--dirty-limit: only root may set the limit") from None
    try:
        yield
    finally:
        (vm / name).write_text(before)


def writer(settings: Settings) -> list[Result]:
    """Dumps to a set; the writer has all cores, as there is no network."""
    pairs, cpu = Pairs(), Pairs()
    model = STANDARD.datamodel(settings.work)

    def one(how: str, rates: list[float], cpus: list[float]) -> None:
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.bench.peers.write", how, model, settings.work,
                str(settings.write_bytes),
            ],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": REPOSITORY},
        )  # fmt: skip
        values = json.loads(done.stdout)
        rates.append(values["bytes"] / values["seconds"] / 1e6)
        cpus.append(values["cpu_s"] / values["bytes"] * 1e9)

    with dirty_limit(settings.dirty_bytes):
        size, limit = settings.write_bytes / 1e9, dirty_limit_bytes() / 1e9
        interleave(
            settings.pairs,
            partial(one, "ours", pairs.ours, cpu.ours),
            partial(one, "plain", pairs.peer, cpu.peer),
        )
    note = f"{size:.1f} GB, the system's dirty limit is {limit:.1f} GB"
    return [
        pairs.result("writer", "bytes/s with sync / write() with sync", ">= 0.8", "MB/s", note),
        cpu.result("writer", "CPU a byte / write()", "", "CPU s/GB"),
    ]
