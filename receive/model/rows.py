"""Which row of a Measurement Set holds which baseline of which integration.

A set is read once, in slices of its TIME, ANTENNA1 and ANTENNA2 columns, and nothing is assumed:
rows may be out of time order, of several spectral windows in turn, missing, repeated, in either
triangle's order, and differ from one time to the next.  Regular stretches, which is nearly all
of nearly every set, cost a few bytes for each integration; only what is irregular is kept row by
row (24 bytes a row, and several times that while `RowMapBuilder.build` sorts it).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from receive.command.errors import InputError
from receive.model.row_order import BaselineOrder, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROWS_PER_STEP = 16
"""Stretches that hold fewer rows on average are kept row by row, to do little in Python."""


class _Runs(NamedTuple):
    """Regular integrations: a pattern of baselines on rows ``first + stride x i``.

    Pattern -1 stands for an integration that is not regular.
    """

    time: Floats
    pattern: Ints
    first: Ints
    stride: Ints

    def take(self, chosen: NDArray[Any]) -> _Runs:
        return _Runs._make(column[chosen] for column in self)


class _Rows(NamedTuple):
    """Columns of rows that are kept one by one; `code` is the pair of antennas, packed."""

    time: Floats
    code: Ints
    row: Ints

    def view(self, begin: int, end: int) -> _Rows:
        return _Rows._make(column[begin:end] for column in self)

    def take(self, chosen: NDArray[Any] | slice) -> _Rows:
        # Copied, because a view would keep the caller's whole slice of the set in memory.
        return _Rows._make(column[chosen].copy() for column in self)


class _Marks(NamedTuple):
    """First rows of times: which INTERVAL and EXPOSURE are an integration's."""

    time: Floats
    row: Ints
    interval: Floats
    exposure: Floats


def _joined(pieces: Sequence[tuple[NDArray[Any], ...]]) -> list[NDArray[Any]]:
    return [np.concatenate(columns) for columns in zip(*pieces, strict=True)]


@dataclass(frozen=True, eq=False)
class _LooseRows:
    """Irregular integrations: baselines and rows of integration i from ``start[i]``."""

    start: Ints
    slot: NDArray[np.int32]
    row: Ints

    def of(self, index: int) -> tuple[NDArray[np.int32], Ints]:
        here = slice(self.start[index], self.start[index + 1])
        return self.slot[here], self.row[here]


@dataclass(frozen=True, eq=False)
class RowMap:
    """Rows of each integration of a set, by baseline.

    Attributes
    ----------
    times_mjd_s, intervals_s, exposures_s : ndarray of float64, (times,)
        TIME of the integrations, ascending, each once, with INTERVAL and EXPOSURE of the first
        row of each.
    antenna1, antenna2 : ndarray of int32, (baselines,)
        All baselines of the set: the union over the integrations of the k-th rows of each pair
        of antennas, in the order of the earliest integration that has them all, else in that of
        first appearance.
    """

    times_mjd_s: Floats
    intervals_s: Floats
    exposures_s: Floats
    antenna1: NDArray[np.int32]
    antenna2: NDArray[np.int32]
    _runs: _Runs
    _pattern_slots: tuple[NDArray[np.intp] | None, ...]
    _loose: _LooseRows

    @property
    def num_baselines(self) -> int:
        """Number of baselines."""
        return len(self.antenna1)

    @property
    def num_times(self) -> int:
        """Number of integrations."""
        return len(self.times_mjd_s)

    def rows(self, index: int) -> Ints:
        """Return the row of each baseline in an integration, -1 where there is none.

        Parameters
        ----------
        index : int
            Index into `times_mjd_s`.

        Returns
        -------
        ndarray of int64, (baselines,)
        """
        if not 0 <= index < self.num_times:
            raise IndexError(f"integration {index} of {self.num_times}")
        rows = np.full(self.num_baselines, -1, np.int64)
        pattern = self._runs.pattern[index]
        if pattern < 0:
            slots, loose_rows = self._loose.of(index)
            rows[slots] = loose_rows
            return rows
        first, stride = self._runs.first[index], self._runs.stride[index]
        chosen = self._pattern_slots[pattern]
        if chosen is None:
            return np.asarray(first + stride * np.arange(self.num_baselines))
        rows[chosen] = first + stride * np.arange(len(chosen))
        return rows

    def first_row(self, index: int) -> int | None:
        """Return the first row of an integration if the others follow it in order, else None.

        Then ``rows(index)`` is ``arange(first, first + num_baselines)`` and a slice of a column
        is the whole integration.
        """
        pattern = self._runs.pattern[index]
        if pattern >= 0 and self._pattern_slots[pattern] is None and self._runs.stride[index] == 1:
            return int(self._runs.first[index])
        rows = self.rows(index)
        return int(rows[0]) if rows[0] >= 0 and (np.diff(rows) == 1).all() else None


