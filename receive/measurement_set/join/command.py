"""``ms-concat``: one Measurement Set of pieces of one observation."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import ConfigError, InputError, OutputError
from receive.measurement_set.read.table_name import refuse_misread_output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import FrameType

    from receive.measurement_set.join.pieces import Piece

PROG = "ms-concat"

_EPILOG = """\
Pieces that differ in channels, such as those of emu-recv --processes N, become one set with one
spectral window, in the order of frequency; rows belong together by time and antennas, and what a
piece does not have is flagged.  Pieces that have the same channels follow each other in time.
The pieces may be given in any order, and stay as they are.

exit codes:
  0  the set was made
  2  usage
  3  a piece cannot be read, or the pieces do not belong together
  4  the set exists or cannot be written
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = cli.plain_parser(PROG, "Make one Measurement Set of pieces of one observation.", _EPILOG)
    made.add_argument("out", metavar="OUT", type=Path, help="the set to make")
    made.add_argument("pieces", metavar="PIECE", nargs="+", type=Path, help="a set to join")
    made.add_argument(
        "--virtual",
        action="store_true",
        help="pieces of time only: copy nothing, refer to the pieces, which must stay there",
    )
    made.add_argument(
        "--gaps",
        choices=("refuse", "fill", "keep"),
        default="refuse",
        help="where channels are missing between two pieces: refuse to join them (the default), "
        "fill in flagged data, or keep the gap, with frequencies that jump",
    )
    made.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="SUBTABLE[/COLUMN]",
        help="may differ between the pieces: that of the first is taken; any number of times",
    )
    made.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Join the pieces that are named."""
    args = parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    # Told to stop, it removes what it has begun.
    signal.signal(signal.SIGTERM, _stop)
    _allow_many_files()
    from receive.measurement_set.join.pieces import open_pieces  # noqa: PLC0415 (--help is fast)

    _check_out(args.out, args.pieces, overwrite=args.overwrite)
    pieces = open_pieces(args.pieces)
    try:
        done = _join(args, pieces)
    finally:
        for piece in pieces:
            piece.reader.close()
    sys.stdout.write(f"{args.out}: {done} integrations of {len(pieces)} pieces\n")
    return 0


def _join(args: argparse.Namespace, pieces: Sequence[Piece]) -> int:
    from receive.measurement_set.join.channels import join_channels  # noqa: PLC0415
    from receive.measurement_set.join.pieces import check_alike, have_same_channels  # noqa: PLC0415 (--help is fast)
    from receive.measurement_set.join.times import join_times, link_times  # noqa: PLC0415

    same = [have_same_channels(pieces[0], piece) for piece in pieces]
    if all(same):
        check_alike(pieces, channels=False, ignore=args.ignore)
        join = link_times if args.virtual else join_times
        return join(args.out, pieces, overwrite=args.overwrite)
    _refuse_grid(pieces)
    if args.virtual:
        raise ConfigError(
            "--virtual with pieces that differ in channels: a set can refer to the rows of others, "
            "not to their channels; leave --virtual out"
        )
    check_alike(pieces, channels=True, ignore=args.ignore)
    return join_channels(args.out, pieces, gaps=args.gaps, overwrite=args.overwrite)


def _refuse_grid(pieces: Sequence[Piece]) -> None:
    """Refuse pieces of which some differ in channels and some in time."""
    from receive.measurement_set.join.pieces import common_times, have_same_channels  # noqa: PLC0415 (--help is fast)

    for number, one in enumerate(pieces):
        for other in pieces[:number]:
            if not have_same_channels(one, other):
                continue
            if common_times(one, other):
                raise InputError(
                    f"{other.path} and {one.path} overlap: they have the same channels and times"
                )
            raise InputError(
                f"{other.path} and {one.path} have the same channels, and others of the pieces "
                f"have other ones: join the pieces of each scan first, and then the scans"
            )


def _check_out(out: Path, pieces: Sequence[Path], *, overwrite: bool) -> None:
    refuse_misread_output(out)
    if out.resolve() in {piece.resolve() for piece in pieces}:
        raise ConfigError(f"{out} is a piece and the result: give the result another name, first")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: choose another name, or give --overwrite to replace it")


def _allow_many_files() -> None:
    """Raise the limit of open files as far as it may be: a set has a dozen or two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def entry() -> int:
    """Run the command; the console script."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
