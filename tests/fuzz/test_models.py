"""Of 640 models that are not quite, each is refused before ready or received with right data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import LOFAR_SETS
from tests.fuzz.models import campaign, make_good_sets

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 640
SHARE = 80
"""So many make a test, which has its time even where others are at work."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> list[Path]:
    """What mutants are made of."""
    others = [request.getfixturevalue(name) for name in LOFAR_SETS]
    return make_good_sets(tmp_path_factory.mktemp("good"), others)


@pytest.mark.parametrize("first", range(0, COUNT, SHARE))
def test_each_mutant_is_refused_before_ready_or_received_with_right_data(
    tmp_path: Path, good: list[Path], first: int
) -> None:
    result = campaign(tmp_path, good, seed=9, numbers=range(first, first + SHARE))
    assert not result.faults, "\n".join(result.faults)
    assert result.taken + result.refused == SHARE
    # The seed reaches what it is there for.
    assert result.taken > SHARE / 4
    assert result.refused > SHARE / 20