@dataclass
class RowMapBuilder:
    """Collects slices of a set's columns, in the order of its rows, and builds a `RowMap`."""

    _marks: list[_Marks] = field(default_factory=list)
    _open: list[_Rows] = field(default_factory=list)
    _runs: list[_Runs] = field(default_factory=list)
    _rows: list[_Rows] = field(default_factory=list)
    _patterns: list[Ints] = field(default_factory=list)
    _pattern_number: dict[bytes, int] = field(default_factory=dict)

    def add(
        self,
        time: ArrayLike,
        antenna1: ArrayLike,
        antenna2: ArrayLike,
        interval: ArrayLike,
        exposure: ArrayLike,
        row_numbers: ArrayLike,
    ) -> None:
        """Add the next rows of the set.

        Parameters
        ----------
        time, interval, exposure : array_like of float64, (rows,)
            MJD seconds, UTC; seconds.
        antenna1, antenna2 : array_like of int, (rows,)
            Antenna numbers.
        row_numbers : array_like of int, (rows,)
            Numbers of these rows in the set; they ascend, here and from one call to the next.

        Raises
        ------
        InputError
            If a time is not a number or an antenna number is negative.
        """
        rows = _Rows(
            np.asarray(time, np.float64),
            pack(np.asarray(antenna1), np.asarray(antenna2)),
            np.asarray(row_numbers, np.int64),
        )
        wrong = ~np.isfinite(rows.time) | (rows.code < 0)
        if wrong.any():
            row = rows.row[wrong][0]
            raise InputError(f"row {row} has no valid TIME, ANTENNA1 and ANTENNA2")
        if not rows.time.size:
            return
        times, first = np.unique(rows.time, return_index=True)
        intervals, exposures = np.asarray(interval, np.float64), np.asarray(exposure, np.float64)
        self._marks.append(_Marks(times, rows.row[first], intervals[first], exposures[first]))

        # Rows of the last time stay open: the next slice may hold more of them.
        starts = np.flatnonzero(np.append(True, rows.time[1:] != rows.time[:-1]))
        if self._open and self._open[0].time[0] != rows.time[0]:
            self._close()
        if len(starts) == 1:
            self._open.append(rows.take(slice(None)))
            return
        begin, last = 0, starts[-1]
        if self._open:
            begin = starts[1]
            self._open.append(rows.take(slice(begin)))
            self._close()
        complete = starts[(starts >= begin) & (starts < last)] - begin
        if complete.size:
            self._keep(rows.view(begin, last), complete)
        self._open = [rows.take(slice(last, None))]

    def build(self) -> RowMap:
        """Return the map of all rows that were added; `InputError` if there were none."""
        self._close()
        if not self._marks:
            raise InputError("there are no rows to take integrations from")
        marks = _Marks._make(_joined(self._marks))
        by_time = np.lexsort((marks.row, marks.time))
        times, first = np.unique(marks.time[by_time], return_index=True)
        first = by_time[first]

        runs, loose = self._separate()
        first_time = np.full(len(self._patterns), np.inf)
        np.minimum.at(first_time, runs.pattern, runs.time)
        used = np.flatnonzero(np.isfinite(first_time))
        order = BaselineOrder.of(
            [self._patterns[number] for number in used], first_time[used], loose.time, loose.code
        )
        slots = dict(zip(used.tolist(), order.pattern_slots, strict=True))
        return _assemble(
            times, marks.interval[first], marks.exposure[first], runs, loose, order, slots
        )

    def _close(self) -> None:
        """Keep the integration that was open for more rows."""
        if self._open:
            rows = _Rows._make(_joined(self._open))
            self._open = []
            self._keep(rows, np.zeros(1, np.int64))

    def _keep(self, rows: _Rows, starts: Ints) -> None:
        """Keep whole stretches of one time each, beginning at `starts`."""
        lengths = np.diff(np.append(starts, len(rows.time)))
        changes = np.append(0, np.flatnonzero(lengths[1:] != lengths[:-1]) + 1)
        if len(changes) * ROWS_PER_STEP > len(rows.time):
            self._rows.append(rows.take(slice(None)))
            return
        row_bounds = np.append(starts[changes], len(rows.time))
        for begin, end, length in zip(
            row_bounds[:-1], row_bounds[1:], lengths[changes], strict=True
        ):
            self._keep_alike(rows.view(begin, end), int(length))

    def _keep_alike(self, rows: _Rows, length: int) -> None:
        """Keep stretches of one time and `length` rows each."""
        code, row = rows.code.reshape(-1, length), rows.row.reshape(-1, length)
        new = np.append(True, (code[1:] != code[:-1]).any(axis=1))
        if np.count_nonzero(new) * ROWS_PER_STEP > len(rows.time):
            self._rows.append(rows.take(slice(None)))
            return
        steps = np.diff(row, axis=1)
        stride = steps[:, 0] if length > 1 else np.ones(len(row), np.int64)
        regular = (steps == stride[:, None]).all(axis=1)
        numbers = np.array([self._pattern(code[i]) for i in np.flatnonzero(new)])
        runs = _Runs(rows.time[::length], numbers[np.cumsum(new) - 1], row[:, 0], stride)
        self._runs.append(runs.take(regular))
        if not regular.all():
            self._rows.append(rows.take(np.repeat(~regular, length)))

    def _pattern(self, code: Ints) -> int:
        """Return the number of a sequence of baselines, a new one where it is new."""
        digest = hashlib.blake2b(code.tobytes()).digest()
        number = self._pattern_number.setdefault(digest, len(self._patterns))
        if number == len(self._patterns):
            self._patterns.append(code.copy())
        return number

    def _separate(self) -> tuple[_Runs, _Rows]:
        """Return runs that are whole integrations, and all other rows by time and row."""
        nothing = np.zeros(0, np.int64)
        runs = (
            _Runs._make(_joined(self._runs))
            if self._runs
            else _Runs(np.zeros(0), nothing, nothing, nothing)
        )
        times, which, count = np.unique(runs.time, return_inverse=True, return_counts=True)
        scattered = count > 1
        for rows in self._rows:
            scattered |= np.isin(times, rows.time)
        split = scattered[which]
        pieces = [*self._rows, *self._expand(runs.take(split))]
        if not pieces:
            return runs, _Rows(np.zeros(0), nothing, nothing)
        loose = _Rows._make(_joined(pieces))
        return runs.take(~split), loose.take(np.lexsort((loose.row, loose.time)))

    def _expand(self, runs: _Runs) -> list[_Rows]:
        """Return the rows of runs one by one."""
        pieces = []
        for number in np.unique(runs.pattern):
            alike = runs.take(runs.pattern == number)
            code = self._patterns[number]
            row = alike.first[:, None] + alike.stride[:, None] * np.arange(len(code))
            pieces.append(
                _Rows(
                    np.repeat(alike.time, len(code)),
                    np.tile(code, len(alike.time)),
                    row.reshape(-1),
                )
            )
        return pieces


