"""A short run of ``make fuzz``, and that a run can be had again."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.attack import attack
from tests.fuzz.packets import BATCH, batches

if TYPE_CHECKING:
    from pathlib import Path


def test_twenty_thousand_fuzzed_packets_are_all_counted_and_harm_nothing(tmp_path: Path) -> None:
    result = attack(tmp_path, seed=20, count=20_000)
    assert result.sent == 20_000
    # The seed reaches what it is there for: packets and none, heaps placed and refused.
    assert 1000 < result.packets < 19_000
    assert sum(count > 0 for count in result.refused.values()) >= 6
    assert result.begun > sum(result.refused.values())
    assert result.scans > 1


@pytest.mark.parametrize("seed", [22, 37, 117, 306, 416, 931])
def test_what_fuzzed_starts_leave_behind_takes_no_part_of_an_observation(
    tmp_path: Path, seed: int
) -> None:
    """Each seed has lost a part of the observation, or its scan id, in a way of its own."""
    attack(tmp_path, seed=seed, count=2_000)


def test_an_observation_is_whole_after_more_starts_than_may_be_open(tmp_path: Path) -> None:
    attack(tmp_path, seed=106, count=20_000)


def test_the_same_seed_gives_the_same_packets_and_any_part_of_them() -> None:
    whole = list(batches(7, 0, 5 * BATCH))
    assert list(chain(*whole)) == list(chain(*batches(7, 0, 5 * BATCH)))
    assert list(batches(7, 3, BATCH)) == whole[3:4]
    assert list(batches(8, 3, BATCH)) != whole[3:4]
