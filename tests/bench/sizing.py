"""``python -m tests.bench.sizing``: measure what receiving costs, fit it, check it, write it down.

The real ``emu-recv`` takes a set of small shapes, chosen so that heaps, bytes, packets, streams,
integrations and rows vary each for itself.  Its CPU seconds are fitted to the work that was done
(`receive.sizing.costs.work`); then shapes that were not fitted are measured and predicted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any

from receive.stream.table.layout import PoolSize, StreamLayout
from tests.bench import sizing_fit
from tests.bench.measure import Settings, cores, pin
from tests.bench.receivers import emu_recv, measure
from tests.bench.replay import Replay
from tests.bench.shapes import DISHES_64, RECORD_BYTES, SKA_LOW_SHARE, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.receivers import Receiver, Taken

LEAST_POOL_BYTES = 16 << 20
LEAST_DUMPS = 12
RING_HEAPS = 4
"""Nothing comes out of order here, so the writer may lag by most of the buffers without a loss."""
POOL_S = {"null": 1.0, "mswriter": 2.0}
WARM_UP = 5 / 4
"""Times the buffers: past the first use of each, which is page faults."""
LOOKS = 3
"""At each rate; the middle one counts, whatever else the machine did in another."""
SETTLE_S = 0.3
MOST_WAITS = 50
SLOWER = (1, 1, 2, 4)
"""By what the rates are divided, should data be lost at them: a busy machine loses some at any."""
_ONE_DUMP_S = 1e-6
"""A replay ends with the integration in which its time is over."""


@dataclass(frozen=True)
class Case:
    """A shape to be received, at some rates.

    Attributes
    ----------
    rates
        Heap bytes/s.  They stay below what a receiver on one core takes without a loss: what was
        dropped would have cost less.
    """

    shape: Shape
    rates: tuple[float, ...]
    transport: str = "tcp"
    packet_bytes: int = 65536
    consumer: str = "null"

    @property
    def name(self) -> str:
        shape = self.shape
        return (
            f"{shape.antennas} antennas, {shape.streams} x {shape.per_stream} channels, "
            f"{self.transport} {self.packet_bytes}, {self.consumer}"
        )


def _udp(shape: Shape, rates: tuple[float, ...], packet_bytes: int, consumer: str = "null") -> Case:
    return Case(shape, rates, "udp", packet_bytes, consumer)


def _set(shape: Shape, rates: tuple[float, ...]) -> Case:
    return Case(shape, rates, consumer="mswriter")


JUMBO, STANDARD_FRAME = 8900, 1472
CASES = (
    # Large heaps, small ones, tiny ones; one stream and many; hardly anything at all.
    Case(Shape(64, 256, 4), (150e6, 800e6)),
    Case(Shape(128, 32, 2), (300e6, 600e6)),
    Case(Shape(64, 4, 4), (1e6, 150e6)),
    Case(Shape(16, 4, 4), (6e6, 24e6)),
    Case(Shape(24, 2, 1), (5e6, 25e6)),
    Case(Shape(64, 8, 1), (1e6, 300e6)),
    Case(Shape(64, 64, 32), (1e6, 120e6)),
    Case(Shape(16, 32, 32), (8e6, 30e6)),
    _udp(Shape(64, 256, 4), (60e6, 250e6), JUMBO),
    _udp(Shape(64, 64, 1), (40e6, 160e6), JUMBO),
    _udp(Shape(64, 64, 4), (20e6, 60e6), STANDARD_FRAME),
    _udp(Shape(128, 4, 2), (20e6, 50e6), STANDARD_FRAME),
    _udp(Shape(64, 32, 16), (20e6, 80e6), JUMBO),
    # Rows of many channels and of few, many integrations a second and few.
    _set(Shape(64, 128, 4), (40e6, 120e6)),
    _set(Shape(256, 4, 4), (20e6, 60e6)),
    _set(Shape(400, 2, 2), (20e6, 60e6)),
    _set(Shape(512, 2, 2), (20e6, 60e6)),
    _set(Shape(8, 2048, 4), (40e6, 120e6)),
    _set(Shape(4, 256, 2), (1e6, 3e6)),
    _set(Shape(32, 16, 2), (5e6, 20e6)),
    _udp(Shape(64, 64, 2), (20e6, 80e6), JUMBO, "mswriter"),
)
QUICK_CASES = (0, 3, 7, 8, 10, 13, 15)
SKA_LOW = Case(
    SKA_LOW_SHARE,
    (SKA_LOW_SHARE.dump_bytes / SKA_LOW_SHARE.interval_s,),
    "udp",
    JUMBO,
    "mswriter",
)
DISHES = Case(DISHES_64, (DISHES_64.dump_bytes / DISHES_64.interval_s,), "tcp", consumer="mswriter")
CHECKS = (SKA_LOW, DISHES)
"""In real time, and not fitted: 20 channels of SKA-Low's 512 stations; a fit's farthest way."""


def points(settings: Settings, case: Case) -> list[dict[str, Any]]:
    """Receive a case; return what it cost at each rate.

    Nothing if data were lost however often it was tried: then nobody knows what it costs.
    """
    for divisor in SLOWER:
        slower = replace(case, rates=tuple(rate / divisor for rate in case.rates))
        measured, lost = _receive(settings, slower)
        if not lost:
            return measured
        rates = ", ".join(f"{rate / 1e6:.1f}" for rate in slower.rates)
        sys.stdout.write(f"  data were lost at {rates} MB/s: {lost}\n")
        sys.stdout.flush()
    return []


def _receive(settings: Settings, case: Case) -> tuple[list[dict[str, Any]], str]:
    shape, fastest = case.shape, max(case.rates)
    least_bytes = max(LEAST_POOL_BYTES, LEAST_DUMPS * (shape.dump_bytes + (1 << 20)))
    pool_bytes = round(max(least_bytes, fastest * POOL_S[case.consumer]))
    receiver = emu_recv(
        settings,
        shape,
        case.transport,
        case.consumer,
        {"reception.buffer_memory": pool_bytes, "reception.ring_heaps": RING_HEAPS},
    )
    pin(os.getpid(), cores()[0])
    replay = Replay(
        shape,
        receiver.ports,
        tcp=case.transport == "tcp",
        packet_bytes=case.packet_bytes,
        merged=False,  # a card brings packets one by one, which costs the receiver more
    )
    replay.start()
    made = receiver.folder / "received.ms"
    for _ in range(MOST_WAITS if case.consumer == "mswriter" else 0):
        # The first integration makes the set, which takes as long as hundreds of others.
        replay.run(_ONE_DUMP_S, fastest)
        time.sleep(SETTLE_S)
        if made.exists():
            break
    replay.run(max(settings.warm_up_s, pool_bytes * WARM_UP / fastest), fastest)
    found = []
    for rate in case.rates:
        time.sleep(SETTLE_S)  # what is left of the rate before is consumed
        # Some integrations at least: their beginnings and ends do not fall on the looks.
        seconds = max(settings.seconds, 4 * shape.dump_bytes / rate)
        looks = [measure(receiver, replay, seconds, rate) for _ in range(LOOKS)]
        looks.sort(key=lambda taken: taken.cpu_s / taken.seconds)
        found.append(_point(case, receiver, looks[LOOKS // 2], pool_bytes))
    time.sleep(SETTLE_S)
    replay.end()
    replay.close()
    summary = receiver.summary()
    # Kept to the end: memory that a deleted set had in the page cache is used again, which costs a
    # virtual machine a fraction of what it takes for memory that its host has yet to find.
    receiver.folder.rename(Path(mkdtemp(dir=settings.work)) / "kept")
    if not summary["lost"]:
        return found, ""
    late, packets = summary["consumers"]["dropped"], summary["kernel_dropped_packets"]
    return found, f"{case.consumer} had no room for {late}, the kernel none for {packets} packets"


def _point(case: Case, receiver: Receiver, taken: Taken, pool_bytes: int) -> dict[str, Any]:
    shape = case.shape
    return {
        "case": case.name,
        "baselines": shape.baselines,
        "channels": shape.channels,
        "channels_per_stream": shape.per_stream,
        "interval_s": taken.seconds / (taken.heaps / shape.streams),
        "transport": case.transport,
        "packet_bytes": case.packet_bytes,
        "consumer": case.consumer,
        "bytes_per_s": taken.rate,
        "cores": taken.cpu_s / taken.seconds,
        "memory_bytes": _beside(receiver.process.pid, case, pool_bytes),
    }


def _beside(pid: int, case: Case, pool_bytes: int) -> int:
    """Return the memory in use beside the buffers, which are the mapping of about their size.

    Not all of them need have been used, so their size cannot just be taken off.
    """
    shape = case.shape
    layout = StreamLayout(shape.channels, shape.per_stream, shape.baselines, RECORD_BYTES)
    size = PoolSize.fit(layout, pool_bytes, 1).dumps * layout.dump_bytes
    sizes: list[tuple[int, int]] = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Size":
            sizes.append((int(rest.split()[0]) * 1024, 0))
        elif name == "Rss":
            sizes[-1] = (sizes[-1][0], int(rest.split()[0]) * 1024)
    _, buffers = min(sizes, key=lambda found: abs(found[0] - size))
    return sum(resident for _, resident in sizes) - buffers


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything, fit, check; return the document.

    Raises
    ------
    RuntimeError
        If too little could be measured.
    """
    began_s = time.monotonic()
    cases = [CASES[number] for number in QUICK_CASES] if settings.quick else CASES
    checks = CHECKS[:1] if settings.quick else CHECKS
    fitted = {case: _measured(settings, case) for case in cases}
    checked = {case: _measured(settings, case) for case in checks}
    lost = [case.name for case, found in (fitted | checked).items() if not found]
    if not any(checked.values()):
        raise RuntimeError(f"data were lost of all shapes to check with: {', '.join(lost)}")
    document = sizing_fit.document(
        [point for found in fitted.values() for point in found],
        [
            point | {"of_real_time": point["bytes_per_s"] / check.rates[0]}
            for check, found in checked.items()
            for point in found
        ],
    )
    document["measured"] |= {
        "minutes": (time.monotonic() - began_s) / 60,
        "seconds_each": settings.seconds,
        "quick": settings.quick,
        "lost_data": lost,
    }
    return sizing_fit.rounded(document)


def _measured(settings: Settings, case: Case) -> list[dict[str, Any]]:
    sys.stdout.write(f"{case.name}\n")
    found = points(settings, case)
    for point in found:
        sys.stdout.write(
            f"  {point['bytes_per_s'] / 1e6:7.1f} MB/s  {point['cores']:.3f} cores  "
            f"{point['memory_bytes'] / 1e6:5.0f} MB beside the buffers\n"
        )
    sys.stdout.flush()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0."""
    parser = argparse.ArgumentParser("python -m tests.bench.sizing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter: to try it")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="on the disk to write to")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the costs here")
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="sizing-", dir=args.work) as work:
        settings = Settings(
            Path(work), seconds=0.3 if args.quick else 0.8, warm_up_s=0.3, quick=args.quick
        )
        document = run(settings)
    sys.stdout.write("\n".join(sizing_fit.lines(document)) + "\n")
    if args.output:
        sizing_fit.write(args.output, document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
