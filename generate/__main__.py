"""Write everything that is generated, or check it: ``python -m generate [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generate import configuration, metrics_page, sizing_page
from generate.charts import files as charts
from receive.command import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROG = "python -m generate"
DESCRIPTION = """\
Write the reference pages and the JSON schema of the configuration, the pages of metrics and sizes,
and the values, schemas and README files of the charts."""
EXIT_CODES = """\
exit codes:
  0    all were written; or with --check, all are up to date
  1    with --check, some are not up to date
"""
PARTS: dict[str, Callable[[Path], dict[Path, str]]] = {
    "configuration": configuration.texts,
    "metrics": metrics_page.texts,
    "sizing": sizing_page.texts,
    "charts": charts.texts,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.plain_parser(PROG, DESCRIPTION, EXIT_CODES)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the repository (default: this folder)"
    )
    args = parser.parse_args(argv)
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    texts: dict[Path, str] = {}
    for part in args.parts or PARTS:
        texts |= PARTS[part](args.root)
    stale = [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if args.check:
            sys.stdout.write(f"{path} is not up to date\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(cli.run(PROG, main))
