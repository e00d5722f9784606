"""``emu-recv``: put the receiver together, run it, exit with a meaningful code."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import ConfigError
from receive.config.arguments import common_parser, load_config
from receive.pod.run_files import READY, SUMMARY, check_run_files, remove_left
from receive.pod.run_folder import RunFolder
from receive.run.marked_run import MarkedRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from receive.account.outcome import Outcome
    from receive.config import Config
    from receive.consumers.ms.rotation import Rotation

PROG = "emu-recv"
ACTS_ON = ("reception", "consumer", "payload", "monitor", "vys")
_SIGNAL_EXIT = 128


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(
        PROG,
        "Receive the visibilities of an observation from the network and write them down as a "
        "Measurement Set.\n\nThe observation is described by a Measurement Set "
        "(reception.datamodel). All reception.* keys\nand their defaults are in the "
        "configuration reference.\n\nmonitor.port opens a port for probes (/healthz, /readyz), "
        "Prometheus (/metrics), the\nsummary so far (/summary), and the end (POST /stop).",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="validate configuration and model, print the plan (sizes, ports, memory, disk, "
        "cores), bind nothing, leave nothing behind",
    )
    parser.add_argument(
        "--fail-on-loss",
        action="store_true",
        help="exit with 7 if any data were lost, those that a broken stream left out included",
    )
    parser.add_argument(
        "--fail-on-incomplete",
        action="store_true",
        help="exit with 7 unless each scan brought all integrations of the model, or as many as "
        "reception.max_dumps asks for, and the ends of its streams",
    )
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="write this file, JSON with pid, host and ports, when packets can come; it is removed "
        "when they cannot any more",
    )
    parser.add_argument(
        "--summary-file",
        type=Path,
        metavar="FILE",
        help="write the summary of the run, JSON, when it has ended, however it has",
    )
    parser.add_argument(
        "--processes",
        type=_process_count,
        default=1,
        metavar="N",
        help="share the streams out among N receivers on this machine, which this command starts, "
        "watches and ends with; each writes its own sets, FILE-r0.ms and so on, and ms-concat "
        "makes one of them",
    )
    parser.add_argument(
        "--run-folder",
        type=Path,
        metavar="DIR",
        help="hold DIR/lock while running, and leave DIR/ready.json and at the end "
        "DIR/result.json, for emu-send --receiver and emu-push beside it",
    )
    parser.add_argument(
        "--next-attempt",
        action="store_true",
        help="if an earlier run left its output, write beside it: FILE-a1.ms, FILE-a2.ms and so on",
    )
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    return parser


def _process_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return count


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``emu-recv``; return its exit code."""
    args = _parse(argv)
    if args.parent is not None:
        from receive.run.processes.parent import end_with  # noqa: PLC0415 (--help must be fast)

        end_with(args.parent)
    cli.setup_logging(args.verbose)
    folder = None if args.check or args.run_folder is None else RunFolder(args.run_folder)
    with MarkedRun(folder) as marked:
        _begin_run_files(args, marked)
        config = load_config(args)
        config.require_available(ACTS_ON)
        if args.processes > 1:
            return receive_in_shares(config, args, argv, marked)
        if args.check:
            return check(config)
        if args.next_attempt:
            from receive.run.attempts import attempt_path, next_attempt  # noqa: PLC0415

            base = Path(config.reception.outputfilename)
            config, attempt = next_attempt(config)
            if args.summary_file is not None:
                marked.summarise_in(attempt_path(args.summary_file, attempt))
            marked.begin(config, base, attempt)
        else:
            marked.begin(config, Path(config.reception.outputfilename), 0)
        return receive(config, args, marked)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; if they are wrong, still write the summary file requested."""
    try:
        return _parser().parse_args(argv)
    except SystemExit as error:
        if not error.code:  # --help, --version
            raise
        files = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        for option in (READY, SUMMARY):
            files.add_argument(option, type=Path)
        for flag in ("--check", "--next-attempt"):
            files.add_argument(flag, action="store_true")
        try:
            args, _ = files.parse_known_args(argv)
        except argparse.ArgumentError:
            raise error from None
        with MarkedRun(None) as marked:
            _begin_run_files(args, marked)
            raise


def _begin_run_files(args: argparse.Namespace, marked: MarkedRun) -> None:
    """Refuse files that could not be written, and remove those of an earlier run."""
    check_run_files(args.ready_file, args.summary_file, may_write=not args.check)
    if args.check:
        return
    remove_left(READY, args.ready_file)
    # The name for the next attempt is not known yet; keep the summary of the first attempt.
    if args.summary_file is not None and not (args.next_attempt and args.summary_file.exists()):
        marked.summarise_in(args.summary_file)


def receive_in_shares(
    config: Config, args: argparse.Namespace, argv: Sequence[str] | None, marked: MarkedRun
) -> int:
    """Start several receivers, or print the plan of each for ``--check``."""
    from receive.run.processes.shares import same_command, shares  # noqa: PLC0415 (--help must be fast)
    from receive.run.processes.supervisor import Supervisor  # noqa: PLC0415

    if args.run_folder is not None or args.next_attempt:
        option = "--next-attempt" if args.run_folder is None else "--run-folder"
        raise ConfigError(
            f"{option} is for one receiver, and --processes {args.processes} starts several: give "
            f"reception.process_index and reception.process_count to each instead"
        )
    each = shares(config, args.processes)
    if args.check:
        return check_shares(config, each)
    return Supervisor(same_command(argv), each).run(args.ready_file, marked)


def check_shares(config: Config, each: Sequence[dict[str, int]]) -> int:
    """Print the plan of each of several receivers."""
    from receive.consumers.ms.output_checks import check_space  # noqa: PLC0415 (--help must be fast)

    rotations = []
    for share in each:
        index, count = share["reception.process_index"], share["reception.process_count"]
        sys.stdout.write(f"receiver r{index}, {index + 1} of {count}\n")
        rotations.append(_check(config.with_values(share, "--processes"), alike=count))
    if written := [rotation for rotation in rotations if rotation is not None]:
        check_space(written)
    return 0


def check(config: Config) -> int:
    """Print the plan of a run, without receiving."""
    _check(config)
    return 0


def _check(config: Config, *, alike: int = 1) -> Rotation | None:
    """Print the plan of one receiver; return its sets' rotation, None if it writes no sets.

    `alike` is the number of receivers on this machine.
    """
    from receive.consumers.base import find_all  # noqa: PLC0415 (--help must be fast)
    from receive.consumers.closed_sets import ClosedSets  # noqa: PLC0415
    from receive.consumers.ms.output_checks import check_outputs  # noqa: PLC0415
    from receive.consumers.ms.rotation import Rotation  # noqa: PLC0415
    from receive.consumers.ms.writer import MeasurementSetConsumer  # noqa: PLC0415
    from receive.consumers.null import NullConsumer  # noqa: PLC0415
    from receive.measurement_set.read.source import model_source  # noqa: PLC0415
    from receive.monitor.token import read_token  # noqa: PLC0415
    from receive.run.plan import Plan  # noqa: PLC0415
    from receive.run.size_check import check_lines  # noqa: PLC0415
    from receive.run.trial import Trial  # noqa: PLC0415

    consumers = find_all(config)
    writes = any(issubclass(consumer, MeasurementSetConsumer) for consumer in consumers)
    source = model_source(config)
    Trial(config, source, writes=writes).result()
    plan = Plan.make(config, source.model())
    ClosedSets(config.consumer.command, config.consumer.command_timeout)
    read_token(config)
    rotation = Rotation.make(config, plan.model)
    sys.stdout.write("\n".join(plan.lines(config)) + "\n")
    if writes:
        check_outputs(rotation)
        sys.stdout.write(f"disk     {rotation.line()}\n")
    known = (MeasurementSetConsumer, NullConsumer)
    unknown = [consumer.__name__ for consumer in consumers if consumer not in known]
    sizes = check_lines(config, plan, writes=writes, unknown=unknown, alike=alike)
    sys.stdout.write("".join(f"{line}\n" for line in sizes))
    return rotation if writes else None


def receive(config: Config, args: argparse.Namespace, marked: MarkedRun) -> int:
    """Receive an observation."""
    from receive.account.outcome import summary  # noqa: PLC0415
    from receive.command.stop import StopRequest  # noqa: PLC0415
    from receive.monitor.service import monitor  # noqa: PLC0415 (--help must be fast)

    stop = StopRequest()
    caught: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        stop.set()

    # Before the slow imports, so that a signal during startup is handled.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    # Before any slow step, so that probes see the startup.
    with monitor(config, stop) as status:
        ready_files = [file for file in (args.ready_file, marked.ready_file) if file is not None]
        from receive.run.session import session  # noqa: PLC0415

        outcome = session(
            config,
            stop,
            status,
            ready_files=ready_files,
            on_failure=lambda outcome: marked.so_far(summary(outcome)),
        )
        # A stop requested over the network is no signal: the exit code is not that of one.
        exit_code = _exit_code(outcome, caught, args)
        marked.end(exit_code, summary(outcome))
        if args.parent is None:
            sys.stdout.write("\n".join(_summary_lines(outcome)) + "\n")
            sys.stdout.flush()
        return exit_code


def _summary_lines(outcome: Outcome) -> list[str]:
    from receive.command.ending import last_line, verdict  # noqa: PLC0415 (--help must be fast)
    from receive.command.progress import format_amount  # noqa: PLC0415 (--help must be fast)

    lines = [line for scan in outcome.scans for line in scan.lines()]
    total = sum(scan.payload_bytes for scan in outcome.scans)
    lines += [
        f"consumer {name} had no room for {count} integrations"
        for name, count in outcome.dropped.items()
        if count
    ]
    lines += [
        f"consumer {name} did not consume {count} integrations"
        for name, count in outcome.unconsumed.items()
        if count
    ]
    lines += [
        f"consumer {name} could not write {count} integrations"
        for name, count in outcome.unwritten.items()
        if count
    ]
    if outcome.refused_outside:
        refused = ", ".join(f"{why} {count}" for why, count in outcome.refused_outside.items())
        lines.append(f"heaps that belong to no scan were refused: {refused}")
    if outcome.after_end:
        lines.append(f"{outcome.after_end} integrations came after their scan had been closed")
    lines += [str(error) for error in outcome.errors]
    dumps = sum(scan.dumps for scan in outcome.scans)
    amount = format_amount(total, outcome.seconds)
    said = verdict(outcome.ends, lost=outcome.lost, refused=outcome.refused)
    lines.append(last_line(dumps, amount, outcome.ended_by, said))
    return lines


def _exit_code(outcome: Outcome, caught: Sequence[int], args: argparse.Namespace) -> int:
    from receive.command.errors import DataLostError  # noqa: PLC0415 (--help must be fast)

    if outcome.errors:
        return outcome.errors[0].exit_code
    if caught:
        return _SIGNAL_EXIT + caught[0]
    if (outcome.lost and args.fail_on_loss) or (outcome.incomplete and args.fail_on_incomplete):
        return DataLostError.exit_code
    return 0


def entry() -> int:
    """Entry point of the command."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
