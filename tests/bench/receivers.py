"""Receivers under test, processes of their own: vis-receive's, and those that it is compared to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.measure import cores, cpu_seconds, pin, udp_drops
from tests.bench.replay import Replay
from tests.commands import BIN, options
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.measure import Settings
    from tests.bench.shapes import Shape

REPOSITORY = Path(__file__).resolve().parents[2]
BUFFER_BYTES = 8 << 20
UDP_PACKET_BYTES = 8900
"""Fills a jumbo frame of 9,000 bytes, as correlators send."""
TCP_PACKET_BYTES = 65536
MAX_PACKET_BYTES = {"udp": 9200, "tcp": 65536 + 1024}
POOL_BYTES = 384 << 20
MIN_DUMPS = 8
MOST_WARM_UPS = 30
SETTLED = 0.9
"""It is warm when a byte takes no less than this of what it took before."""
PEER_HEAPS = 24
"""That a peer may have in memory for a stream, each of them touched for the first time once."""
END_S = 60.0
IDLE_LOOK_S, IDLE_CPU_S = 0.2, 0.02


@dataclass
class Receiver:
    """A receiver at work."""

    process: subprocess.Popen[str]
    folder: Path
    ports: list[int] = field(default_factory=list)
    warm_up_bytes: int = 0

    def cpu_s(self) -> float:
        return cpu_seconds([self.process.pid])

    def wait_until_idle(self) -> None:
        """Wait until it has done what it does beforehand: receivers run before correlators."""
        before = -1.0
        while (now := self.cpu_s()) - before > IDLE_CPU_S:
            before = now
            time.sleep(IDLE_LOOK_S)

    def end(self) -> str:
        """Tell a peer to end; return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=END_S)[0]

    def summary(self) -> dict[str, Any]:
        """Wait until emu-recv has ended, and return what it received."""
        self.process.communicate(timeout=END_S)
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content


def start(folder: Path, command: Sequence[str | Path]) -> Receiver:
    """Start a receiver on its cores; return when it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    _, own = cores()
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    log.close()
    pin(process.pid, own)
    wait_until(lambda: ready.exists() or process.poll() is not None, "the receiver is ready")
    if not ready.exists():
        raise RuntimeError(f"{command}: {(folder / 'log').read_text()}")
    return Receiver(process, folder, json.loads(ready.read_text())["ports"])


def emu_recv(
    settings: Settings,
    shape: Shape,
    transport: str,
    consumer: str = "null",
    values: Mapping[str, Any] | None = None,
) -> Receiver:
    """Start ``emu-recv`` for a shape."""
    folder = settings.work / "emu-recv"
    # To remove a large set is not what is measured.
    shutil.rmtree(folder, ignore_errors=True)
    given = {
        "reception.transport": transport,
        "reception.bind_hostname": "127.0.0.1",
        "reception.port_start": 0,
        "reception.buffer_size": BUFFER_BYTES,
        "reception.buffer_memory": max(POOL_BYTES, MIN_DUMPS * (shape.dump_bytes + (1 << 20))),
        "reception.datamodel": shape.datamodel(settings.work),
        "reception.outputfilename": folder / "received.ms",
        "reception.overwrite": True,
        "reception.consumer": consumer,
        "reception.idle_timeout": 20,
        "transmission.channels_per_stream": shape.per_stream,
    }
    files = ["--ready-file", folder / "ready.json", "--summary-file", folder / "summary.json"]
    made = start(folder, [BIN / "emu-recv", *options(given | dict(values or {})), *files])
    made.warm_up_bytes = int(given["reception.buffer_memory"]) * 5 // 4
    return made


def peer(settings: Settings, module: str, shape: Shape, transport: str, *how: str) -> Receiver:
    """Start one of the peers with the same sockets."""
    folder = settings.work / "peer"
    sizes = [shape.streams, BUFFER_BYTES, MAX_PACKET_BYTES[transport]]
    made = start(
        folder,
        [
            sys.executable, "-m", f"tests.bench.peers.{module}", *how, transport,
            *map(str, sizes), str(folder / "ready.json"),
        ],
    )  # fmt: skip
    made.warm_up_bytes = PEER_HEAPS * shape.heap_bytes * shape.streams
    return made


@dataclass(frozen=True)
class Taken:
    """What a receiver took in one measurement.

    Attributes
    ----------
    cpu_s
        Of the receiver alone.
    lost
        Part of the packets that the kernel dropped for want of buffer.
    """

    heaps: int
    heap_bytes: float
    cpu_s: float
    seconds: float
    lost: float

    @property
    def cpu_per_gb(self) -> float:
        return self.cpu_s / self.heap_bytes * 1e9

    @property
    def cpu_per_heap(self) -> float:
        return self.cpu_s / self.heaps

    @property
    def rate(self) -> float:
        return self.heap_bytes / self.seconds


def sender(shape: Shape, receiver: Receiver, transport: str) -> Replay:
    """Return the replay to a receiver, this process being pinned to the sender's cores."""
    pin(os.getpid(), cores()[0])
    tcp = transport == "tcp"
    packet = TCP_PACKET_BYTES if tcp else UDP_PACKET_BYTES
    return Replay(shape, receiver.ports, tcp=tcp, packet_bytes=packet)


def measure(receiver: Receiver, replay: Replay, seconds: float, rate: float = 0.0) -> Taken:
    """Send for so long and measure the receiver meanwhile."""
    drops, cpu = udp_drops(receiver.ports), receiver.cpu_s()
    sent = replay.run(seconds, rate)
    cpu = receiver.cpu_s() - cpu
    lost = (udp_drops(receiver.ports) - drops) / sent.packets
    return Taken(sent.heaps, sent.heap_bytes * (1 - lost), cpu, sent.seconds, lost)


def run_with(
    settings: Settings, receiver: Receiver, shape: Shape, transport: str, *rates: float
) -> list[Taken]:
    """Warm a receiver up, measure it at each rate (0: flat out) and end it."""
    replay = sender(shape, receiver, transport)
    replay.start()
    warm = min((rate for rate in rates if rate), default=0.0)
    # Past the first use of every buffer, which is page faults.
    warmed, before = 0.0, float("inf")
    for _ in range(MOST_WARM_UPS):
        run = measure(receiver, replay, settings.warm_up_s, warm)
        warmed += run.heap_bytes
        if warmed >= receiver.warm_up_bytes and run.cpu_per_gb > SETTLED * before:
            break
        before = run.cpu_per_gb
    taken = [measure(receiver, replay, settings.seconds, rate) for rate in rates]
    time.sleep(0.1)  # what is still in the socket's buffer is not to be counted as lost
    replay.end()
    replay.close()
    return taken
