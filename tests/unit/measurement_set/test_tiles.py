"""Byte arithmetic of tiled columns, compared with the files that casacore itself writes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from receive.command.errors import OutputError
from receive.measurement_set.tiled.headers import (
    TiledHeader,
    check_tiled_header,
    find_lock_row_field,
    find_row_fields,
    tiled_header,
)
from receive.measurement_set.tiled.tiles import (
    LARGEST_TILE_BYTES,
    TiledColumn,
    Tiling,
    largest_divisor,
    plan_columns,
    value_bits,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUE_TYPES = {"?": "boolean", "<i4": "int", "<f4": "float", "<f8": "double", "<c8": "complex"}


@st.composite
def tiled_columns(draw: st.DrawFn) -> TiledColumn:
    dtype = np.dtype(draw(st.sampled_from(sorted(VALUE_TYPES))))
    cell = tuple(draw(st.lists(st.integers(1, 9), min_size=0, max_size=2)))
    tile_rows = draw(st.integers(1, 7))
    factor = draw(st.integers(1, 5))
    if draw(st.booleans()):
        tile = (*(draw(st.integers(1, length)) for length in cell), tile_rows)
        tiling = Tiling(value_bits(dtype), cell, tile, tile_rows * factor)
    else:
        tiling = Tiling(value_bits(dtype), cell, (*cell, tile_rows * factor), tile_rows)
    return TiledColumn("COLUMN", 0, dtype, tiling)


def write_by_casacore(path: Path, column: TiledColumn, values: NDArray[Any]) -> None:
    kind = column.dtype.str if column.dtype.kind != "b" else "?"
    shape = list(column.tiling.cell[::-1])
    common = {"datamanagertype": "TiledColumnStMan", "datamanagergroup": column.group}
    zero = np.zeros(1, column.dtype)[0].item()
    if shape:
        entry = tables.makearrcoldesc(
            "COLUMN", zero, shape=shape, options=5, valuetype=VALUE_TYPES[kind], **common
        )
    else:
        entry = tables.makescacoldesc("COLUMN", zero, valuetype=VALUE_TYPES[kind], **common)
    description = tables.maketabdesc([entry])
    if not shape:
        description["_define_hypercolumn_"] = {
            column.group: {"HCdatanames": ["COLUMN"], "HCndim": 1}
        }
    managers = {
        "*1": {
            "TYPE": "TiledColumnStMan",
            "NAME": column.group,
            "COLUMNS": ["COLUMN"],
            "SPEC": {"DEFAULTTILESHAPE": list(column.tiling.tile)},
        }
    }
    with tables.table(
        str(path), description, nrow=len(values), dminfo=managers, endian="little", ack=False
    ) as table:
        table.putcol("COLUMN", values)


def read_dump(content: bytes, column: TiledColumn, dump: int) -> NDArray[Any]:
    """Take an integration out of a file, by the offsets that the writer uses."""
    tiling = column.tiling
    within = tiling.tile[:-1]
    parts = []
    for strip in range(tiling.strips_per_dump):
        first_bit = tiling.dump_bit(dump) + strip * tiling.strip_bytes * 8
        counts = [-(-n // m) for n, m in zip(tiling.cell, within, strict=True)]
        tiles = np.zeros((*counts[::-1], tiling.strip_rows, *within[::-1]), column.dtype)
        for number, index in enumerate(np.ndindex(*counts[::-1])):
            bit = first_bit + number * tiling.tile_bytes * 8
            size = tiles[index].size
            if column.dtype.kind == "b":
                bits = np.unpackbits(
                    np.frombuffer(content, np.uint8)[bit // 8 :], bitorder="little"
                )
                values = bits[bit % 8 : bit % 8 + size].astype(bool)
            else:
                values = np.frombuffer(content, column.dtype, size, bit // 8)
            tiles[index] = values.reshape(tiles[index].shape)
        # Slower axes of tiles, then rows, then the axes in a tile: put each pair side by side.
        axes = len(counts)
        order = [axes]
        for axis in range(axes):
            order += [axis, axes + 1 + axis]
        whole = tiles.transpose(order).reshape(
            tiling.strip_rows,
            *(n * m for n, m in zip(counts[::-1], within[::-1], strict=True)),
        )
        parts.append(whole[(slice(None), *(slice(n) for n in tiling.cell[::-1]))])
    return np.concatenate(parts)


@given(tiled_columns(), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_values_lie_where_casacore_puts_them(column: TiledColumn, dumps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiling = column.tiling
    rows = dumps * tiling.dump_rows
    shape = (rows, *tiling.cell[::-1])
    values = rng.integers(0, 2 if column.dtype.kind == "b" else 1000, shape).astype(column.dtype)
    folder = Path(tempfile.mkdtemp())
    try:
        write_by_casacore(folder / "t", column, values)
        content = (folder / "t" / column.data_name).read_bytes()
        header = (folder / "t" / column.header_name).read_bytes()
    finally:
        shutil.rmtree(folder)
    assert len(content) == tiling.file_bytes_of_dumps(dumps) == tiling.file_bytes(rows)
    assert header == tiled_header(column, rows, wide=False)
    assert TiledHeader(column).with_rows(rows) == tiled_header(column, rows)
    for dump in range(dumps):
        expected = values[dump * tiling.dump_rows : (dump + 1) * tiling.dump_rows]
        np.testing.assert_array_equal(read_dump(content, column, dump), expected)


@given(tiled_columns(), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_casacore_reads_headers_of_other_numbers_of_rows(
    column: TiledColumn, rows: int, more: int
) -> None:
    """Change a table's number of rows behind casacore's back, as the writer does."""
    tiling = column.tiling
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "t"
        write_by_casacore(path, column, np.ones((1, *tiling.cell[::-1]), column.dtype))
        for count in (rows, rows + more):
            (path / column.header_name).write_bytes(tiled_header(column, count))
            with (path / column.data_name).open("r+b") as data:
                data.truncate(tiling.file_bytes(count))
            lock = bytearray((path / "table.lock").read_bytes())
            mark = lock.find(b"sync") + 8
            lock[mark : mark + 4] = count.to_bytes(4, "big")
            (path / "table.lock").write_bytes(lock)
            with tables.table(str(path), ack=False) as table:
                assert table.nrows() == count
                values = table.getcol("COLUMN")
            assert values[0].all()
            assert not values[1:].any()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("pols", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3, 20, 1024, 65536])
@pytest.mark.parametrize("baselines", [1, 28, 512, 2081, 8256, 131328])
def test_planned_tiles_are_neither_too_large_nor_mostly_padding(
    pols: int, channels: int, baselines: int
) -> None:
    planned = plan_columns(pols, channels, baselines, weight_spectrum=True)
    assert [column.sequence for column in planned] == list(range(len(planned)))
    data = planned[0].tiling
    smallest = pols * 8 * baselines
    assert data.tile_bytes <= max(LARGEST_TILE_BYTES, smallest)
    used = baselines * channels * pols * 8
    assert data.file_bytes_of_dumps(data.dumps_per_tile) <= 1.35 * used * data.dumps_per_tile
    for column in planned:
        assert column.tiling.file_bytes_of_dumps(4096) * 8 >= 4096 * baselines


def test_a_tile_holds_no_more_dumps_than_will_come() -> None:
    planned = plan_columns(4, 8, 28, weight_spectrum=False, expected_dumps=6)
    assert {column.tiling.dumps_per_tile for column in planned} == {6}
    assert "WEIGHT_SPECTRUM" not in {column.name for column in planned}


@pytest.mark.parametrize(("number", "limit", "expected"), [(12, 5, 4), (13, 5, 1), (7, 7, 7)])
def test_largest_divisor(number: int, limit: int, expected: int) -> None:
    assert largest_divisor(number, limit) == expected


@pytest.mark.parametrize(
    ("cell", "tile", "dump_rows"),
    [((4,), (4,), 3), ((), (4,), 6), ((4, 8), (4, 4, 6), 3)],
)
def test_tilings_that_would_scatter_a_dump_are_refused(
    cell: tuple[int, ...], tile: tuple[int, ...], dump_rows: int
) -> None:
    with pytest.raises(ValueError, match="tile"):
        Tiling(8, cell, tile, dump_rows)


def test_unknown_forms_of_headers_are_refused() -> None:
    column = plan_columns(4, 8, 28, weight_spectrum=True)[0]
    with pytest.raises(OutputError, match="this version of casacore writes the header of DATA"):
        check_tiled_header(column, b"something else")
    with pytest.raises(OutputError, match=r"table\.dat in a form"):
        find_row_fields("table.dat", b"\0\0\0\1", b"\0\0\0\3", big_endian=True)
    with pytest.raises(OutputError, match=r"table\.dat in a form"):
        find_row_fields("table.dat", b"same", b"same", big_endian=True)
    with pytest.raises(OutputError, match=r"table\.lock in a form"):
        find_lock_row_field("table.lock", b"")
