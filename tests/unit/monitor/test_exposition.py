"""What Prometheus reads, read again by a strict reader."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.command.stop import StopRequest
from receive.monitor.metrics import PREFIX, Metric, render
from receive.monitor.status import Status
from tests.exposition import read

NAME, TOTAL = f"{PREFIX}some_name", f"{PREFIX}some_total"


def family(name: str, kind: str, told: str, labels: tuple[str, ...], samples: list[Any]) -> str:
    metric = Metric(name, kind, told, lambda _view: samples, labels)
    return render(Status(StopRequest()).view(), [metric]).decode()


@given(st.lists(st.text(), unique=True, min_size=1), st.text(min_size=1))
def test_any_label_and_help_text_survive(values: list[str], told: str) -> None:
    page = family("some_name", "gauge", told, ("a", "b"), [((v, "x"), 1.5) for v in values])
    found = read(page)[NAME]
    assert found.samples == {(("a", value), ("b", "x")): 1.5 for value in values}
    assert re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), found.text) == told


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_survives(number: float) -> None:
    page = family("some_total", "counter", "text", (), [((), number)])
    assert read(page)[TOTAL].samples == {(): float(number)}


def test_a_metric_without_samples_is_left_out() -> None:
    assert family("name", "gauge", "text", ("a",), []) == ""


def test_labels_and_values_must_agree() -> None:
    with pytest.raises(ValueError, match="zip"):
        family("name", "gauge", "text", ("a", "b"), [(("x",), 1)])


@pytest.mark.parametrize(
    "page",
    [
        "x 1",
        "x 1\n",
        "# HELP x y\n# TYPE x gauge\nx NaN?\n",
        "# HELP x y\n# TYPE x counter\nx 1\n",
        "# HELP x y\n# TYPE x gauge\nx 1\nx 2\n",
        '# HELP x y\n# TYPE x gauge\nx{a="1" 2\n',
        '# HELP x y\n# TYPE x gauge\nx{a="1",} 2\n',
        "# HELP x y\n# TYPE x gauge\n",
    ],
)
def test_the_reader_is_strict(page: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        read(page)
