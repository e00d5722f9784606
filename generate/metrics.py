"""``python -m receive.monitor --page FILE``: write the reference's page of the metrics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generate import metrics_page as page
from receive.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

PROG = "python -m receive.monitor"
EXIT_CODES = """\
exit codes:
  0    it was written; or with --check, it is up to date
  1    with --check, it is not up to date
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.plain_parser(PROG, "Write the reference's page of the metrics.", EXIT_CODES)
    parser.add_argument(
        "--page", type=Path, metavar="FILE", required=True, help="write docs/reference/metrics.md"
    )
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    args = parser.parse_args(argv)
    text = page.text()
    stale = not args.page.exists() or args.page.read_text(encoding="utf-8") != text
    if stale and args.check:
        sys.stdout.write(f"{args.page} is not up to date\n")
    elif stale:
        args.page.write_text(text, encoding="utf-8")
    return int(args.check and stale)


if __name__ == "__main__":
    sys.exit(cli.run(PROG, main))
