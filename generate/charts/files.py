"""The generated files of the charts: values.yaml, values.schema.json, README.md, shared templates.

`emulator` holds copies of the templates that `receive` has under templates/shared: a library chart
would have to be fetched before an installation from a checkout.
"""

from __future__ import annotations

import json
from pathlib import Path

from generate.charts.page import readme_text
from generate.charts.receiver import RECEIVE
from generate.charts.schema import chart_schema
from generate.charts.sender import EMULATOR
from generate.charts.values_file import values_text

_SHARED = Path("templates", "shared")


def texts(root: Path) -> dict[Path, str]:
    """Return what the generated files of the charts must hold."""
    folder = root / "charts"
    made: dict[Path, str] = {}
    for chart in (RECEIVE, EMULATOR):
        place = folder / chart.name
        schema = json.dumps(chart_schema(chart), indent=2, ensure_ascii=False)
        made[place / "values.yaml"] = values_text(chart)
        made[place / "values.schema.json"] = f"{schema}\n"
        made[place / "README.md"] = readme_text(chart)
    for path in sorted((folder / RECEIVE.name / _SHARED).glob("*.tpl")):
        made[folder / EMULATOR.name / _SHARED / path.name] = path.read_text(encoding="utf-8")
    return made
