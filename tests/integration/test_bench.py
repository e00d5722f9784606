"""The parts of the benchmarks that can be wrong; how fast anything is is not looked at here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.measure import Pairs, interleave
from tests.bench.replay import PreparedHeap, prepared
from tests.integration.senders import Observation, header_of

REPOSITORY = Path(__file__).resolve().parents[2]


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_unknown_name_is_told() -> None:
    done = bench("nulll")
    assert done.returncode == 2
    assert "nulll" in done.stderr
    assert "small-heaps" in done.stderr


def test_patched_packets_say_what_they_should() -> None:
    heap = PreparedHeap(prepared(Observation().records[0]), 1472)
    ticks = (1_700_000_123 << 32) | 0x89ABCDEF
    heap.set(77, ticks)
    for begin, length in zip(heap.begins, heap.lengths, strict=True):
        header = header_of(heap.bytes[begin : begin + length].tobytes())
        assert (header.heap_count, header.ticks) == (77, ticks)


def test_members_are_taken_in_turn_and_in_the_opposite_order() -> None:
    order: list[str] = []
    interleave(2, lambda: order.append("ours"), lambda: order.append("peer"))
    assert order == ["ours", "peer", "peer", "ours"]


def test_ratios_are_taken_pair_by_pair() -> None:
    result = Pairs([1.0, 20.0, 3.0], [1.0, 10.0, 1.0]).result("row", "what", "<= 2.0", "s")
    assert result.ratios == (1.0, 2.0, 3.0)
    assert result.median == 2.0
    assert result.met
