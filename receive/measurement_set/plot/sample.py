"""Which rows and channels of a set go into its picture, so that any set is drawn in seconds.

A picture of 1500 by 1000 dots cannot show a thousand million visibilities.  A set that is larger
than the limits below is thinned out evenly over time, baselines and channels: always the same way,
so that two pictures of a set are the same, and the picture says what it shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from receive.measurement_set.read.columns import read_cells, row_slices

#: Visibilities that are read: 128 MiB of DATA, about a second from a local disk.
MAX_VALUES = 16 << 20

#: Rows, whatever their size: each is a point in a panel and costs some microseconds to read.
MAX_ROWS = 60_000

#: Times: the panels are a few hundred dots wide.
MAX_TIMES = 400

#: Channels, likewise.
MAX_CHANNELS = 1024


@dataclass(frozen=True)
class Sample:
    """What is read of a set.

    Attributes
    ----------
    table : casacore.tables.table
        The set, or a view of the rows that are read.
    channel_step : int
        Every how many channels one is read.
    times, rows, baselines : int
        How many the set (its first data description) has; of baselines, the most at any time.
    start_mjd_s, end_mjd_s : float
        First and last TIME of all of these.
    note : str
        What is left out, for the picture; empty if nothing is.
    """

    table: Any
    channel_step: int
    times: int
    rows: int
    baselines: int
    start_mjd_s: float
    end_mjd_s: float
    note: str


@dataclass(frozen=True)
class _Times:
    """The order of a table in time: the rows at which a new time begins, None if it has none."""

    starts: np.ndarray[Any, np.dtype[np.int64]] | None
    count: int
    first_mjd_s: float
    last_mjd_s: float

    def most_rows(self, rows: int) -> int:
        """Return the largest number of rows of one time."""
        if self.starts is None:
            return math.ceil(rows / self.count)
        return int(np.diff(self.starts, append=rows).max())


def choose(table: Any, channels: int, pols: int) -> Sample:
    """Choose what to read of a set, evenly over times, baselines and channels.

    Parameters
    ----------
    table : casacore.tables.table
        The main table, or the rows of one data description.
    channels, pols : int
        The shape of its DATA.

    Returns
    -------
    Sample
        With at most about `MAX_VALUES` visibilities.
    """
    step = math.ceil(channels / MAX_CHANNELS)
    budget = max(64, min(MAX_ROWS, MAX_VALUES // (math.ceil(channels / step) * pols)))
    times = _scan_times(table)
    notes = [f"1 in {step} channels"] if step > 1 else []
    rows = table.nrows()
    view = table
    if times.starts is not None and (rows > budget or times.count > MAX_TIMES):
        chosen, text = _thinned(times.starts, rows, budget)
        notes.insert(0, text)
        view = table.selectrows(chosen)
    elif rows > budget:
        # In no order of time: even steps could hit the same baseline again and again.
        chosen = np.unique(np.random.default_rng(0).integers(0, rows, budget))
        notes.insert(0, f"{len(chosen)} of {rows} rows")
        view = table.selectrows(chosen)
    return Sample(
        table=view,
        channel_step=step,
        times=times.count,
        rows=rows,
        baselines=times.most_rows(rows),
        start_mjd_s=times.first_mjd_s,
        end_mjd_s=times.last_mjd_s,
        note=", ".join(notes),
    )


def _scan_times(table: Any) -> _Times:
    """Find where times begin, in one pass; a set that is not in time order has no such places."""
    starts: list[Any] = []
    previous = -np.inf
    first, last = np.inf, -np.inf
    ordered = True
    distinct: set[float] = set()
    for piece in row_slices(table, "TIME"):
        time_s = np.asarray(read_cells(table, "TIME", piece))
        first, last = min(first, float(time_s.min())), max(last, float(time_s.max()))
        steps = np.diff(time_s, prepend=previous)
        ordered = ordered and bool((steps >= 0).all())
        previous = time_s[-1]
        distinct.update(np.unique(time_s).tolist())
        if ordered:
            starts.append(piece.start + np.flatnonzero(steps != 0))
        else:
            # A set in order of baselines begins a new time with every row: not worth keeping.
            starts.clear()
    return _Times(np.concatenate(starts) if ordered else None, len(distinct), first, last)


def _thinned(starts: Any, rows: int, budget: int) -> tuple[Any, str]:
    """Choose times, and rows within each, evenly."""
    counts = np.diff(starts, append=rows)
    most = int(counts.max())
    baselines = min(most, max(budget // min(len(starts), MAX_TIMES), math.isqrt(budget)))
    times = min(len(starts), MAX_TIMES, max(1, budget // baselines))
    at = _evenly(len(starts), times)
    chosen = [starts[n] + _evenly(int(counts[n]), min(int(counts[n]), baselines)) for n in at]
    notes = []
    if times < len(starts):
        notes.append(f"{times} of {len(starts)} times")
    if baselines < most:
        notes.append(f"{baselines} of {most} baselines")
    return np.concatenate(chosen), ", ".join(notes)


def _evenly(count: int, wanted: int) -> Any:
    """Choose some of a number of things, first and last included."""
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))
