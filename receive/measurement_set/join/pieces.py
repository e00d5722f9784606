"""The pieces of one observation: opened, and proved to belong together before they are joined."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import ConfigError, InputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.report import MAIN
from receive.measurement_set.compare.tables import Comparison, Selection
from receive.measurement_set.compare.values import Tolerances
from receive.measurement_set.read.columns import read_cells, row_slices
from receive.measurement_set.read.opening import open_main_table, open_subtable, subtable_paths
from receive.measurement_set.read.reader import open_set
from receive.measurement_set.read.table_name import WORK, table_name
from receive.measurement_set.read.texts import read_texts
from receive.measurement_set.write.lock import is_being_written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.measurement_set.read.reader import SetReader
    from receive.model import TelescopeModel

log = logging.getLogger(__name__)

_PER_CHANNEL = ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION")
_OF_CHANNELS = ("NUM_CHAN", "TOTAL_BANDWIDTH", "REF_FREQUENCY")
_SAME_HZ = 1e-6
"""Frequencies that differ by less than this part of a channel are the same."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One of the sets.

    Attributes
    ----------
    path : Path
        Where it lies.
    reader : SetReader
        Open.
    scan_numbers : frozenset of int
        SCAN_NUMBER of its rows.
    """

    path: Path
    reader: SetReader
    scan_numbers: frozenset[int]

    @property
    def model(self) -> TelescopeModel:
        """Its baselines, channels and times."""
        return self.reader.model()

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return self.model.num_channels


def open_pieces(paths: Sequence[Path]) -> list[Piece]:
    """Open the sets that are to be joined.

    Raises
    ------
    ConfigError
        If there are fewer than two, or one is named twice.
    InputError
        If one cannot be read, is still being written, or holds several data descriptions or
        fields.
    """
    if len(paths) < 2:  # noqa: PLR2004
        raise ConfigError(f"{len(paths)} set was given: name at least two to join")
    real = [path.resolve() for path in paths]
    for number, path in enumerate(paths):
        if real[number] in real[:number]:
            raise ConfigError(f"{path} is named twice: give each piece once")
    return [_open(path) for path in paths]


def _open(path: Path) -> Piece:
    table_name(path)
    if is_being_written(path / WORK):
        raise InputError(f"{path} is still being written: wait until it is closed")
    if (path / WORK).exists():
        log.warning("%s was not closed: ms-recover makes sure of what it holds", path)
    scans, described = casacore_thread.run(_numbers, path)
    if len(described) > 1:
        raise InputError(
            f"{path} holds {len(described)} combinations of data description and field: only "
            f"sets of one can be joined"
        )
    return Piece(path, open_set(path), scans)


def _numbers(path: Path) -> tuple[frozenset[int], set[tuple[int, int]]]:
    """Return the scans, and the pairs of data description and field, of a set's rows."""
    scans: set[int] = set()
    described: set[tuple[int, int]] = set()
    with open_main_table(path) as table:
        names = set(table.colnames())
        for rows in row_slices(table, "DATA_DESC_ID"):
            columns = [
                np.asarray(read_cells(table, name, rows), np.int64)
                if name in names
                else np.zeros(rows.stop - rows.start, np.int64)
                for name in ("SCAN_NUMBER", "DATA_DESC_ID", "FIELD_ID")
            ]
            scans.update(int(scan) for scan in np.unique(columns[0]))
            described.update(
                (int(dd), int(field)) for dd, field in np.unique(columns[1:], axis=1).T
            )
    return frozenset(scans), described


def have_same_channels(one: Piece, other: Piece) -> bool:
    """Tell whether two pieces have the same channels."""
    first, second = one.model, other.model
    if first.num_channels != second.num_channels:
        return False
    apart_hz = np.abs(first.channel_freq_hz - second.channel_freq_hz)
    return bool((apart_hz <= _SAME_HZ * np.abs(first.channel_width_hz)).all())


def common_times(one: Piece, other: Piece) -> int:
    """Return how many integrations of the one are also in the other."""
    times = other.model.times_mjd_s
    return sum(one.model.match(float(time)) is not None for time in times)


def check_alike(pieces: Sequence[Piece], *, channels: bool, ignore: Sequence[str] = ()) -> None:
    """Make sure that the pieces are of one observation: their subtables say the same.

    Parameters
    ----------
    pieces : sequence of Piece
        Each is compared with the first.
    channels : bool
        Whether they differ in channels.
    ignore : sequence of str
        Subtables, or ``SUBTABLE/COLUMN``, that may differ: the first piece's are taken.

    Raises
    ------
    InputError
        Naming what differs.
    """
    # What each receiver writes down by itself.
    left_out = ["HISTORY", *ignore]
    if channels:
        left_out += [f"SPECTRAL_WINDOW/{name}" for name in _PER_CHANNEL + _OF_CHANNELS]
        left_out += ["SYSCAL/*_SPECTRUM"]
    first = pieces[0]
    for piece in pieces[1:]:
        differences = casacore_thread.run(_differences, first.path, piece.path, left_out)
        if differences:
            more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
            raise InputError(
                f"{first.path} and {piece.path} are not pieces of one observation: "
                f"{differences[0]}{more}, where A is the first; --ignore takes the first's"
            )
        if piece.model.corr_types != first.model.corr_types:
            raise InputError(f"{first.path} and {piece.path} differ in polarisations")


def _differences(a: Path, b: Path, left_out: Sequence[str]) -> list[str]:
    comparison = Comparison(Selection(ignore=left_out), Tolerances())
    with open_main_table(a) as table_a, open_main_table(b) as table_b:
        comparison.subtables(MAIN, table_a, table_b)
    return [str(difference) for difference in comparison.report.differences]


def other_history(pieces: Sequence[Piece]) -> list[str]:
    """Return what the HISTORY of the other pieces tells that that of the first does not."""
    first, *others = (casacore_thread.run(_history, piece.path) for piece in pieces)
    known = set(first)
    return [
        f"{piece.path.name}: {message}"
        for piece, messages in zip(pieces[1:], others, strict=True)
        for message in messages
        if message not in known
    ]


def _history(path: Path) -> list[str]:
    with open_main_table(path) as table:
        if "HISTORY" not in subtable_paths(table):
            return []
        with open_subtable(path, "HISTORY", table) as history:
            return read_texts(history, "MESSAGE") if history.nrows() else []
