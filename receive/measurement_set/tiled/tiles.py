"""Where a row lies in the files of casacore's tiled storage: all byte arithmetic of the writer.

A TiledColumnStMan keeps a column as a hypercube of tiles in ``table.fN_TSM0``.  The tiles lie one
after the other, the first axis (polarisation) running fastest, then channel, then row; so do the
values in a tile.  Tiles at the edges of the cube are full-sized.  Truth values are bits, the
lowest bit of a byte first, and each tile is padded to whole bytes.  (casacore,
``tables/DataMan/TSMCube.cc``; the tests compare with casacore itself.)

Tile shapes are chosen so that an integration ("dump") is always one contiguous range of bytes:
either the rows of a dump are a multiple of the rows of a tile, or the other way round and then a
tile holds all channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

SMALL_TILE_BYTES = 128 << 10
"""Tiles of the columns without a channel axis have at least about this size.

They are many, and a reader has a tile of each in memory."""

LARGE_TILE_BYTES = 1 << 20
"""Tiles of DATA have at least about this size where a dump is smaller than that."""

LARGEST_TILE_BYTES = 2 << 20
"""Tiles of DATA have at most about this size where a dump is larger."""

TILE_CHANNELS = 64
"""Channels in a tile of a large dump: few enough to read one channel, many to read one row."""

DATA_BYTES = 8
"""Size of a value of DATA, to which the tiles of the other spectral columns are matched."""

MAX_TILE_DUMPS = 4096


@dataclass(frozen=True)
class Tiling:
    """How one column is cut into tiles, and where a dump lies in its file.

    Attributes
    ----------
    value_bits : int
        Size of a value: 1 for truth values, which are packed.
    cell : tuple of int
        Shape of a row's value in casacore's axis order: () or (3,) or (pols, channels).
    tile : tuple of int
        Shape of a tile, with the number of rows as the last.
    dump_rows : int
        Rows of a dump.
    """

    value_bits: int
    cell: tuple[int, ...]
    tile: tuple[int, ...]
    dump_rows: int

    def __post_init__(self) -> None:
        if len(self.tile) != len(self.cell) + 1:
            raise ValueError(f"tile {self.tile} of cells {self.cell}: one axis more was expected")
        if self.dump_rows % self.tile_rows and self.tile_rows % self.dump_rows:
            raise ValueError(
                f"{self.tile_rows} rows in a tile, {self.dump_rows} in a dump: "
                "one must be a multiple of the other"
            )
        if self.tile_rows > self.dump_rows and self.strip_tiles > 1:
            raise ValueError(
                f"tile {self.tile} holds several dumps but only a part of the cell {self.cell}"
            )

    @property
    def tile_rows(self) -> int:
        """Rows in a tile."""
        return self.tile[-1]

    @property
    def strip_tiles(self) -> int:
        """Tiles that hold the same rows (a strip of them holds all channels)."""
        count = 1
        for length, tile_length in zip(self.cell, self.tile, strict=False):
            count *= -(-length // tile_length)
        return count

    @property
    def tile_bits(self) -> int:
        """Values in a tile, in bits, before it is padded."""
        return int(np.prod(self.tile, dtype=np.int64)) * self.value_bits

    @property
    def tile_bytes(self) -> int:
        """Size of a tile; casacore calls it the bucket size."""
        return -(-self.tile_bits // 8)

    @property
    def strip_bytes(self) -> int:
        """Size of the tiles that hold the same rows."""
        return self.strip_tiles * self.tile_bytes

    @property
    def dumps_per_tile(self) -> int:
        """Dumps that share a tile, 1 where a tile holds a dump or less."""
        return max(1, self.tile_rows // self.dump_rows)

    @property
    def strips_per_dump(self) -> int:
        """Strips that a dump takes, 1 where it takes one or less."""
        return max(1, self.dump_rows // self.tile_rows)

    @property
    def strip_rows(self) -> int:
        """Rows of a dump that lie in one strip."""
        return min(self.tile_rows, self.dump_rows)

    def dump_bit(self, dump: int) -> int:
        """Return where a dump begins in the file, in bits."""
        tile, within = divmod(dump, self.dumps_per_tile)
        bits_before = within * self.tile_bits // self.dumps_per_tile
        return tile * self.strips_per_dump * self.strip_bytes * 8 + bits_before

    def file_bytes(self, rows: int) -> int:
        """Return the size of the file for so many rows."""
        return -(-rows // self.tile_rows) * self.strip_bytes

    def file_bytes_of_dumps(self, dumps: int) -> int:
        """Return the size of the file for so many dumps."""
        return self.file_bytes(dumps * self.dump_rows)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of `number` that is at most `limit` (at least 1)."""
    best = 1
    for low in range(1, int(number**0.5) + 1):
        if number % low == 0:
            for divisor in (low, number // low):
                if best < divisor <= limit:
                    best = divisor
    return best


def small_tiling(
    value_bits: int, cell: tuple[int, ...], dump_rows: int, most_dumps: int = MAX_TILE_DUMPS
) -> Tiling:
    """Choose the tiles of a column without a channel axis: whole dumps, not too small."""
    dump_bits = dump_rows * value_bits * int(np.prod(cell, dtype=np.int64))
    dumps = min(max(1, SMALL_TILE_BYTES * 8 // dump_bits), most_dumps)
    return Tiling(value_bits, cell, (*cell, dumps * dump_rows), dump_rows)


def spectral_tiling(
    value_bits: int, pols: int, channels: int, dump_rows: int, most_dumps: int = MAX_TILE_DUMPS
) -> Tiling:
    """Choose the tiles of a column with values for each polarisation and channel.

    Where a dump of DATA is small, a tile holds several whole dumps.  Else a dump takes several
    tiles, of the same shape in all spectral columns, whose rows divide the rows of a dump.
    """
    cell = (pols, channels)
    row_bytes = pols * channels * DATA_BYTES
    if dump_rows * row_bytes <= LARGE_TILE_BYTES:
        dump_bits = dump_rows * pols * channels * value_bits
        dumps = min(max(1, LARGE_TILE_BYTES * 8 // dump_bits), most_dumps)
        return Tiling(value_bits, cell, (*cell, dumps * dump_rows), dump_rows)
    # Parts of equal size, so that little of the last tile is padding.
    tile_channels = -(-channels // -(-channels // TILE_CHANNELS))
    most_rows = max(1, LARGEST_TILE_BYTES // (pols * tile_channels * DATA_BYTES))
    tile_rows = largest_divisor(dump_rows, most_rows)
    if tile_rows < min(most_rows, dump_rows) // 8:
        # Hardly a divisor (a prime number of baselines, say): all rows, and fewer channels.
        tile_rows = dump_rows
        fit = max(1, LARGEST_TILE_BYTES // (pols * DATA_BYTES * dump_rows))
        tile_channels = -(-channels // -(-channels // min(fit, channels)))
    return Tiling(value_bits, cell, (pols, tile_channels, tile_rows), dump_rows)


@dataclass(frozen=True)
class TiledColumn:
    """A column of the main table that the writer lays down itself.

    Attributes
    ----------
    name : str
        Name of the column.
    sequence : int
        Number of its data manager: its files are ``table.f<sequence>`` and ``..._TSM0``.
    dtype : numpy.dtype
        Type of a value, little-endian.
    tiling : Tiling
        Where the values lie.
    """

    name: str
    sequence: int
    dtype: np.dtype[Any]
    tiling: Tiling

    def with_tile(self, tile: tuple[int, ...]) -> TiledColumn:
        """Return the same column in other tiles."""
        return replace(self, tiling=replace(self.tiling, tile=tile))

    @property
    def group(self) -> str:
        """Name of the data manager."""
        return f"Tiled{self.name}"

    @property
    def header_name(self) -> str:
        """Name of the file with the data manager's description."""
        return f"table.f{self.sequence}"

    @property
    def data_name(self) -> str:
        """Name of the file with the tiles."""
        return f"table.f{self.sequence}_TSM0"


def value_bits(dtype: DTypeLike) -> int:
    """Return the size of a value on disk in bits."""
    kind = np.dtype(dtype)
    return 1 if kind == np.bool_ else kind.itemsize * 8


_SMALL_COLUMNS: tuple[tuple[str, str, tuple[int, ...] | None], ...] = (
    ("UVW", "<f8", (3,)),
    ("TIME", "<f8", ()),
    ("TIME_CENTROID", "<f8", ()),
    ("INTERVAL", "<f8", ()),
    ("EXPOSURE", "<f8", ()),
    ("ANTENNA1", "<i4", ()),
    ("ANTENNA2", "<i4", ()),
    ("WEIGHT", "<f4", None),
    ("SIGMA", "<f4", None),
    ("FLAG_ROW", "?", ()),
)
"""Columns without a channel axis, their types and cells (None: one value a polarisation)."""


def plan_columns(
    pols: int,
    channels: int,
    dump_rows: int,
    *,
    weight_spectrum: bool,
    expected_dumps: int | None = None,
) -> tuple[TiledColumn, ...]:
    """Choose the files and tiles of all tiled columns.

    Parameters
    ----------
    pols, channels, dump_rows : int
        Polarisations, channels, and rows of an integration.
    weight_spectrum : bool
        Whether there is a column WEIGHT_SPECTRUM.
    expected_dumps : int or None
        No tile is made for more integrations than this.

    Returns
    -------
    tuple of TiledColumn
        The spectral columns first.
    """
    most_dumps = min(MAX_TILE_DUMPS, max(1, expected_dumps or MAX_TILE_DUMPS))
    spectral = [("DATA", "<c8"), ("FLAG", "?")]
    if weight_spectrum:
        spectral.append(("WEIGHT_SPECTRUM", "<f4"))
    columns = [
        (name, dtype, spectral_tiling(value_bits(dtype), pols, channels, dump_rows, most_dumps))
        for name, dtype in spectral
    ]
    for name, dtype, cell in _SMALL_COLUMNS:
        shape = (pols,) if cell is None else cell
        tiling = small_tiling(value_bits(dtype), shape, dump_rows, most_dumps)
        columns.append((name, dtype, tiling))
    return tuple(
        TiledColumn(name, sequence, np.dtype(dtype), tiling)
        for sequence, (name, dtype, tiling) in enumerate(columns)
    )


def dump_file_bytes(columns: Iterable[TiledColumn]) -> float:
    """Return what an integration adds to the files of all columns, parts of tiles included."""
    return float(
        sum(
            column.tiling.file_bytes_of_dumps(column.tiling.dumps_per_tile)
            / column.tiling.dumps_per_tile
            for column in columns
        )
    )


def pack_bits(values: NDArray[np.bool_], lead: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack truth values that begin in the middle of a byte.

    Parameters
    ----------
    values : ndarray of bool
        Of one dump, in the order in which they lie.
    lead : ndarray of bool
        The up to 7 values before them in their first byte.
    """
    flat = values.reshape(-1)
    if lead.size:
        flat = np.concatenate([lead, flat])
    return np.packbits(flat, bitorder="little")
