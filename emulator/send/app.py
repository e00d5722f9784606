"""emu-send: send a Measurement Set as a correlator would."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import ConfigError
from receive.config.arguments import common_parser, load_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.send.addresses import Target
    from emulator.send.plan import SendPlan
    from emulator.send.sender import Summary
    from receive.config import Config
    from receive.measurement_set.read.reader import SetReader

PROG = "emu-send"
_SIGNAL_EXIT = 128  # what a shell adds to the number of the signal that ended a command

logger = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    parser = common_parser(
        PROG,
        "Send a Measurement Set as SPEAD2 heaps, over UDP, multicast or TCP, as a correlator "
        "would.  The keys reader.* and transmission.* say what, where and how fast; "
        "reception.telescope which items.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="validate, open the set, look up the hosts to send to, print what would be sent; "
        "send nothing",
    )
    parser.add_argument(
        "--receiver",
        type=Path,
        metavar="DIR",
        help="wait until the receiver with this --run-folder, beside us, is ready, and send its "
        "own channels to its ports",
    )
    parser.add_argument(
        "--wait-hosts",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for the names of the hosts to send to: in a cluster they come with "
        "receivers that are ready",
    )
    parser.add_argument("ms", type=Path, metavar="MS", help="Measurement Set to send")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, raise `VisReceiveError` for what a user can mend."""
    args = make_parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    config = load_config(args)
    _require_available(config)
    if args.receiver is not None and not args.check:
        from emulator.send.receiver_beside import send_to_receiver_beside  # noqa: PLC0415

        config = send_to_receiver_beside(config, args.receiver)

    # Only now what takes long to import: a mistake in a configuration is told at once.
    from emulator.send.addresses import resolve_targets  # noqa: PLC0415
    from emulator.send.plan import make_plan  # noqa: PLC0415
    from receive.measurement_set.read.choice import Choice  # noqa: PLC0415
    from receive.measurement_set.read.reader import open_set  # noqa: PLC0415

    choice = Choice.of(config, "reader")
    with open_set(args.ms, choice=choice, column=config.reader.column) as reader:
        plan = make_plan(config, reader.model())
        if args.check:
            _interface(config)
            resolve_targets(plan.endpoints)
            print("\n".join([f"set        {args.ms}", *plan.describe()]))
            return 0
        for line in plan.describe():
            logger.debug("%s", line)
        targets = resolve_targets(plan.endpoints, args.wait_hosts)
        summary = asyncio.run(_send(config, reader, plan, targets, args.receiver))
    print(f"{PROG}: {summary.line()}", flush=True)
    return _SIGNAL_EXIT + summary.signum if summary.signum else 0


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("give 0 or more seconds")
    return seconds


def entry() -> int:
    """Run the command for the shell."""
    return cli.run(PROG, main)


def _require_available(config: Config) -> None:
    config.require_available(["reader", "transmission", "payload", "reception.telescope"])
    transport = config.transmission.transport
    if transport == "inproc":
        raise ConfigError(
            f"{config.place_of('transmission.transport')}: transmission.transport {transport} is "
            f"not available to a command of its own; accepted: udp, tcp, ibverbs"
        )


def _interface(config: Config) -> str | None:
    """Return the address of the interface that multicast and ibverbs leave by."""
    from receive.stream.network.sockets import resolve  # noqa: PLC0415 (--help must be fast)

    name = config.reception.interface_address
    return None if name is None else resolve(name, "reception.interface_address")


async def _send(
    config: Config,
    reader: SetReader,
    plan: SendPlan,
    targets: Sequence[Target],
    receiver: Path | None,
) -> Summary:
    from emulator.send.ibverbs import IbverbsTransmitter  # noqa: PLC0415
    from emulator.send.packetiser import Packetiser  # noqa: PLC0415
    from emulator.send.receiver_beside import send_to_one_beside  # noqa: PLC0415
    from emulator.send.sender import Sender, StopRequest  # noqa: PLC0415
    from emulator.send.tcp import TcpTransmitter  # noqa: PLC0415
    from emulator.send.transmitter import LinkSettings, Transmitter  # noqa: PLC0415
    from emulator.send.udp import UdpTransmitter  # noqa: PLC0415

    settings = LinkSettings(
        rate_bytes_per_s=plan.rate_bytes_per_s,
        max_packet_size_bytes=config.max_packet_size_bytes(),
        buffer_bytes=config.transmission.buffer_size,
        threads=config.transmission.sender_threads,
        ttl=config.transmission.ttl,
        interface=_interface(config),
    )
    packetiser = Packetiser(
        plan,
        scan_id=config.transmission.scan_id,
        hardware_id=config.transmission.hardware_id,
        repeat_pointers=config.transmission.repeat_pointers,
    )
    transports: dict[str, type[Transmitter]] = {
        "udp": UdpTransmitter,
        "tcp": TcpTransmitter,
        "ibverbs": IbverbsTransmitter,
    }
    transport = transports[config.transmission.transport]
    weights = [plan.layout.data_bytes(stream) for stream in range(plan.streams)]
    transmitter = transport(targets, weights, settings)
    sender = Sender(reader, plan, packetiser)
    with (
        StopRequest() as stop,
        cli.Progress("sending", plan.schedule.dumps, "dumps") as progress,
    ):
        if receiver is None:
            return await sender.run(transmitter, stop, progress)
        return await send_to_one_beside(receiver, sender, transmitter, stop, progress)


if __name__ == "__main__":
    sys.exit(entry())
