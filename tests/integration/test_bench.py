"""The parts of the benchmarks that can be wrong; how fast anything is is not looked at here."""

from __future__ import annotations

import pkgutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tests.bench
from tests.bench.measure import Pairs, interleave
from tests.bench.replay import PreparedHeap, Replay, Sent, prepared
from tests.bench.shapes import Shape
from tests.commands import TIMEOUT_S
from tests.integration.senders import Observation, header_of
from tests.waiting import wait_until

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


def test_all_of_it_needs_only_what_is_installed_for_it() -> None:
    modules = [
        one.name
        for one in pkgutil.walk_packages(tests.bench.__path__, "tests.bench.")
        if not one.name.endswith("__main__")
    ]
    assert "tests.bench.peers.discard" in modules
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(modules)}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "peer", [("discard", "copy"), ("discard", "place"), ("item_groups",)], ids="-".join
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_receivers_that_ours_is_compared_with_begin_and_end(
    peer: tuple[str, ...], transport: str, tmp_path: Path
) -> None:
    module, *how = peer
    ready = tmp_path / "ready.json"
    sizes = ["2", str(1 << 20), "9200"]
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.peers.{module}", *how, transport, *sizes, ready],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    wait_until(lambda: ready.exists() or process.poll() is not None, "it is ready")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in {0, -signal.SIGTERM}, said


def test_patched_packets_say_what_they_should() -> None:
    heap = PreparedHeap(prepared(Observation().records[0]), 1472)
    ticks = (1_700_000_123 << 32) | 0x89ABCDEF
    heap.set(77, ticks)
    for begin, length in zip(heap.begins, heap.lengths, strict=True):
        header = header_of(heap.bytes[begin : begin + length].tobytes())
        assert (header.heap_count, header.ticks) == (77, ticks)


def test_datagrams_that_the_kernel_cuts_apart_are_those_that_are_sent_singly() -> None:
    shape = Shape(16, 4, 2)
    came: dict[bool, list[list[bytes]]] = {}
    for merged in (True, False):
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(shape.streams)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
            opened.settimeout(TIMEOUT_S)
        ports = [opened.getsockname()[1] for opened in sockets]
        replay = Replay(shape, ports, tcp=False, packet_bytes=1400, merged=merged)
        sent = Sent()
        replay.send_dump(sent)
        replay.close()
        each = sent.packets // shape.streams
        came[merged] = [[opened.recv(65536) for _ in range(each)] for opened in sockets]
        assert (sent.heaps, sent.heap_bytes) == (shape.streams, shape.dump_bytes)
        for opened in sockets:
            opened.close()
    assert came[True] == came[False]
    assert (
        sum(header_of(packet).length for packet in came[True][0])
        == header_of(came[True][0][0]).heap_length
    )


def test_members_are_taken_in_turn_and_in_the_opposite_order() -> None:
    order: list[str] = []
    interleave(2, lambda: order.append("ours"), lambda: order.append("peer"))
    assert order == ["ours", "peer", "peer", "ours"]


def test_ratios_are_taken_pair_by_pair() -> None:
    result = Pairs([1.0, 20.0, 3.0], [1.0, 10.0, 1.0]).result("row", "what", "<= 2.0", "s")
    assert result.ratios == (1.0, 2.0, 3.0)
    assert result.median == 2.0
    assert result.met
