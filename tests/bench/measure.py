"""What is measured, and how: pinned processes, CPU seconds, pairs, medians and their spread."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Settings:
    """How long and how often.

    Attributes
    ----------
    pairs
        Interleaved pairs of a row.
    seconds
        Length of one measurement, after the warm-up.
    search_seconds, search_steps, confirmations
        Of the search for the highest rate without a loss.
    write_bytes
        What the writer's row writes.
    dirty_bytes
        What the kernel's limit of unwritten bytes is set to meanwhile; 0: left as it is.
    busy
        Processes that compute beside the benchmarks.
    streams
        Instead of a row's own number of streams, None: as the row says.
    """

    work: Path
    pairs: int = 7
    seconds: float = 5.0
    warm_up_s: float = 0.5
    search_seconds: float = 10.0
    search_steps: int = 4
    confirmations: int = 3
    write_bytes: int = 1536 << 20
    dirty_bytes: int = 0
    busy: int = 0
    streams: int | None = None
    quick: bool = False

    @classmethod
    def for_tests(cls, work: Path) -> Settings:
        """Return settings with which every row ends soon and means little."""
        return cls(
            work,
            pairs=2,
            seconds=1.0,
            warm_up_s=0.3,
            search_seconds=1.0,
            search_steps=2,
            confirmations=1,
            write_bytes=128 << 20,
            quick=True,
        )


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes
    ----------
    row, what
        Name of the row, and what was compared with what.
    target
        Text such as ``<= 1.05``; empty where the number only explains another one.
    ratios
        One for each pair, ours over the peer's.
    ours, peer
        Medians in `unit`.
    """

    row: str
    what: str
    target: str
    ratios: tuple[float, ...]
    ours: float
    peer: float
    unit: str
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """Quartiles of the ratios: half of the pairs lie between them."""
        if len(self.ratios) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return first, third

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if not self.target:
            return None
        relation, limit = self.target.split()
        return self.median <= float(limit) if relation == "<=" else self.median >= float(limit)


@dataclass
class Pairs:
    """Measurements of ours and of a peer, taken in turn."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)

    def result(self, row: str, what: str, target: str, unit: str, note: str = "") -> Result:
        ratios = tuple(a / b for a, b in zip(self.ours, self.peer, strict=True))
        ours, peer = statistics.median(self.ours), statistics.median(self.peer)
        return Result(row, what, target, ratios, ours, peer, unit, note)


def interleave(count: int, *members: Callable[[], None]) -> None:
    """Run the members in turn, in the opposite order every other time.

    What drifts (a warm machine, a busy neighbour) then meets all of them alike.
    """
    for turn in range(count):
        for member in members if turn % 2 == 0 else members[::-1]:
            member()


def cores() -> tuple[set[int], set[int]]:
    """Return the cores of the sender and those of the receiver: halves of what there is."""
    there = _PINNED or sorted(os.sched_getaffinity(0))
    if not _PINNED:
        _PINNED.extend(there)
    half = max(1, len(there) // 2)
    return set(there[:half]), set(there[half:] or there)


_PINNED: list[int] = []


def pin(pid: int, to: set[int]) -> None:
    """Keep a process, all its threads, on some cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), to)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the seconds that processes have spent on a CPU, all threads, to the nanosecond.

    The kernel's accounting of running threads: rusage's, but readable while they run, so that
    start-up and shutdown do not count.
    """
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def udp_drops(ports: Sequence[int]) -> int:
    """Return the datagrams that the kernel dropped because these ports' buffers were full."""
    wanted = set(ports)
    dropped = 0
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        parts = line.split()
        if int(parts[1].split(":")[1], 16) in wanted:
            dropped += int(parts[-1])
    return dropped
