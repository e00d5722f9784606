"""emu-send against spead2's own sender: the same packets, transport and receiver."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.measure import Pairs, Result, cores, interleave
from tests.bench.receivers import (
    REPOSITORY,
    TCP_PACKET_BYTES,
    UDP_PACKET_BYTES,
    peer,
)
from tests.bench.shapes import STANDARD
from tests.commands import BIN, options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.measure import Settings

_SUMMARY = re.compile(r"(\d+) bytes in ([\d.]+) s")
BUFFER_BYTES = 4 << 20
RATE_GUESS = {"tcp": 1.2e9, "udp": 0.8e9}


def emu_send(settings: Settings) -> list[Result]:
    """Throughput, flat out; the receiver discards."""
    results = []
    for transport in ("tcp", "udp"):
        dumps = max(2, round(settings.seconds * RATE_GUESS[transport] / STANDARD.dump_bytes))
        packet = TCP_PACKET_BYTES if transport == "tcp" else UDP_PACKET_BYTES
        pairs = Pairs()

        def emulator(
            to: str = transport, count: int = dumps, size: int = packet, into: Pairs = pairs
        ) -> None:
            receiver = peer(settings, "discard", STANDARD, to, "place")
            values = {
                "transmission.transport": to,
                "transmission.endpoints": ",".join(f"127.0.0.1:{p}" for p in receiver.ports),
                "transmission.channels_per_stream": STANDARD.per_stream,
                "transmission.time_interval": -1,
                "transmission.rate": 0,
                "transmission.buffer_size": BUFFER_BYTES,
                "transmission.max_packet_size": size,
                "reader.num_repeats": count,
            }
            set_ = STANDARD.datamodel(settings.work)
            text = _run([BIN / "emu-send", *options(values), set_])
            receiver.end()
            found = _SUMMARY.search(text)
            assert found, text
            into.ours.append(int(found[1]) / float(found[2]) / 1e6)

        def spead2(
            to: str = transport, count: int = dumps, size: int = packet, into: Pairs = pairs
        ) -> None:
            receiver = peer(settings, "discard", STANDARD, to, "place")
            sizes = [STANDARD.antennas, STANDARD.channels, STANDARD.streams, count, size]
            command = [sys.executable, "-m", "tests.bench.peers.spead_sender", to]
            sent = json.loads(_run([*command, *map(str, [*sizes, *receiver.ports])]))
            receiver.end()
            into.peer.append(sent["bytes"] / sent["seconds"] / 1e6)

        interleave(settings.pairs, emulator, spead2)
        what = f"{transport.upper()}: bytes/s of packets / spead2's sender"
        results.append(pairs.result("emu-send", what, ">= 0.9", "MB/s"))
    return results


def _run(command: list[str | Path]) -> str:
    """Run a sender on the sender's cores."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        preexec_fn=partial(os.sched_setaffinity, 0, cores()[0]),
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout
