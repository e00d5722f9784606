"""Join pieces of channels into one real set with one spectral window."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from receive import __version__
from receive.command.errors import InputError, OutputError
from receive.command.progress import Progress
from receive.measurement_set import casacore_thread
from receive.measurement_set.join.joined import Joined
from receive.measurement_set.join.order import Gaps, order
from receive.measurement_set.join.pieces import other_history
from receive.measurement_set.read.opening import NO_LOCK, open_main_table, open_subtable
from receive.measurement_set.write.empty_set import WRITTEN_COLUMNS
from receive.measurement_set.write.placing import Place
from receive.measurement_set.write.space import check_free_space, required_bytes
from receive.measurement_set.write.subtable_copy import (
    copy_subtables,
    free_shapes,
    subtable_keywords,
)
from receive.measurement_set.write.writer import SetWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.measurement_set.join.order import Block
    from receive.measurement_set.join.pieces import Piece

log = logging.getLogger(__name__)


def join_channels(out: Path, pieces: Sequence[Piece], *, gaps: Gaps, overwrite: bool) -> int:
    """Write one set of pieces that differ in channels.

    Parameters
    ----------
    out : Path
        The new set; appears when it is complete.
    pieces : sequence of Piece
        In any order.
    gaps : {"refuse", "fill", "keep"}
        What to do where channels are missing between two.
    overwrite : bool
        Replace a set that is there.

    Returns
    -------
    int
        Integrations written.

    Raises
    ------
    InputError
        If the pieces cannot be joined.
    OutputError
        If the set cannot be written.
    """
    blocks = order(pieces, gaps)
    joined = Joined(blocks)
    model = joined.model
    weights = joined.has_weight_spectrum
    needed = required_bytes(model, model.num_times, weight_spectrum=weights)
    check_free_space(out, needed)
    _warn_of_left_out(pieces)
    place = Place(out, overwrite=overwrite)
    template = place.temporary.with_suffix(".model")
    try:
        casacore_thread.run(_make_template, template, blocks, model.data_desc_id)
        writer = SetWriter.create(
            place.temporary,
            template,
            model,
            history=[
                *other_history([block.piece for block in blocks if block.piece is not None]),
                f"vis-receive {__version__} ms-concat",
                *map(str, blocks),
            ],
            scan_number=_scan_number(pieces),
            expected_dumps=model.num_times,
            weight_spectrum=weights,
        )
        _write(writer, joined)
        place.put_in_place()
        place.remove_replaced()
    except OutputError as error:
        # It does not exist under the name that it was being written to.
        raise OutputError(str(error).replace(str(place.temporary), str(out))) from error
    finally:
        shutil.rmtree(template, ignore_errors=True)
        if not place.placed:
            place.clean_up()
    return model.num_times


def _write(writer: SetWriter, joined: Joined) -> None:
    times = joined.model.num_times
    with Progress("joining", times, "integrations") as progress:
        for index in range(times):
            writer.write_integration(joined.read(index))
            progress.update()
    history = []
    if joined.missing_rows:
        history.append(f"{joined.missing_rows} rows of pieces were missing: flagged")
        log.warning(
            "%d rows are missing in a piece: what they lack is flagged", joined.missing_rows
        )
    writer.close(history=history)


def _scan_number(pieces: Sequence[Piece]) -> int:
    """Return the scan of the pieces; 0 is what a receiver writes that never heard its number."""
    known = {scan: piece.path for piece in pieces for scan in piece.scan_numbers if scan}
    if len(known) > 1:
        first, second, *_ = sorted(known)
        raise InputError(
            f"{known[first]} holds scan {first}, {known[second]} scan {second}: pieces that differ "
            f"in channels must be of one scan"
        )
    return next(iter(known), 0)


def _warn_of_left_out(pieces: Sequence[Piece]) -> None:
    names = casacore_thread.run(_columns, pieces)
    if names:
        log.warning("columns that are not taken over: %s", ", ".join(sorted(names)))


def _columns(pieces: Sequence[Piece]) -> set[str]:
    names: set[str] = set()
    for piece in pieces:
        with open_main_table(piece.path) as table:
            names.update(table.colnames())
    return names - WRITTEN_COLUMNS


def _make_template(folder: Path, blocks: Sequence[Block], data_desc_id: int) -> None:
    """Make a set of no rows with the first piece's subtables and the joined window."""
    if folder.exists():
        shutil.rmtree(folder)
    pieces = [block.piece for block in blocks if block.piece is not None]
    path = pieces[0].path
    with open_main_table(path) as main:
        main.copy(str(folder), deep=True, valuecopy=True, copynorows=True).close()
        for entry in folder.iterdir():
            # Made without rows, too.
            if entry.is_dir():
                shutil.rmtree(entry)
        names = copy_subtables(main, path, folder)
    with tables.table(str(folder), readonly=False, ack=False) as copy:
        for name, reference in subtable_keywords(folder, names).items():
            copy.putkeyword(name, reference)
    with tables.table(str(folder / "DATA_DESCRIPTION"), ack=False, lockoptions=NO_LOCK) as table:
        window = int(table.getcell("SPECTRAL_WINDOW_ID", data_desc_id))
    for name in ("SPECTRAL_WINDOW", "SYSCAL"):
        if (folder / name).is_dir():
            _join_subtable(folder, name, blocks, window)


