"""How long a user waits: emu-recv until packets can come, and --help."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests import commands
from tests.bench.measure import Result
from tests.bench.receivers import emu_recv
from tests.bench.shapes import STANDARD

if TYPE_CHECKING:
    from tests.bench.measure import Settings


def start_up(settings: Settings) -> list[Result]:
    """Seconds, against nobody: the ratio is to one second."""
    ready, help_ = [], []
    for _ in range(settings.pairs + 1):
        began_s = time.perf_counter()
        receiver = emu_recv(settings, STANDARD, "tcp", "mswriter")
        ready.append(time.perf_counter() - began_s)
        receiver.end()
        began_s = time.perf_counter()
        commands.ok("emu-recv", "--help")
        help_.append(time.perf_counter() - began_s)
    return [
        _seconds("emu-recv to ready, warm, writing a set", "<= 1.5", ready[1:]),
        _seconds("emu-recv --help", "<= 0.4", help_[1:]),
    ]


def _seconds(what: str, target: str, values: list[float]) -> Result:
    median = sorted(values)[len(values) // 2]
    return Result("start-up", what, target, tuple(values), median, 1.0, "s")
