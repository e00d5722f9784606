"""A receiver under fuzzed packets: everything is counted, memory stays, real data come through.

``python -m tests.fuzz.attack --seed 1 --count 1000000`` (``make fuzz``).  A run that fails is had
again with the same seed and count, a part of it with ``--first BATCH``.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from receive.stream.table.shared_types import REASON_TEXT, Reason
from tests.fuzz.packets import batches, is_packet
from tests.integration.recorder import Recorder
from tests.integration.running import Running
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

DUMP_TIMEOUT_S = 1.0
REAL_SCAN = 990_099
GROWTH_BYTES = 48 << 20
"""Of the resident memory, from the time on when everything has been used once."""
WARM = 0.2
"""Part of the run after which that is so."""


class Keeper(Recorder):
    """Looks at everything, keeps the real observation only."""

    def __init__(self, config: Any, tm: Any) -> None:
        super().__init__(config, tm)
        self.ended = deque(maxlen=4)  # type: ignore[assignment]

    async def consume(self, payload: Any) -> None:
        await super().consume(payload)
        if payload.scan_id != REAL_SCAN:
            self.taken.pop()


@dataclass
class Result:
    """What became of the packets."""

    sent: int
    packets: int
    begun: int
    refused: dict[str, int]
    scans: int
    grown_bytes: int
    seconds: float

    def line(self) -> str:
        refused = ", ".join(f"{reason} {count}" for reason, count in self.refused.items() if count)
        return (
            f"{self.sent} packets in {self.seconds:.0f} s: {self.sent - self.packets} were none, "
            f"{self.packets} began {self.begun} heaps in {self.scans} scans, refused: {refused}; "
            f"memory grew by {self.grown_bytes / 2**20:.1f} MiB"
        )


def attack(folder: Path, seed: int, count: int, first: int = 0) -> Result:
    """Send fuzzed packets to a receiver, then an observation; assert that all is as it should be.

    Parameters
    ----------
    folder
        For the ready file.
    seed, count, first
        Which packets: their number, and the batch to begin with.
    """
    shape = {"per_stream": 4, "packet_payload": 300, "antennas": 3}
    observation = Observation(**shape)
    options = {
        "reception.consumer": "tests.fuzz.attack.Keeper",
        "reception.max_scans": 0,
        "reception.idle_timeout": 0,
        "reception.dump_timeout": DUMP_TIMEOUT_S,
    }
    running = Running(observation, folder, options)
    try:
        return _attack(running, shape, (seed, count, first))
    except Exception:
        running.end()  # raises what it ended with, which says more
        raise
    finally:
        running.abandon()
        Recorder.made.clear()


def _attack(running: Running, shape: dict[str, Any], which: tuple[int, int, int]) -> Result:
    seed, count, first = which
    started_s = time.monotonic()
    sent, accepted, warm_bytes = 0, 0, 0
    with Sender(running.ports) as sender:
        for batch in batches(seed, first, count):
            for number, packet in enumerate(batch):
                sender.send(number % len(running.ports), [packet])
            sent += len(batch)
            accepted += sum(map(is_packet, batch))
            running.drain()
            wait_until(
                lambda expected=accepted: running.view.packets >= expected,
                f"the packets to {sent} were taken",
            )
            if not warm_bytes and sent >= WARM * count:
                warm_bytes = resident_bytes()
        running.look_twice()
        assert running.view.packets == accepted, (running.view.packets, accepted)
        grown_bytes = resident_bytes() - warm_bytes
        begun = int(running.view.begun.sum())
        refused = {REASON_TEXT[r]: running.refused(r) for r in Reason}
        _receive_real_data(running, sender, shape)
    outcome = running.end()
    assert sum(refused.values()) <= begun
    for ledger in outcome.scans:
        assert ledger.expected == int(ledger.received.sum()) + ledger.missing
        assert (ledger.received >= 0).all()
        assert (ledger.refused >= 0).all()
    assert not outcome.errors
    assert grown_bytes < GROWTH_BYTES, f"memory grew by {grown_bytes} bytes"
    seconds = time.monotonic() - started_s
    return Result(sent, accepted, begun, refused, len(outcome.scans), grown_bytes, seconds)


def _receive_real_data(running: Running, sender: Sender, shape: dict[str, Any]) -> None:
    running.settle()
    # Above what the fuzzed heaps count.
    real = Observation(**shape, seed=9, scan_id=REAL_SCAN, first_heap_count=(1 << 48) - 1000)
    begun = running.view.begun
    before = begun.copy()
    for stream in range(len(running.ports)):
        sender.send(stream, real.start(stream))
    # The fuzzed streams are not in step: only the starts of all say that this is one sender.
    wait_until(lambda: bool((begun > before).all()), "all streams began anew")
    for index in range(real.times):
        for stream in range(len(running.ports)):
            sender.send(stream, real.low(index, stream))
    sender.end(real)
    keeper = running.recorder
    wait_until(lambda: any(ledger.scan_id == REAL_SCAN for ledger in keeper.ended), "it came")
    taken = [one for one in keeper.taken if one.scan_id == REAL_SCAN]
    # A single fuzzed heap may have begun an integration of another time that is near theirs.
    times = {real.ticks(index) for index in range(real.times)}
    taken = [one for one in taken if one.ticks in times]
    assert [one.ticks for one in taken] == [real.ticks(index) for index in range(real.times)]
    for index, one in enumerate(taken):
        assert all(one.present), f"a part of integration {index} is missing"
        assert one.visibilities.tobytes() == real.records[index]["VIS"].tobytes()
        assert np.array_equal(one.fd, real.records[index]["FD"])


def resident_bytes() -> int:
    """Return how much memory this process has at the moment."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Run for ``make fuzz``."""
    parser = argparse.ArgumentParser(description="Send fuzzed packets to a receiver.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1_000_000, help="packets to send")
    parser.add_argument("--first", type=int, default=0, help="batch to begin with")
    args = parser.parse_args()
    # spead2 warns of each packet that contradicts an earlier one.
    logging.getLogger("spead2").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        print(f"seed {args.seed}, count {args.count}, first batch {args.first}", flush=True)
        print(attack(Path(folder), args.seed, args.count, args.first).line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
