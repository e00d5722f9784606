"""Compiled loops from records as they were received to tiles as they lie on disk.

Records are read by address: a dump's channels lie in as many buffers as there are streams, and
nothing in a packed record of 34 or 35 bytes is aligned.  All functions release the GIL and may
run in several threads on different rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_BLOCK = 32
"""Rows that are turned at a time.

A block of 64 channels x 4 polarisations x 32 rows is 64 KiB of output, which stays in the cache
while each channel adds its 32 bytes to every row of it."""


def _loader(bits: int, result: Any) -> Any:
    """Make a function that reads an unaligned unsigned integer at an address."""

    @intrinsic
    def load(_typing_context: Any, address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            value = builder.load(pointer)
            value.align = 1
            return value

        return result(address), generate

    return load


_load_byte = _loader(8, types.uint8)
_load_value = _loader(64, types.uint64)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fd_state(address: int, channels: int, stride: int, baselines: int, form: NDArray[Any]) -> int:
    """Look at FD in the records of one part.

    Returns
    -------
    int
        2 if any FD is not 0; else 1 if any visibility is not 0; else 0.
    """
    for channel in range(channels):
        record = address + channel * stride
        for _ in range(baselines):
            if _load_byte(np.uint64(record + form[1])) != 0:
                return 2
            record += form[0]
    for channel in range(channels):
        record = address + channel * stride
        for _ in range(baselines):
            for slot in range(4):
                value = _load_value(np.uint64(record + form[3] + 8 * slot))
                # Without the signs: -0 is 0.
                if value & np.uint64(0x7FFFFFFF7FFFFFFF) != 0:
                    return 1
            record += form[0]
    return 0


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def convert_rows(
    addresses: NDArray[np.uint64],
    believed: NDArray[np.uint8],
    form: NDArray[np.int64],
    slots: NDArray[np.int64],
    fractions: NDArray[np.float64],
    full_weights: NDArray[np.float64],
    first_row: int,
    rows: int,
    tile_channels: int,
    tile_values: int,
    data: NDArray[np.uint64],
    weight: NDArray[np.float32],
    flags: NDArray[np.uint8],
    sums: NDArray[np.float64],
) -> None:
    """Turn the records of some rows into a strip of tiles.

    Parameters
    ----------
    addresses : ndarray of uint64, (channels,)
        Where the records of each channel begin, 0 where the channel did not come.
    believed : ndarray of uint8, (channels,)
        0 where an FD of 0 means nothing, because the sender never fills it in.
    form : ndarray of int64, (4,)
        Size of a record and the offsets of FD, TCI and VIS in it, bytes.
    slots : ndarray of int64, (pols,)
        Slots of VIS that are taken.
    fractions : ndarray of float64, (256,)
        Fraction of correlated data for each value of FD.
    full_weights : ndarray of float64, (channels,)
        Weight of a fraction of 1.
    first_row, rows : int
        Which baselines.
    tile_channels, tile_values : int
        Channels and values in a tile.
    data : ndarray of uint64, (values,)
        The tiles of DATA; a complex number is one value.
    weight : ndarray of float32, (values,) or (0,)
        The tiles of WEIGHT_SPECTRUM, none wanted if empty.
    flags : ndarray of uint8, (rows x channels,)
        0 or 1, channels running fastest.
    sums : ndarray of float64, (4, rows)
        Over unflagged channels: of f, of f x TCI, of WEIGHT_SPECTRUM, and their number.
    """
    channels = addresses.size
    pols = slots.size
    record_bytes = form[0]
    with_weight = weight.size > 0
    zero = np.uint64(0)
    sums[:, :rows] = 0.0
    for row_0 in range(0, rows, ROW_BLOCK):
        row_1 = min(rows, row_0 + ROW_BLOCK)
        for channel in range(channels):
            tile = channel // tile_channels
            column = tile * tile_values + (channel - tile * tile_channels) * pols
            step = tile_channels * pols
            at = column + row_0 * step
            if addresses[channel] == 0:
                for row in range(row_0, row_1):
                    for pol in range(pols):
                        data[at + pol] = zero
                        if with_weight:
                            weight[at + pol] = 0.0
                    flags[row * channels + channel] = 1
                    at += step
                continue
            record = np.int64(addresses[channel]) + (first_row + row_0) * record_bytes
            believe = believed[channel] != 0
            full = full_weights[channel]
            for row in range(row_0, row_1):
                for pol in range(pols):
                    data[at + pol] = _load_value(np.uint64(record + form[3] + 8 * slots[pol]))
                fd = _load_byte(np.uint64(record + form[1]))
                if fd == 0 and believe:
                    flags[row * channels + channel] = 1
                    value = np.float32(0.0)
                else:
                    flags[row * channels + channel] = 0
                    fraction = fractions[fd] if fd != 0 else 1.0
                    value = np.float32(fraction * full)
                    tci = np.int8(_load_byte(np.uint64(record + form[2])))
                    sums[0, row] += fraction
                    sums[1, row] += fraction * tci
                    sums[2, row] += value
                    sums[3, row] += 1.0
                if with_weight:
                    for pol in range(pols):
                        weight[at + pol] = value
                record += record_bytes
                at += step


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def finish_rows(
    sums: NDArray[np.float64],
    rows: int,
    time_mjd_s: float,
    interval_s: float,
    centroid: NDArray[np.float64],
    weight: NDArray[np.float32],
    sigma: NDArray[np.float32],
    flag_row: NDArray[np.bool_],
) -> None:
    """Make TIME_CENTROID, WEIGHT, SIGMA and FLAG_ROW of rows from the sums over their channels.

    `centroid` and `flag_row` are (rows,), `weight` and `sigma` (rows, pols).
    """
    for row in range(rows):
        centroid[row] = time_mjd_s
        mean = 0.0
        deviation = 0.0
        if sums[0, row] > 0.0:
            centroid[row] += interval_s / 256.0 * (sums[1, row] / sums[0, row])
        if sums[3, row] > 0.0:
            mean = sums[2, row] / sums[3, row]
        if mean > 0.0:
            deviation = 1.0 / np.sqrt(mean)
        for pol in range(weight.shape[1]):
            weight[row, pol] = mean
            sigma[row, pol] = deviation
        flag_row[row] = sums[3, row] == 0.0


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def pack_flags(
    flags: NDArray[np.uint8],
    rows: int,
    channels: int,
    copies: int,
    tile_channels: int,
    tile_bytes: int,
    lead: int,
    lead_bits: int,
    packed: NDArray[np.uint8],
) -> int:
    """Pack flags into the bits of a strip of tiles.

    Parameters
    ----------
    flags : ndarray of uint8, (rows x channels,)
        0 or 1, channels running fastest.
    rows, channels : int
        What there is of them.
    copies : int
        How many times each flag is repeated: polarisations of a record share one.
    tile_channels, tile_bytes : int
        Channels and bytes in a tile.
    lead, lead_bits : int
        The bits of the first byte that are there already, and how many; only of a single tile.
    packed : ndarray of uint8
        The tiles.

    Returns
    -------
    int
        The last byte of the last tile, if it is not full, else 0: what a next dump begins with.
    """
    tiles = (channels + tile_channels - 1) // tile_channels
    mask = np.uint32((1 << copies) - 1)
    rest = np.uint32(0)
    for tile in range(tiles):
        first = tile * tile_channels
        here = min(tile_channels, channels - first)
        at = tile * tile_bytes
        bits = np.uint32(lead)
        count = lead_bits
        for row in range(rows):
            source = row * channels + first
            for channel in range(here):
                if flags[source + channel] != 0:
                    bits |= mask << np.uint32(count)
                count += copies
                if count >= 8:
                    packed[at] = np.uint8(bits & np.uint32(0xFF))
                    at += 1
                    bits >>= np.uint32(8)
                    count -= 8
            # Channels of the last tile that do not exist.
            for _ in range(tile_channels - here):
                count += copies
                if count >= 8:
                    packed[at] = np.uint8(bits & np.uint32(0xFF))
                    at += 1
                    bits >>= np.uint32(8)
                    count -= 8
        rest = np.uint32(0)
        if count > 0:
            packed[at] = np.uint8(bits & np.uint32(0xFF))
            rest = bits & np.uint32(0xFF)
    return np.int64(rest)
