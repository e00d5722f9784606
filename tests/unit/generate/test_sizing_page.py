from __future__ import annotations

import pytest

from generate.sizing_page import text
from generate.telescopes import SOURCES, TELESCOPES
from receive.sizing.costs import Costs
from receive.sizing.model import size
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "sizing.md"


@pytest.mark.parametrize("telescope", TELESCOPES, ids=lambda telescope: telescope.name)
def test_each_telescope_has_sources_and_a_row(telescope) -> None:
    assert telescope.sources
    assert set(telescope.sources) <= set(SOURCES)
    [row] = [
        line for line in text(Costs.load()).splitlines() if line.startswith(f"| {telescope.name} [")
    ]
    assert f"| {telescope.stations} |" in row
    assert f"| {telescope.channels:,} |" in row
    needed = size(telescope.shape, Costs.load())
    assert f"| {needed.receivers:,} " in row
    assert ("is too slow" in row) == bool(needed.impossible)


def test_no_source_is_without_a_telescope_and_assumptions_are_told() -> None:
    assert {key for telescope in TELESCOPES for key in telescope.sources} == set(SOURCES)
    page = text(Costs.load())
    for telescope in TELESCOPES:
        if telescope.assumed:
            assert f"- {telescope.name}: {telescope.assumed}." in page


def test_the_page_has_the_errors_and_the_check_against_a_measurement() -> None:
    costs = Costs.load()
    page = text(costs)
    assert f"error +-{costs.cpu_error:.0%}" in page
    for check in costs.document["checks"]:
        assert f"| {check['case']} |" in page
        assert f"{check['error']:+.0%}" in page
    assert costs.machine in page
