"""Row maps, against a plain dictionary that is filled row by row."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receive.command.errors import InputError
from receive.model.rows import ROWS_PER_STEP, RowMap, RowMapBuilder

START_MJD_S = 4.9e9


class PlainRowMap:
    """The same by dictionaries and lists, slow and obvious."""

    def __init__(self, rows):
        self.found = {}
        self.first_row = {}
        for number, (time, antenna1, antenna2, interval, exposure) in rows:
            integration = self.found.setdefault(time, {})
            self.first_row.setdefault(time, (interval, exposure))
            k = sum(pair[:2] == (antenna1, antenna2) for pair in integration)
            integration[antenna1, antenna2, k] = number
        self.times = sorted(self.found)
        union = []
        for time in self.times:
            union += [baseline for baseline in self.found[time] if baseline not in union]
        complete = [time for time in self.times if len(self.found[time]) == len(union)]
        self.baselines = list(self.found[complete[0]]) if complete else union

    def rows(self, index):
        integration = self.found[self.times[index]]
        return [integration.get(baseline, -1) for baseline in self.baselines]


def build(rows, chunk_sizes):
    """Feed a builder with slices of the given sizes, over and over."""
    builder = RowMapBuilder()
    columns = list(zip(*(row for _, row in rows), strict=True))
    numbers = [number for number, _ in rows]
    begin = step = 0
    while begin < len(rows):
        end = begin + chunk_sizes[step % len(chunk_sizes)]
        builder.add(*(np.array(column[begin:end]) for column in columns), numbers[begin:end])
        begin, step = end, step + 1
    return builder.build()


def assert_alike(row_map: RowMap, plain: PlainRowMap) -> None:
    assert row_map.times_mjd_s.tolist() == plain.times
    pairs = zip(row_map.antenna1.tolist(), row_map.antenna2.tolist(), strict=True)
    assert list(pairs) == [baseline[:2] for baseline in plain.baselines]
    for index, time in enumerate(plain.times):
        rows = row_map.rows(index)
        assert rows.dtype == np.int64
        assert rows.tolist() == plain.rows(index)
        found = (row_map.intervals_s[index], row_map.exposures_s[index])
        assert found == plain.first_row[time]
        first = row_map.first_row(index)
        in_order = rows.tolist() == list(range(rows[0], rows[0] + len(rows)))
        assert first == (rows[0] if in_order and rows[0] >= 0 else None)


@st.composite
def observations(draw):
    """Draw a set: mostly regular, then spoilt in the ways that sets are."""
    antennas = draw(st.integers(1, 8))
    autocorrelated = antennas == 1 or draw(st.booleans())
    pairs = [
        (i, j) for i in range(antennas) for j in range(i if autocorrelated else i + 1, antennas)
    ]
    if draw(st.booleans()):
        pairs = [(j, i) for i, j in pairs]
    if draw(st.booleans()):
        pairs.sort(key=lambda pair: pair[::-1])
    pairs *= draw(st.integers(1, 2))
    times = [START_MJD_S + 10.0 * i for i in range(draw(st.integers(1, 12)))]
    random = draw(st.randoms(use_true_random=False))
    rows = [(time, *pair, 10.0, random.choice([9.0, 10.0])) for time in times for pair in pairs]
    spoil = draw(st.sets(st.sampled_from(["holes", "late antenna", "times", "baselines", "all"])))
    if "holes" in spoil:
        rows = [row for row in rows if random.random() < 0.9] or rows
    if "late antenna" in spoil:
        rows = [row for row in rows if row[0] > times[len(times) // 2] or row[1] != 0] or rows
    if "times" in spoil:
        order = random.sample(times, len(times))
        rows.sort(key=lambda row: order.index(row[0]))
    if "baselines" in spoil:
        rows.sort(key=lambda row: row[1:3])
    if "all" in spoil:
        random.shuffle(rows)
    windows = draw(st.sampled_from(["one", "interleaved", "blocks", "gaps"]))
    numbers = {
        "one": range(len(rows)),
        "interleaved": range(1, 2 * len(rows), 2),
        "blocks": [i + len(pairs) * (i // len(pairs)) for i in range(len(rows))],
        "gaps": sorted(random.sample(range(3 * len(rows)), len(rows))),
    }[windows]
    return list(zip(numbers, rows, strict=True))


@settings(max_examples=400, deadline=None)
@given(
    observations(),
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.sampled_from([0, 4, ROWS_PER_STEP]),
)
def test_any_set_maps_as_the_plain_way_does(rows, chunk_sizes, rows_per_step):
    # Sets this small are mostly kept row by row, unless the limit for that is lowered.
    with mock.patch("receive.model.rows.ROWS_PER_STEP", rows_per_step):
        assert_alike(build(rows, chunk_sizes), PlainRowMap(rows))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_rows_without_any_order_map_as_the_plain_way_does(triples, chunk_sizes):
    rows = list(enumerate((START_MJD_S + t, i, j, 1.0, 1.0) for t, i, j in triples))
    assert_alike(build(rows, chunk_sizes), PlainRowMap(rows))


def test_order_is_that_of_the_first_integration_that_has_all():
    pairs = [[(0, 1), (1, 2)], [(1, 2), (0, 2), (0, 1)], [(0, 1), (0, 2), (1, 2)]]
    rows = [(START_MJD_S + t, *pair, 1.0, 1.0) for t, some in enumerate(pairs) for pair in some]
    row_map = build(list(enumerate(rows)), [100])
    assert row_map.antenna1.tolist() == [1, 0, 0]
    assert row_map.antenna2.tolist() == [2, 2, 1]
    assert [row_map.rows(i).tolist() for i in range(3)] == [[1, -1, 0], [2, 3, 4], [7, 6, 5]]
    assert [row_map.first_row(i) for i in range(3)] == [None, 2, None]


def test_a_regular_set_costs_bytes_for_an_integration_not_for_a_row():
    num_antennas, num_times, times_at_once = 128, 1500, 50
    antenna1, antenna2 = np.triu_indices(num_antennas)
    num_baselines = len(antenna1)
    num_rows = num_baselines * num_times
    builder = RowMapBuilder()
    ones = np.ones(num_baselines * times_at_once + 17)
    tracemalloc.start()
    # Slices that end within an integration.
    for begin in range(0, num_rows, len(ones)):
        numbers = np.arange(begin, min(begin + len(ones), num_rows))
        where = numbers % num_baselines
        few = ones[: len(numbers)]
        time = START_MJD_S + numbers // num_baselines
        builder.add(time, antenna1[where], antenna2[where], few, few, numbers)
        del numbers, where, time
    held, _ = tracemalloc.get_traced_memory()
    row_map = builder.build()
    tracemalloc.stop()
    assert held < num_rows / 10
    assert row_map.num_times == num_times
    assert row_map.first_row(num_times - 1) == num_rows - num_baselines
    np.testing.assert_array_equal(row_map.rows(1), np.arange(num_baselines, 2 * num_baselines))


def test_set_ordered_by_baseline():
    num_times = 5000
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    builder = RowMapBuilder()
    for number, pair in enumerate(pairs):
        ones = np.ones(num_times)
        rows = np.arange(number * num_times, (number + 1) * num_times)
        builder.add(START_MJD_S + np.arange(num_times), ones * pair[0], ones * pair[1],
                    ones, ones, rows)  # fmt: skip
    row_map = builder.build()
    assert row_map.antenna2.tolist() == [1, 2, 2]
    assert row_map.rows(4999).tolist() == [4999, 9999, 14999]


def test_rows_are_copied_so_that_a_reader_may_reuse_its_arrays():
    builder = RowMapBuilder()
    time, antenna1, antenna2 = np.full(3, START_MJD_S), np.array([0, 0, 1]), np.array([1, 2, 2])
    builder.add(time, antenna1, antenna2, np.ones(3), np.ones(3), np.arange(3))
    for column in (time, antenna1, antenna2):
        column[:] = 7
    row_map = builder.build()
    assert row_map.times_mjd_s.tolist() == [START_MJD_S]
    assert row_map.antenna2.tolist() == [1, 2, 2]


@pytest.mark.parametrize(("time", "antenna"), [(np.nan, 0), (START_MJD_S, -1)])
def test_row_without_a_valid_time_or_antenna_is_named(time, antenna):
    builder = RowMapBuilder()
    with pytest.raises(InputError, match="row 17 has no valid TIME"):
        builder.add([START_MJD_S, time], [0, antenna], [1, 1], [1, 1], [1, 1], [3, 17])


def test_no_rows_at_all_is_an_input_error():
    builder = RowMapBuilder()
    builder.add([], [], [], [], [], [])
    with pytest.raises(InputError, match="no rows"):
        builder.build()


def test_index_outside_the_integrations():
    row_map = build([(0, (START_MJD_S, 0, 1, 1.0, 1.0))], [1])
    with pytest.raises(IndexError, match="integration 1 of 1"):
        row_map.rows(1)
    with pytest.raises(IndexError):
        row_map.first_row(-1)
