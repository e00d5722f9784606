"""``python -m tests.bench [NAME ...]``: run the benchmarks and write the table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench import report, soak
from tests.bench.measure import Settings, cores
from tests.bench.replay import Replay
from tests.bench.rows import lossless, receive, send, start_up, write
from tests.bench.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.measure import Result

ROWS = {
    "null": receive.null,
    "small-heaps": receive.small_heaps,
    "writer": write.writer,
    "loss-free": lossless.loss_free,
    "emu-send": send.emu_send,
    "streams": receive.streams,
    "shapes": receive.shapes,
    "real-time": lossless.real_time,
    "start-up": start_up.start_up,
}


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    unknown = set(args.names) - {*ROWS, "replay", "soak"}
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(sorted(unknown))}: there are {_names()}\n")
        return 2
    cores()
    with TemporaryDirectory(prefix="bench-", dir=args.work) as work:
        settings = Settings.for_tests(Path(work)) if args.quick else Settings(Path(work))
        settings = replace(
            settings, streams=args.streams, dirty_bytes=args.dirty_limit, busy=args.busy
        )
        if args.pairs:
            settings = replace(settings, pairs=args.pairs)
        if args.write_bytes:
            settings = replace(settings, write_bytes=args.write_bytes)
        if args.names == ["replay"]:
            return replay(args)
        if args.names == ["soak"]:
            return soak.main(settings, args.seconds)
        results: list[Result] = []
        began_s = time.monotonic()
        with busy(settings.busy):
            for name in args.names or ROWS:
                for result in ROWS[name](settings):
                    results.append(result)
                    sys.stdout.write(report.line(result) + "\n")
                    sys.stdout.flush()
        minutes = (time.monotonic() - began_s) / 60
    if args.output:
        report.write(args.output, results, settings, minutes)
        sys.stdout.write(f"{args.output} ({minutes:.1f} minutes)\n")
    return 0


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes computing meanwhile, on whatever core they get."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def replay(args: argparse.Namespace) -> int:
    """Only send, to receivers that somebody started elsewhere."""
    streams = args.streams or 1
    shape = Shape(args.antennas, args.channels * streams, streams)
    ports = range(args.port, args.port + streams)
    sender = Replay(
        shape, ports, tcp=args.transport == "tcp", packet_bytes=args.packet_bytes, host=args.target
    )
    sender.start()
    sent = sender.run(args.seconds, args.rate)
    sender.end()
    sender.close()
    sys.stdout.write(
        f"sent {sent.heaps} heaps in {sent.seconds:.1f} s, {sent.rate / 1e6:.0f} MB/s\n"
    )
    return 0


def _names() -> str:
    return ", ".join([*ROWS, "replay", "soak"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{_names()} (default: all rows)")
    parser.add_argument("--quick", action="store_true", help="short: to try it, not to believe it")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="on the disk to be measured")
    parser.add_argument("--streams", type=int, metavar="N", help="instead of a row's own number")
    parser.add_argument("--pairs", type=int, metavar="N", help="of each row (default: 7)")
    parser.add_argument(
        "--busy", type=int, default=0, metavar="N", help="with N processes that compute beside it"
    )
    parser.add_argument("--write-bytes", type=int, metavar="N", help="what the writer's row writes")
    parser.add_argument(
        "--dirty-limit",
        type=int,
        default=0,
        metavar="N",
        help="set the kernel's limit of unwritten bytes to this while the writer is measured, and "
        "back afterwards (root)",
    )
    group = parser.add_argument_group("replay: send prepared packets to a receiver elsewhere")
    group.add_argument("--target", default="127.0.0.1", metavar="HOST")
    group.add_argument("--port", type=int, default=41000, help="of the first stream")
    group.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    group.add_argument("--antennas", type=int, default=64)
    group.add_argument("--channels", type=int, default=64, help="of each stream")
    group.add_argument("--packet-bytes", type=int, default=8900)
    group.add_argument("--rate", type=float, default=0.0, help="heap bytes/s, 0: flat out")
    group.add_argument("--seconds", type=float, default=600.0, help="of replay and of soak")
    return parser


if __name__ == "__main__":
    sys.exit(main())
