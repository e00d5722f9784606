"""Comparing a set with what came back of it over the wire.

A record on the wire has one fraction of correlated data, in 8 bits, and one time centroid, in 8
bits, for all polarisations, so some columns come back as what the interface makes of them:

- DATA, TIME, UVW, ANTENNA1 and ANTENNA2 bit for bit, INTERVAL, EXPOSURE, DATA_DESC_ID, FIELD_ID
  as they were;
- FLAG of all polarisations where any of them was flagged;
- WEIGHT_SPECTRUM ``f |channel width| exposure`` with f within ``sqrt(f)/255 + 1/(4 255^2)`` of the
  smallest over polarisations that went out, 0 where flagged.  An unflagged record goes out with a
  fraction byte of at least 1, so f comes back as 1/255^2 where it was smaller;
- TIME_CENTROID within INTERVAL/512 of its place between -128/256 and 127/256 of an INTERVAL from
  TIME, and TIME where a row is flagged altogether;
- WEIGHT, SIGMA and FLAG_ROW as they follow from the two;
- subtables as they were, but for lines added to HISTORY.

All other columns of the main table do not travel and are reported as not compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.icd.records import SMALLEST_SENT, WEIGHT_SLACK
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.report import MAIN, Report, Where, plural
from receive.measurement_set.compare.row_match import match_rows
from receive.measurement_set.compare.tables import (
    Comparison,
    Selection,
    compare_paths,
    open_quietly,
    subtables_of,
)
from receive.measurement_set.compare.values import Tally, Tolerances, differing, differing_bits
from receive.measurement_set.read.columns import read_cells, row_slices
from receive.measurement_set.read.sent_view import SentView

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIT_FOR_BIT = ("DATA", "TIME", "UVW", "ANTENNA1", "ANTENNA2")
_AS_THEY_WERE = ("INTERVAL", "EXPOSURE", "DATA_DESC_ID", "FIELD_ID")
_DERIVED = ("FLAG", "WEIGHT_SPECTRUM", "TIME_CENTROID", "WEIGHT", "SIGMA", "FLAG_ROW")

#: A received set has these even where the sent one had not.
_ALWAYS_WRITTEN = ("PROCESSOR", "STATE", "FEED", "POINTING", "HISTORY")

_FD_FULL = 255
_SMALLEST_FRACTION = 1 / _FD_FULL**2

#: WEIGHT_SPECTRUM and WEIGHT are 4-byte floats that were computed, not copied.
_WEIGHT_RTOL = 1e-6
_MEAN_RTOL = 1e-5

#: Two units in the last place of a float64 of MJD seconds.
_TIME_SLACK_S = 2e-6

_TCI_STEPS = 256
_TCI_RANGE = (-128, 127)


@dataclass
class _Rows:
    """What the checks need of some rows: (rows), (rows, channels) and (rows, channels, pols)."""

    flag: NDArray[np.bool_]
    weight_spectrum: NDArray[np.float32] | None
    time_s: NDArray[np.float64]
    centroid_s: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    exposure_s: NDArray[np.float64]

    @classmethod
    def read(cls, table: Any, rows: slice) -> _Rows:
        """Read them; a WEIGHT_SPECTRUM that is not everywhere counts as none."""
        columns = set(table.colnames())
        weight = None
        if "WEIGHT_SPECTRUM" in columns:
            cells = read_cells(table, "WEIGHT_SPECTRUM", rows)
            weight = cells if isinstance(cells, np.ndarray) else None
        centroid = "TIME_CENTROID" if "TIME_CENTROID" in columns else "TIME"
        names = ("FLAG", "TIME", centroid, "INTERVAL", "EXPOSURE")
        flag, *times = (np.asarray(read_cells(table, name, rows)) for name in names)
        return cls(flag, weight, *times)

    def with_flag_row(self, table: Any, rows: slice) -> _Rows:
        """Return them with all of a row flagged where FLAG_ROW says so, as a sender takes it."""
        if "FLAG_ROW" not in table.colnames():
            return self
        flag_row = np.asarray(read_cells(table, "FLAG_ROW", rows))
        return replace(self, flag=self.flag | flag_row[:, np.newaxis, np.newaxis])


@dataclass
class RoundTrip(Comparison):
    """A comparison by what the interface to the correlator lets through."""

    selection: Selection = field(default_factory=Selection)
    tolerances: Tolerances = field(default_factory=Tolerances)
    path: Path = field(default_factory=Path)
    sent_column: str = "DATA"

    def tables(self, name: str, a: Any, b: Any) -> None:
        """Compare main tables as the wire allows, subtables as they are."""
        if name != MAIN:
            super().tables(name, a, b)
            return
        ids = [int(b.getcell(column, 0)) for column in ("DATA_DESC_ID", "FIELD_ID")]
        sent = SentView(self.path, a, self.sent_column, (ids[0], ids[1]))
        if sent.nrows() < a.nrows():
            left_out = plural(a.nrows() - sent.nrows(), "row")
            self.report.not_compared.append(
                f"{left_out} of A: of other data descriptions and fields, which do not travel; "
                "row numbers are those of the others"
            )
        self._note_unset(sent)
        matched = match_rows(sent, b)
        matched.report(self.report, sent, b)
        self._main_columns(matched.a, matched.b)
        self.keywords(name, None, a.getkeywords(), b.getkeywords())
        self.subtables(name, a, b)

    def _note_unset(self, sent: SentView) -> None:
        for column, instead in (("EXPOSURE", "INTERVAL"), ("TIME_CENTROID", "TIME")):
            if unset := sent.unset(column):
                self.report.not_compared.append(
                    f"MAIN.{column}: 0 in {plural(unset, 'row')} of A, {instead} travels for it"
                )

    def subtables(self, parent: str, a: Any, b: Any) -> None:
        """Compare subtables; those that every received set has may be new in B."""
        if parent == MAIN:
            new = (subtables_of(b).keys() - subtables_of(a).keys()) & {*_ALWAYS_WRITTEN}
            self.report.not_compared += [f"{name}: A has none" for name in sorted(new)]
            ignore = (*self.selection.ignore, *new)
            self.selection = Selection(ignore=ignore, subtables=self.selection.subtables)
        super().subtables(parent, a, b)

    def subtable(self, name: str, path_a: Path, path_b: Path) -> None:
        """Compare a subtable; HISTORY may have grown."""
        a, b = open_quietly(path_a), open_quietly(path_b)
        if name == "HISTORY" and b.nrows() > a.nrows():
            grown = b.nrows() - a.nrows()
            self.report.not_compared.append(f"HISTORY: {plural(grown, 'line')} that B has more")
            b = b.selectrows(range(a.nrows()))
        self.tables(name, a, b)

    def _main_columns(self, a: SentView, b: Any) -> None:
        in_a, in_b = set(a.colnames()), set(b.colnames())
        expected = (*_BIT_FOR_BIT, *_AS_THEY_WERE, *_DERIVED)
        self.report.not_compared += [
            f"MAIN.{column}: does not travel" for column in a.colnames() if column not in expected
        ]
        for column in (*_BIT_FOR_BIT, *_AS_THEY_WERE):
            if column == "UVW" and not a.uvw_is_usable:
                self.report.not_compared.append("MAIN.UVW: A has it in another frame")
            elif self._both_have(column, in_a, in_b):
                self._column_as_it_was(column, a, b)
        if self._both_have("FLAG", in_a, in_b):
            self._derived_columns(a, b)

    def _both_have(self, column: str, in_a: set[str], in_b: set[str]) -> bool:
        if column in in_a and column in in_b:
            return True
        if column in in_a or column in in_b:
            which = "A" if column in in_a else "B"
            self.report.add(MAIN, column, "column", f"is in {which} only")
        return False

    def _column_as_it_was(self, column: str, a: SentView, b: Any) -> None:
        self.report.compared.append(f"{MAIN}.{column}")
        if column in a.converted:
            self.report.not_compared.append(
                f"MAIN.{column}: keywords, since A has it in another unit, time scale or column"
            )
        else:
            self.keywords(MAIN, column, a.getcolkeywords(column), b.getcolkeywords(column))
        tally = Tally()
        for piece in row_slices(a, column):
            cells_a, cells_b = read_cells(a, column, piece), read_cells(b, column, piece)
            if isinstance(cells_a, list) or isinstance(cells_b, list):
                tally.unlike(piece.start, "is among cells of several shapes or of none")
            elif cells_a.shape != cells_b.shape:
                shapes = [list(cells.shape[1:]) for cells in (cells_a, cells_b)]
                tally.unlike(piece.start, f"has shape {shapes[0]} in A, {shapes[1]} in B")
            else:
                differs = differing_bits if column in _BIT_FOR_BIT else differing
                tally.add(piece.start, cells_a, cells_b, differs(cells_a, cells_b))
        self.report.add_tally(MAIN, column, tally, Where(a, main=True))

    def _derived_columns(self, a: SentView, b: Any) -> None:
        tallies = {column: Tally() for column in _DERIVED}
        width_hz = np.abs(a.description.channel_width_hz)
        no_samples = 0
        without = "WEIGHT_SPECTRUM" not in b.colnames()
        for piece in row_slices(a, "DATA"):
            rows_a = _Rows.read(a, piece).with_flag_row(a, piece)
            rows_b = _Rows.read(b, piece)
            if rows_a.flag.shape != rows_b.flag.shape:
                shapes = [list(rows.flag.shape[1:]) for rows in (rows_a, rows_b)]
                tallies["FLAG"].unlike(piece.start, f"has shape {shapes[0]} in A, {shapes[1]} in B")
                break
            _check_flags(tallies["FLAG"], piece.start, rows_a, rows_b)
            _check_centroids(tallies["TIME_CENTROID"], piece.start, rows_a, rows_b)
            norm = width_hz[np.newaxis, :] * rows_b.exposure_s[:, np.newaxis]
            no_samples += _count_no_samples(rows_a, norm)
            if rows_b.weight_spectrum is not None:
                _check_weight_spectrum(
                    tallies["WEIGHT_SPECTRUM"], piece.start, rows_a, rows_b, norm
                )
            elif not without:
                tallies["WEIGHT_SPECTRUM"].unlike(piece.start, "is not there in every row of B")
            _check_consistency(tallies, piece, b, rows_b)
        if no_samples:
            self.report.not_compared.append(
                f"MAIN.WEIGHT_SPECTRUM: {plural(no_samples, 'record')} of A with weights that are "
                "not |channel width| x EXPOSURE x a fraction: the nearest fraction travels"
            )
        where = Where(a, main=True)
        if without and "WEIGHT_SPECTRUM" in a.colnames():
            self.report.add(MAIN, "WEIGHT_SPECTRUM", "column", "is in A only")
        for column, tally in tallies.items():
            if without and column in {"WEIGHT_SPECTRUM", "WEIGHT", "SIGMA"}:
                self.report.not_compared.append(f"MAIN.{column}: B has no WEIGHT_SPECTRUM")
                continue
            self.report.compared.append(f"{MAIN}.{column}")
            self.report.add_tally(MAIN, column, tally, where, expected="expected")


def diff_round_trip(
    a: Path,
    b: Path,
    *,
    ignore: tuple[str, ...] = (),
    subtables: bool = True,
    column: str = "DATA",
) -> Report:
    """Compare a set with what came back of it over the wire.

    Parameters
    ----------
    a : Path
        The set that was sent.
    b : Path
        The set that was received.
    ignore : tuple of str
        Subtables, or columns of theirs, that are not compared.
    subtables : bool
        Whether subtables are compared at all.
    column : str
        Which visibilities of A were sent.

    Returns
    -------
    Report
        What differs by more than the wire allows.

    Raises
    ------
    InputError
        One of them is missing or cannot be read.
    """
    selection = Selection(ignore=ignore, subtables=subtables)
    comparison = RoundTrip(selection, path=a, sent_column=column)
    casacore_thread.run(compare_paths, comparison, a, b, column)
    return comparison.report


def sent_fraction(
    weight_spectrum: NDArray[np.float32] | None, norm_hz_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the fraction of correlated data that a sender makes of weights.

    Parameters
    ----------
    weight_spectrum : ndarray or None
        ``(rows, channels, polarisations)``; None where the set has none.
    norm_hz_s : ndarray
        ``(rows, channels)``: |channel width| times exposure.

    Returns
    -------
    ndarray
        ``(rows, channels)``, 0 to 1.
    """
    if weight_spectrum is None:
        return np.ones_like(norm_hz_s)
    with np.errstate(all="ignore"):
        fraction = weight_spectrum.min(axis=2).astype(np.float64) / norm_hz_s
    fraction[np.isnan(fraction)] = 0.0
    clipped: NDArray[np.float64] = np.clip(fraction, 0.0, 1.0)
    return clipped


