"""``ms-plot``: one page of pictures of a Measurement Set, to look at before it is read."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import ConfigError, OutputError
from receive.measurement_set.plot.data import gather

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import ModuleType

PROG = "ms-plot"

EXIT_CODES = """\
exit codes:
  0    the picture was written
  1    a defect of ours: a traceback, and how to report it
  2    usage, or matplotlib is not installed
  3    input: missing, not a Measurement Set, truncated, locked, empty
  4    output: not writable, disk full
"""


def entry() -> int:
    """Run the command with the arguments of the process."""
    return cli.run(PROG, main)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a set.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0.

    Raises
    ------
    ConfigError
        Usage, or matplotlib is missing.
    InputError
        The set cannot be read.
    OutputError
        The picture cannot be written.
    """
    args = parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    output = args.output or Path(f"{args.set.resolve().stem}.png")
    if output.suffix.lower() != ".png":
        raise ConfigError(f"{output}: the picture is a PNG file, its name must end in .png")
    plot = _drawing()
    picture = plot.draw(gather(args.set, args.column))
    try:
        output.write_bytes(picture)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{output}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = cli.plain_parser(
        PROG,
        "Draw a Measurement Set on one page: amplitude and phase against time and channel, "
        "uv coverage, flags. Sets too large to be drawn in seconds are thinned out evenly; the "
        "picture says so.",
        EXIT_CODES,
    )
    found.add_argument("set", metavar="MS", type=Path, help="Measurement Set")
    found.add_argument(
        "-o",
        "--output",
        metavar="OUT.png",
        type=Path,
        help="picture to write, or to replace; default: the set's name with .png, "
        "in the current folder",
    )
    found.add_argument("--column", default="DATA", help="data column (default: DATA)")
    return found


def _drawing() -> ModuleType:
    """Import what draws; matplotlib is an extra that not everyone needs."""
    try:
        return importlib.import_module("receive.measurement_set.plot.page")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ConfigError(
            f"{PROG} draws with matplotlib, which is not installed: pip install vis-receive[plot]"
        ) from error
