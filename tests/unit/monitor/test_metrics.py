"""The table of metrics, and its page in the reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from generate import metrics as command
from receive.command.stop import StopRequest
from receive.monitor.metrics import METRICS, PREFIX, render
from receive.monitor.status import Status
from tests.conftest import REPOSITORY
from tests.exposition import read

if TYPE_CHECKING:
    from pathlib import Path

PAGE = REPOSITORY / "docs" / "reference" / "metrics.md"
HOW_TO = REPOSITORY / "docs" / "howto" / "monitor.md"


def test_the_committed_page_says_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--page", str(PAGE), "--check"]) == 0, capsys.readouterr().out


def test_check_tells_what_is_stale_and_writing_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "metrics.md"
    assert command.main(["--page", str(page), "--check"]) == 1
    assert f"{page} is not up to date" in capsys.readouterr().out
    assert not page.exists()
    assert command.main(["--page", str(page)]) == 0
    assert command.main(["--page", str(page), "--check"]) == 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_named_and_explained_as_is_usual(metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.text.endswith(".")
    assert f"| `{PREFIX}{metric.name}` | {metric.kind} |" in PAGE.read_text()
    assert "|" not in metric.text


def test_the_how_to_names_only_metrics_that_there_are() -> None:
    names = {PREFIX + metric.name for metric in METRICS}
    told = set(re.findall(rf"\b{PREFIX}\w+", HOW_TO.read_text()))
    assert len(told) > 10
    assert told <= names


def test_before_packets_can_come_only_the_process_is_told_of() -> None:
    told = read(render(Status(StopRequest()).view()))
    assert told["vis_receive_state"].samples[(("state", "starting"),)] == 1
    assert told["vis_receive_ready"].samples == {(): 0}
    assert told["vis_receive_process_resident_memory_bytes"].samples[()] > 1 << 20
    assert told["vis_receive_process_cpu_seconds_total"].samples[()] > 0
    assert not any("heaps" in name for name in told)