def _count_no_samples(rows: _Rows, norm_hz_s: NDArray[np.float64]) -> int:
    """Count unflagged records whose weights are more, or less, than the wire can carry."""
    if rows.weight_spectrum is None:
        return 0
    with np.errstate(all="ignore"):
        fraction = rows.weight_spectrum.min(axis=2) / norm_hz_s
    beyond = (fraction > 1 + WEIGHT_SLACK) | ((fraction > 0) & (fraction < SMALLEST_SENT))
    return int(np.count_nonzero(beyond & ~rows.flag.any(axis=2)))


def _check_flags(tally: Tally, first: int, a: _Rows, b: _Rows) -> None:
    expected = np.broadcast_to(a.flag.any(axis=2, keepdims=True), b.flag.shape)
    tally.add(first, expected, b.flag, expected != b.flag)


def _check_weight_spectrum(
    tally: Tally,
    first: int,
    a: _Rows,
    b: _Rows,
    norm_hz_s: NDArray[np.float64],
) -> None:
    received = np.asarray(b.weight_spectrum)
    if received.shape != b.flag.shape:
        tally.unlike(first, f"has shape {list(received.shape[1:])}, unlike FLAG's")
        return
    fraction = sent_fraction(a.weight_spectrum, norm_hz_s)
    margin = np.sqrt(fraction) / _FD_FULL + _SMALLEST_FRACTION / 4
    slack = _WEIGHT_RTOL * (fraction + margin)
    low = np.maximum(fraction - margin - slack, _SMALLEST_FRACTION * (1 - _WEIGHT_RTOL))
    high = np.maximum(fraction + margin + slack, _SMALLEST_FRACTION * (1 + _WEIGHT_RTOL))
    # FLAG has its own line: here B's weights are held against B's flags.
    flagged = b.flag.any(axis=2, keepdims=True)
    low, high, expected = (
        np.where(flagged, 0.0, (bound * norm_hz_s)[..., np.newaxis])
        for bound in (low, high, fraction)
    )
    differs: NDArray[np.bool_] = ~((received >= low) & (received <= high))
    tally.add(first, np.broadcast_to(expected, received.shape), received, differs)