def _join_subtable(folder: Path, name: str, blocks: Sequence[Block], window: int) -> None:
    """Join the cells of a subtable that have a value for each channel."""
    free_shapes(folder / name)
    others = [
        None if block.piece is None else _open_subtable(block.piece.path, name) for block in blocks
    ]
    with tables.table(str(folder / name), readonly=False, ack=False) as table:
        if name == "SPECTRAL_WINDOW":
            rows = [window]
        else:
            windows = np.asarray(table.getcol("SPECTRAL_WINDOW_ID"))
            rows = np.flatnonzero(windows == window).tolist()
        columns = [
            column
            for column in table.colnames()
            if not table.isscalarcol(column) and not column.startswith("ASSOC_")
        ]
        for row in rows:
            for column in columns:
                _join_cell(table, others, blocks, column, row)
        if name == "SPECTRAL_WINDOW":
            _set_window(table, others, blocks, window)
    for other in others:
        if other is not None:
            other.close()


def _open_subtable(path: Path, name: str) -> Any:
    """Open a subtable where it lies: in another set, if this one refers to others."""
    with open_main_table(path) as main:
        return open_subtable(path, name, main)


def _join_cell(
    table: Any, others: Sequence[Any], blocks: Sequence[Block], column: str, row: int
) -> None:
    cells: list[Any] = []
    for other, block in zip(others, blocks, strict=True):
        if other is None:
            cells.append(None)
            continue
        if not other.iscelldefined(column, row):
            return
        cell = other.getcell(column, row)
        if not isinstance(cell, np.ndarray) or len(cell) != len(block.freq_hz):
            return
        cells.append(cell)
    joined: list[Any] = []
    for cell, block in zip(cells, blocks, strict=True):
        if cell is not None:
            joined.append(cell)
        elif column == "CHAN_FREQ":
            joined.append(block.freq_hz)
        else:
            # What a channel is like that nobody described: as the one before it.
            joined.append(np.repeat(joined[-1][-1:], len(block.freq_hz), axis=0))
    table.putcell(column, row, np.concatenate(joined))


def _set_window(table: Any, others: Sequence[Any], blocks: Sequence[Block], window: int) -> None:
    freq_hz = table.getcell("CHAN_FREQ", window)
    table.putcell("NUM_CHAN", window, len(freq_hz))
    width_hz = np.abs(table.getcell("CHAN_WIDTH", window))
    table.putcell("TOTAL_BANDWIDTH", window, float(width_hz.sum()))
    # A piece that the observation's reference does not lie in was given its own middle.
    reference_hz = float(freq_hz[len(freq_hz) // 2])
    for other, block in zip(others, blocks, strict=True):
        if other is not None:
            own_hz = float(other.getcell("REF_FREQUENCY", window))
            if own_hz != float(block.freq_hz[len(block.freq_hz) // 2]):
                reference_hz = own_hz
                break
    table.putcell("REF_FREQUENCY", window, reference_hz)
