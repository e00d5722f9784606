"""emu-selftest: a tiny observation, simulated, sent, received and compared, on this machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import VisReceiveError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

PROG = "emu-selftest"
TRANSPORTS = ("udp", "tcp")
_OBSERVATION = ("--array", "meerkat", "--num-antennas", "4", "--integrations", "10")
_CHANNELS, _STREAMS = 16, 4
_LONGEST_S = 120.0


class SelfTestError(VisReceiveError):
    """What was received is not what was sent, or one of the commands failed."""

    exit_code = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    with tempfile.TemporaryDirectory(prefix=f"{PROG}-", dir=args.folder) as folder:
        sent = Path(folder) / "sent.ms"
        _run("emu-simulate", *_OBSERVATION, "--channels", str(_CHANNELS), str(sent))
        for transport in args.transport or TRANSPORTS:
            began_s = time.monotonic()
            _receive(Path(folder), sent, transport)
            took_s = time.monotonic() - began_s
            print(f"{PROG}: {transport}: what was received is what was sent ({took_s:.1f} s)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.plain_parser(
        PROG,
        "Simulate a tiny observation, send and receive it on this machine, and compare: does what "
        "is installed here work?",
        epilog="exit codes: 0 it works, 1 it does not; the last line says what failed",
    )
    parser.add_argument(
        "--transport",
        choices=TRANSPORTS,
        action="append",
        help="only this one; may be given twice (default: all of them)",
    )
    parser.add_argument(
        "--folder", type=Path, help="where to work (default: the system's folder for such files)"
    )
    return parser


def _receive(folder: Path, sent: Path, transport: str) -> None:
    run_folder, received = folder / f"run-{transport}", folder / f"{transport}.ms"
    run_folder.mkdir()
    own = {
        "reception.datamodel": sent,
        "reception.outputfilename": received,
        "reception.transport": transport,
        "reception.bind_hostname": "127.0.0.1",
        "reception.port_start": 0,
        "reception.idle_timeout": 30,
        "transmission.channels_per_stream": _CHANNELS // _STREAMS,
    }
    receiver = subprocess.Popen(  # noqa: S603 (ourselves, an argument list)
        [
            *(*_command("emu-recv"), *_options(own), "--run-folder", str(run_folder)),
            *("--fail-on-loss", "--fail-on-incomplete"),
        ]
    )
    try:
        pace = {"transmission.time_interval": 0.02}
        _run("emu-send", *_options(pace), "--receiver", str(run_folder), str(sent))
        code = receiver.wait(_LONGEST_S)
    except subprocess.TimeoutExpired:
        raise SelfTestError(f"emu-recv has not ended in {_LONGEST_S:g} s") from None
    finally:
        receiver.kill()
        receiver.wait()
    if code:
        raise SelfTestError(f"emu-recv ended with {code}; what it said is above")
    _run("ms-diff", "--round-trip", str(sent), str(received))


def _options(values: Mapping[str, object]) -> Iterator[str]:
    for key, value in values.items():
        yield from ("-o", f"{key}={value}")


def _command(name: str) -> list[str]:
    # Beside our interpreter, wherever it is installed, whatever PATH says.
    return [str(Path(sys.executable).parent / name)]


def _run(name: str, *arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 (ourselves, an argument list)
            [*_command(name), *arguments], timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SelfTestError(f"{name} has not ended in {_LONGEST_S:g} s") from None
    if done.returncode:
        raise SelfTestError(f"{name} ended with {done.returncode}; what it said is above")


def entry() -> int:
    """Run the command for the shell."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