def _assemble(
    times: Floats,
    intervals_s: Floats,
    exposures_s: Floats,
    runs: _Runs,
    loose: _Rows,
    order: BaselineOrder,
    slots: dict[int, NDArray[np.intp]],
) -> RowMap:
    """Put runs and loose rows at their integrations."""
    num_baselines, num_times = len(order.antenna1), len(times)
    canonical = np.arange(num_baselines)
    number_of = {number: i for i, number in enumerate(slots)}
    pattern_slots = tuple(
        None if np.array_equal(slot, canonical) else slot for slot in slots.values()
    )
    by_time = _Runs(times, *(np.full(num_times, -1, np.int64) for _ in range(3)))
    here = np.searchsorted(times, runs.time)
    by_time.pattern[here] = [number_of[number] for number in runs.pattern.tolist()]
    by_time.first[here], by_time.stride[here] = runs.first, runs.stride

    start = np.searchsorted(loose.time, np.append(times, np.inf))
    return RowMap(
        times_mjd_s=times,
        intervals_s=intervals_s,
        exposures_s=exposures_s,
        antenna1=order.antenna1,
        antenna2=order.antenna2,
        _runs=by_time,
        _pattern_slots=pattern_slots,
        _loose=_LooseRows(start, order.loose_slots.astype(np.int32), loose.row),
    )
