"""``emu-fetch-model``: fetch the telescope model to the folder where the receiver reads it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from receive.command import cli
from receive.config.arguments import common_parser, load_config
from receive.config.keys import Key, Kind
from receive.download.fetch import RETRIES, STALL_TIMEOUT_S, TIMEOUT_S
from receive.fetch.limits import MAX_RATIO, MAX_UNPACKED_BYTES
from receive.fetch.model import Bounds, fetch_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

PROG = "emu-fetch-model"
ACTS_ON = ("model",)
_TERMINATED = 143
_EPILOG = """\
exit codes:
  0    the model is there
  1    a defect of ours: a traceback, and how to report it
  2    usage or configuration
  3    the archive is damaged, not the right one, does not hold the set, or must not be unpacked
  4    no room, not writable, or something else is there already
  5    it cannot be had: no connection, or the server refuses
  130  stopped by SIGINT; nothing is left
  143  stopped by SIGTERM; nothing is left
"""


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(
        PROG,
        "Fetch the telescope model of model.url, an archive that holds the Measurement Set "
        "model.name at any depth,\nand unpack it to DIR/<model.name>. Proxies and CA bundle are "
        "those of the environment\n(http_proxy, https_proxy, no_proxy by the rules of Go, "
        "REQUESTS_CA_BUNDLE).",
        _EPILOG,
    )
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="the folder that gets the model"
    )
    parser.add_argument(
        "--retries",
        type=_count,
        default=RETRIES,
        metavar="N",
        help="how often in a row a fetch that fails for now is tried again (%(default)s)",
    )
    parser.add_argument(
        "--stall-timeout",
        type=_positive,
        default=STALL_TIMEOUT_S,
        metavar="S",
        help="give a connection up that brings no answer, or less than 1 KiB/s, for S seconds "
        "(%(default)g)",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=TIMEOUT_S,
        metavar="S",
        help="give the fetch up that takes more than S seconds with all its attempts (%(default)g)",
    )
    parser.add_argument(
        "--max-unpacked",
        type=_size,
        default=MAX_UNPACKED_BYTES,
        metavar="BYTES",
        help="refuse an archive that is, or unpacks to, more, also 20 GiB and such (100 GiB)",
    )
    parser.add_argument(
        "--max-ratio",
        type=_positive,
        default=MAX_RATIO,
        metavar="N",
        help="refuse an archive that unpacks to more than N times its size (%(default)g)",
    )
    return parser


def _parsed(kind: Kind, text: str, *, unit: str | None = None, minimum: float = 0) -> float:
    key = Key(name="option", kind=kind, default=None, doc="", unit=unit, minimum=minimum)
    try:
        value = key.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    assert isinstance(value, int | float)  # noqa: S101 (what such a key makes of a text)
    return value


def _count(text: str) -> int:
    return int(_parsed(Kind.INTEGER, text))


def _size(text: str) -> int:
    return int(_parsed(Kind.INTEGER, text, unit="bytes", minimum=1))


def _positive(text: str) -> float:
    return _parsed(Kind.NUMBER, text, minimum=0.001)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``emu-fetch-model``; return its exit code."""
    args = _parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    config = load_config(args)
    config.require_available(ACTS_ON)
    signal.signal(signal.SIGTERM, _end)
    bounds = Bounds(
        args.retries, args.stall_timeout, args.timeout, args.max_unpacked, args.max_ratio
    )
    target = fetch_model(config, args.to, bounds)
    sys.stdout.write(f"{target}\n")
    return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    # The exit cleans up temporary files; a second SIGTERM must not interrupt that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(_TERMINATED)


def entry() -> int:
    """Entry point of the command."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