def _check_centroids(tally: Tally, first: int, a: _Rows, b: _Rows) -> None:
    # A sender takes INTERVAL and EXPOSURE of an integration, which are those of B.
    step_s = b.interval_s / _TCI_STEPS
    offset_s = np.clip(a.centroid_s - a.time_s, _TCI_RANGE[0] * step_s, _TCI_RANGE[1] * step_s)
    unflagged = ~b.flag.all(axis=(1, 2))
    expected = np.where(unflagged, a.time_s + np.nan_to_num(offset_s), a.time_s)
    allowed_s = np.where(unflagged, step_s / 2 + _TIME_SLACK_S, 0.0)
    differs: NDArray[np.bool_] = ~(np.abs(b.centroid_s - expected) <= allowed_s)
    tally.add(first, expected, b.centroid_s, differs)


def _check_consistency(tallies: dict[str, Tally], piece: slice, b: Any, rows: _Rows) -> None:
    """Hold WEIGHT, SIGMA and FLAG_ROW of B against its FLAG and WEIGHT_SPECTRUM."""
    flag_row = np.asarray(read_cells(b, "FLAG_ROW", piece))
    all_flagged = np.asarray(rows.flag.all(axis=(1, 2)))
    tallies["FLAG_ROW"].add(piece.start, all_flagged, flag_row, all_flagged != flag_row)
    if rows.weight_spectrum is None or rows.weight_spectrum.shape != rows.flag.shape:
        return
    unflagged = ~rows.flag
    counts = np.maximum(unflagged.sum(axis=1), 1)
    sums = np.where(unflagged, rows.weight_spectrum, 0.0).sum(axis=1, dtype=np.float64)
    weight = sums / counts
    with np.errstate(divide="ignore"):
        sigma = np.where(weight > 0, 1 / np.sqrt(weight), 0.0)
    for column, expected in (("WEIGHT", weight), ("SIGMA", sigma)):
        found = read_cells(b, column, piece)
        if not isinstance(found, np.ndarray) or found.shape != expected.shape:
            tallies[column].unlike(piece.start, "does not have one value a polarisation in B")
            continue
        tallies[column].add(
            piece.start, expected, found, differing(expected, found, rtol=_MEAN_RTOL)
        )
