"""The table of metrics, and its page in the reference."""

from __future__ import annotations

import re

import pytest

from receive.command.stop import StopRequest
from receive.monitor.metrics import METRICS, PREFIX, render
from receive.monitor.status import Status
from tests.conftest import REPOSITORY
from tests.exposition import read

PAGE = REPOSITORY / "docs" / "reference" / "metrics.md"
HOW_TO = REPOSITORY / "docs" / "howto" / "monitor.md"


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
    told = read(render(Status(StopRequest()).view()).decode())
    assert told["vis_receive_state"].samples[(("state", "starting"),)] == 1
    assert told["vis_receive_ready"].samples == {(): 0}
    assert told["vis_receive_process_resident_memory_bytes"].samples[()] > 1 << 20
    assert told["vis_receive_process_cpu_seconds_total"].samples[()] > 0
    assert not any("heaps" in name for name in told)
