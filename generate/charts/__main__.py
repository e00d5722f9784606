"""Writes values.yaml, values.schema.json, README.md and the shared templates of the charts.

``python -m generate.charts charts`` writes them, with ``--check`` it only tells whether they are up
to date.  `emulator` holds copies of the templates that `receive` has under templates/shared: a
library chart would have to be fetched before an installation from a checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generate.charts.page import readme_text
from generate.charts.receiver import RECEIVE
from generate.charts.schema import chart_schema
from generate.charts.sender import EMULATOR
from generate.charts.values_file import values_text
from receive.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED = Path("templates", "shared")


def generated(folder: Path) -> dict[Path, str]:
    """Return what the generated files of the charts in `folder` must hold."""
    texts: dict[Path, str] = {}
    for chart in (RECEIVE, EMULATOR):
        place = folder / chart.name
        schema = json.dumps(chart_schema(chart), indent=2, ensure_ascii=False)
        texts[place / "values.yaml"] = values_text(chart)
        texts[place / "values.schema.json"] = f"{schema}\n"
        texts[place / "README.md"] = readme_text(chart)
    for path in sorted((folder / RECEIVE.name / _SHARED).glob("*.tpl")):
        texts[folder / EMULATOR.name / _SHARED / path.name] = path.read_text(encoding="utf-8")
    return texts


def main(argv: Sequence[str] | None = None) -> int:
    """Write the generated files of the charts, or check them; 1 if they are not up to date."""
    parser = argparse.ArgumentParser(prog="generate.charts", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the charts are, charts")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    texts = generated(args.folder)
    stale = [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if args.check:
            print(f"{path} is not up to date")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(cli.run("generate.charts", main))
