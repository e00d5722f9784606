"""Times that differ by rounding are one integration, and others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from receive.model.times_apart import ROUNDING_INTERVALS, TimeGroups

INTERVAL_S = 2.0
START_MJD_S = 4.8e9


def joined(time: Any, antenna1: Any, antenna2: Any, slices: int = 3) -> TimeGroups:
    groups = TimeGroups()
    pieces = list(
        zip(*(np.array_split(column, slices) for column in (time, antenna1, antenna2)), strict=True)
    )
    for times, _, _ in pieces:
        groups.add(times, np.full(len(times), INTERVAL_S))
    if groups.any_near():
        for _, one, two in pieces:
            groups.add_baselines(one, two)
        groups.join()
    return groups


@given(
    antennas=st.integers(2, 6),
    integrations=st.integers(1, 6),
    part=st.floats(0, 0.49),
    seed=st.integers(0, 2**32 - 1),
)
def test_rounding_of_any_size_below_the_limit_is_undone(
    antennas: int, integrations: int, part: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    antenna1, antenna2 = (
        np.tile(number, integrations) for number in np.triu_indices(antennas, k=1)
    )
    rows = len(antenna1) // integrations
    true = START_MJD_S + INTERVAL_S * np.repeat(np.arange(integrations), rows)
    spread_s = part * ROUNDING_INTERVALS * INTERVAL_S
    time = true + rng.uniform(-spread_s, spread_s, len(true))
    # Rows may be missing, and come in any order.
    kept = rng.permutation(len(true))[: rng.integers(1, len(true) + 1)]
    groups = joined(time[kept], antenna1[kept], antenna2[kept])
    found = groups.of(time[kept])
    for one in np.unique(true[kept]):
        same = true[kept] == one
        assert len(np.unique(found[same])) == 1
        assert (np.abs(found[same] - one) <= spread_s + 2e-6).all()
    assert len(np.unique(found)) == len(np.unique(true[kept]))
    assert groups.largest_s <= 2 * spread_s + 2e-6


@given(repeats=st.integers(2, 5))
def test_a_baseline_comes_not_twice_into_an_integration_that_is_none(repeats: int) -> None:
    antenna1, antenna2 = (np.tile(number, repeats) for number in np.triu_indices(3, k=1))
    # As near to each other as rounding, but each whole: INTERVAL is wrong.
    time = START_MJD_S + 0.001 * np.repeat(np.arange(repeats), 3)
    groups = joined(time, antenna1, antenna2)
    assert groups.largest_s == 0
    assert np.array_equal(groups.of(time), time)


def test_the_time_that_most_rows_have_is_the_integrations() -> None:
    time = START_MJD_S + np.array([0, 0, 1e-5, -1e-5, 0, 2e-5])
    antenna1, antenna2 = np.triu_indices(4, k=1)
    groups = joined(time, antenna1, antenna2)
    assert (groups.of(time) == START_MJD_S).all()
