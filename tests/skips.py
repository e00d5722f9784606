"""Under CI a test that was skipped is a failure: what CI leaves out, nobody runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def left_out(session: pytest.Session) -> list[str]:
    """Return the reasons of the tests that were skipped, each once."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    return sorted({f"{report.nodeid}: {_reason(report)}" for report in skipped})


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return str(report.longrepr)


def is_ci() -> bool:
    """Whether this is a run of CI."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}
