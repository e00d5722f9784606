"""``ms-recover``: close Measurement Sets whose writer was killed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.command import cli
from receive.command.errors import VisReceiveError
from receive.measurement_set.write.recover import recover

if TYPE_CHECKING:
    from collections.abc import Sequence

PROG = "ms-recover"

_EPILOG = """\
A set whose writer was killed holds every integration that was reported closed.  It may open as it
is; after ms-recover it does, with exactly these integrations.  It does no harm to a set that needs
nothing, nor when it is called twice.

exit codes:
  0  all sets are closed
  3  one is not a Measurement Set, is still being written, or was changed since
  4  one cannot be written
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Recover the sets that are named; one line for each, and the code of the first that failed."""
    parser = cli.plain_parser(PROG, "Close Measurement Sets whose writer was killed.", _EPILOG)
    parser.add_argument("sets", metavar="SET", nargs="+", type=Path, help="a Measurement Set")
    args = parser.parse_args(argv)
    cli.setup_logging(args.verbose)
    code = 0
    for path in args.sets:
        try:
            result = recover(path)
        except VisReceiveError as error:
            sys.stderr.write(f"{PROG}: error: {error}\n")
            code = code or error.exit_code
            continue
        if result.needed:
            text = f"closed with {result.dumps} integrations in {result.rows} rows"
        else:
            text = "needs nothing"
        sys.stdout.write(f"{path}: {text}\n")
    return code


def entry() -> int:
    """Run the command; the console script."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
