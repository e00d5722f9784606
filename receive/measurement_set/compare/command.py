"""``ms-diff``: what differs between two Measurement Sets, one line a difference.

Exit code 0 when they are the same, 1 when they differ, 2 when that could not be found out.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import ConfigError, VisReceiveError
from receive.measurement_set.compare.round_trip import diff_round_trip
from receive.measurement_set.compare.tables import Selection, diff_sets
from receive.measurement_set.compare.values import Tolerances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.measurement_set.compare.report import Report

PROG = "ms-diff"
SAME, DIFFER = 0, 1

EXIT_CODES = """\
exit codes:
  0    they are the same
  1    they differ
  2    that could not be found out: usage, or a set that cannot be read
"""

_log = logging.getLogger(__name__)


class DiffTroubleError(VisReceiveError):
    """The sets could not be compared: of all commands, this one must not end with 1 then."""

    exit_code = 2


def entry() -> int:
    """Run the command with the arguments of the process."""
    return cli.run(PROG, main)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two sets.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0 the same, 1 they differ.

    Raises
    ------
    DiffTroubleError
        They could not be compared.
    """
    args = parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    try:
        report = _compare(args)
    except VisReceiveError as error:
        raise DiffTroubleError(str(error)) from error
    except BrokenPipeError:
        raise
    except Exception as error:
        # Anything else would end with 1, which here means that they differ.
        _log.exception("a defect of %s", PROG)
        raise DiffTroubleError(f"a defect of {PROG}, please report it: {error!r}") from error
    _print(report, args)
    return SAME if report.same else DIFFER


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = cli.plain_parser(
        PROG,
        "Compare two Measurement Sets, with their subtables, column by column. "
        "A NaN equals a NaN. How columns are stored is no difference.",
        EXIT_CODES,
    )
    found.add_argument("a", metavar="A", type=Path, help="Measurement Set; differences refer to it")
    found.add_argument("b", metavar="B", type=Path, help="Measurement Set to compare it with")
    found.add_argument(
        "--columns",
        metavar="COL",
        action="extend",
        nargs="+",
        default=[],
        help="compare only these: COLUMN of the main table, SUBTABLE/COLUMN, or patterns (UVW*)",
    )
    found.add_argument(
        "--ignore",
        metavar="COL",
        action="extend",
        nargs="+",
        default=[],
        help="do not compare these: COLUMN, SUBTABLE/COLUMN, SUBTABLE, or patterns",
    )
    found.add_argument(
        "--atol",
        metavar="[COL=]V",
        action="append",
        default=[],
        help="absolute difference that is none, of one column or of all floating point columns; "
        "may be repeated",
    )
    found.add_argument(
        "--rtol",
        metavar="[COL=]V",
        action="append",
        default=[],
        help="the same, relative to A's value",
    )
    found.add_argument(
        "--subtables",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare subtables too (default)",
    )
    found.add_argument(
        "--round-trip",
        action="store_true",
        help="B is what came back of A over the wire: allow what the interface to the correlator "
        "cannot carry (flags and weights of each polarisation, 8-bit weights and centroids, "
        "other data columns), and a longer HISTORY",
    )
    found.add_argument(
        "--column",
        metavar="COL",
        default="DATA",
        help="with --round-trip: the column of A that was sent (reader.column)",
    )
    found.add_argument("--json", action="store_true", help="print the report as JSON")
    found.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return found


def _compare(args: argparse.Namespace) -> Report:
    if args.round_trip:
        if args.columns or args.atol or args.rtol:
            raise ConfigError(
                "--round-trip has columns and tolerances of its own: "
                "leave out --columns, --atol and --rtol"
            )
        return diff_round_trip(
            args.a,
            args.b,
            ignore=tuple(args.ignore),
            subtables=args.subtables,
            column=args.column,
        )
    if args.column != "DATA":
        raise ConfigError("--column says what was sent: it goes with --round-trip")
    atol, atol_of = _tolerances("--atol", args.atol)
    rtol, rtol_of = _tolerances("--rtol", args.rtol)
    return diff_sets(
        args.a,
        args.b,
        selection=Selection(tuple(args.columns), tuple(args.ignore), args.subtables),
        tolerances=Tolerances(atol, rtol, atol_of, rtol_of),
    )


def _tolerances(option: str, texts: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Read ``V`` and ``COL=V``, the later winning."""
    everywhere, of = 0.0, {}
    for text in texts:
        column, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not value >= 0 or (equals and not column):
            raise ConfigError(
                f"{option} {text}: expected a number that is not negative, or COLUMN=number"
            )
        if equals:
            of[column] = value
        else:
            everywhere = value
    return everywhere, of


def _print(report: Report, args: argparse.Namespace) -> None:
    if args.quiet:
        return
    if args.json:
        json.dump(report.to_dict(str(args.a), str(args.b)), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in report.lines())
