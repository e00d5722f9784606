"""``python -m receive.sizing``: what it takes to receive a telescope, without a Measurement Set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from receive.command import cli
from receive.command.errors import ConfigError
from receive.config.keys import Key, Kind
from receive.sizing import report
from receive.sizing.costs import Costs
from receive.sizing.model import DEFAULT_SITE, Site, size
from receive.sizing.shape import Shape, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

PROG = "python -m receive.sizing"
DESCRIPTION = """\
Tell how many receivers, cores, memory, disks and network ports a telescope takes, from costs that
were measured. For an observation that has a Measurement Set, emu-recv --check tells it too."""
EXIT_CODES = """\
exit codes:
  0    it was told
  2    usage: a number that cannot be
  3    input: a file of costs that is missing or none
"""


_SIZE = Key(name="size", kind=Kind.NUMBER, default=None, unit="bytes", minimum=1, doc="")
"""Sizes are written as in the configuration."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    costs = Costs.load(args.costs)
    missing = [name for name in ("stations", "channels", "interval") if getattr(args, name) is None]
    if missing:
        raise ConfigError(f"--{missing[0]} is missing: give --stations, --channels and --interval")
    shape = Shape.of_array(
        args.stations,
        args.channels,
        args.interval,
        args.channels_per_stream or args.channels,
        autocorrelations=not args.no_autocorrelations,
        telescope=args.telescope,
    )
    wire = Wire(args.transport, args.packet_bytes)
    site = Site(
        core_use=args.core_use,
        link_use=args.link_use,
        disk_bytes_per_s=args.disk,
        port_bytes_per_s=args.port,
        receiver_memory_bytes=args.memory,
        stall_s=args.stall,
    )
    needed = size(shape, costs, wire, site, writes=not args.no_set)
    streams = report.plural(shape.streams, "stream")
    channels = report.plural(shape.channels_per_stream, "channel")
    first = (
        f"shape    {report.plural(shape.baselines, 'baseline')}, {streams} of {channels}, "
        f"{shape.interval_s:g} s, over {wire.transport}"
    )
    lines = [first, *report.lines(shape, needed, site, costs)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _size(text: str) -> float:
    try:
        return cast("float", _SIZE.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = cli.plain_parser(PROG, DESCRIPTION, EXIT_CODES)
    shape = parser.add_argument_group("what is sent")
    shape.add_argument("--stations", type=int, metavar="N", help="stations, or antennas")
    shape.add_argument("--channels", type=int, metavar="N", help="channels of all streams")
    shape.add_argument("--interval", type=float, metavar="S", help="of an integration")
    shape.add_argument(
        "--channels-per-stream", type=int, default=0, metavar="N", help="0: all in one stream"
    )
    shape.add_argument(
        "--no-autocorrelations", action="store_true", help="no station is correlated with itself"
    )
    shape.add_argument("--telescope", choices=("low", "mid"), default="low", help="item set")
    shape.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    shape.add_argument(
        "--packet-bytes", type=int, metavar="N", default=Wire.packet_bytes,
        help="largest packet, without headers of IP and UDP (default: %(default)s)",
    )  # fmt: skip
    site = parser.add_argument_group("what there is to receive with")
    site.add_argument("--no-set", action="store_true", help="no Measurement Set is written")
    for name, default, what in (
        ("disk", DEFAULT_SITE.disk_bytes_per_s, "what a disk writes in a second, such as 2GB"),
        ("port", DEFAULT_SITE.port_bytes_per_s, "what a network port takes in a second"),
        ("memory", DEFAULT_SITE.receiver_memory_bytes, "the most that one receiver may have"),
    ):
        site.add_argument(
            f"--{name}", type=_size, default=default, metavar="BYTES",
            help=f"{what} (default: {default / 1e9:g}GB)",
        )  # fmt: skip
    for name, part in (("core", DEFAULT_SITE.core_use), ("link", DEFAULT_SITE.link_use)):
        thing = "a core" if name == "core" else "a disk or a port"
        site.add_argument(
            f"--{name}-use", type=float, default=part, metavar="PART",
            help=f"part of {thing} to plan with (default: %(default)g)",
        )  # fmt: skip
    site.add_argument(
        "--stall", type=float, default=DEFAULT_SITE.stall_s, metavar="S",
        help="of the disk that the buffers bridge (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--costs", type=Path, metavar="FILE", help="of make sizing, elsewhere")
    return parser


if __name__ == "__main__":
    sys.exit(cli.run(PROG, main))
