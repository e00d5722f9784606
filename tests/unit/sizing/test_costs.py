from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.errors import InputError
from receive.sizing.costs import MEMORY, WORK, Costs, memory_work, work
from receive.sizing.shape import Shape, Wire

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT: dict[str, Any] = {
    "format": 1,
    "measured": {"date": "2026-01-01 00:00 UTC", "machine": "a machine"},
    "cpu_s": dict.fromkeys(WORK, 1.0),
    "memory_bytes": dict.fromkeys(MEMORY, 1.0),
    "cpu_error": 0.1,
    "cpu_floor": 0.05,
}


def test_the_delivered_costs_say_when_and_where_they_were_measured() -> None:
    costs = Costs.load()
    assert costs.date.endswith("UTC")
    assert " cores of " in costs.machine
    assert costs.cpu_error > 0
    assert sum(costs.cpu_s.values()) > 0
    assert costs.memory_bytes["process"] > 0
    assert costs.document["checks"]


def test_costs_of_another_machine_are_read(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(DOCUMENT))
    costs = Costs.load(path)
    assert (costs.machine, costs.cpu_error, costs.cpu_floor) == ("a machine", 0.1, 0.05)
    amounts = work(Shape(1, 2, 1.0, 1), Wire("tcp", 65536), writes=False)
    # 68 bytes, 2 heaps, 2 streams and 1 process that asks after quiet connections, each for a
    # second, and a look with 10 ms after it.
    assert costs.cores(amounts) == pytest.approx(68 + 2 + 2 + 1 + 1 + 1 / 1.01)
    assert costs.cores(amounts, "heap", "stream") == 4
    assert costs.memory(memory_work(Shape(5, 2, 0.5, 1), writes=True)) == 1 + 2 + 1 + 5


def changed(*keys: str, value: object) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return document


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "\xff",
        json.dumps(changed("format", value=2)),
        json.dumps(changed("cpu_s", "heap", value=-1.0)),
        json.dumps(changed("cpu_s", "heap", value="much")),
        json.dumps(changed("cpu_s", "another", value=1.0)),
        json.dumps(changed("memory_bytes", value={"process": 1.0})),
        json.dumps(changed("measured", value={})),
    ],
)
def test_what_holds_no_costs_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "costs.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="make sizing") as told:
        Costs.load(path)
    assert str(path) in str(told.value)


def test_costs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        Costs.load(tmp_path / "none.json")
