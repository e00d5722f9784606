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

from receive.icd.records import VIS_SLOT_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_BLOCK = 40
"""Rows that are turned at a time.

A block of 64 channels x 4 polarisations x 40 rows is 80 KiB of output, which stays in the cache
while each channel adds its 32 bytes to every row of it.  (32 and 48 rows were 10 % slower.)"""

CHANNELS_AHEAD = 3
"""The records of a block are fetched into the cache while those of so many channels before are
turned: they are short pieces far from each other, which the processor does not foresee.  (Without
it the whole took twice as long.)"""
LINE_BYTES = 64

BYTE_BITS = 8


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


@intrinsic
def _prefetch(_typing_context: Any, address: Any) -> Any:
    """Ask for the cache line at an address, which will be read."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        to_read, to_keep, data = flag(0), flag(3), flag(1)
        builder.call(prefetch, [builder.inttoptr(arguments[0], byte), to_read, to_keep, data])
        return context.get_dummy_value()

    return types.void(address), generate


_load_byte = _loader(8, types.uint8)
_load_value = _loader(64, types.uint64)


@njit(nogil=True, cache=True)
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
            for slot in range(VIS_SLOT_COUNT):
                value = _load_value(np.uint64(record + form[3] + 8 * slot))
                # Without the signs: -0 is 0.
                if value & np.uint64(0x7FFFFFFF7FFFFFFF) != 0:
                    return 1
            record += form[0]
    return 0


@njit(nogil=True, cache=True)
def _clear_block(
    rows: int,
    at: int,
    step: int,
    pols: int,
    data: NDArray[np.uint64],
    weight: NDArray[np.float32],
) -> None:
    """Put zeros where a channel did not come; a block is some rows of one channel."""
    for _ in range(rows):
        data[at : at + pols] = np.uint64(0)
        # An empty array, where no weights are wanted, stays as it is.
        weight[at : at + pols] = np.float32(0.0)
        at += step


@njit(nogil=True, cache=True)
def _turn_block(
    record: int,
    rows: int,
    believe: bool,  # noqa: FBT001 - compiled functions take no keywords
    form: NDArray[np.int64],
    slots: NDArray[np.int64],
    fractions: NDArray[np.float64],
    full_weight: float,
    at: int,
    step: int,
    data: NDArray[np.uint64],
    weight: NDArray[np.float32],
    flags: NDArray[np.uint8],
    sums: NDArray[np.float64],
) -> None:
    """Turn the records of a block from the address `record` on; `at` is where values go."""
    pols = slots.size
    with_weight = weight.size > 0
    # Spelt out, the usual case takes two thirds of the time.
    all_slots = pols == VIS_SLOT_COUNT and slots[0] < slots[1] < slots[2] < slots[3]
    for row in range(rows):
        if all_slots:
            values = np.uint64(record + form[3])
            data[at] = _load_value(values)
            data[at + 1] = _load_value(values + np.uint64(8))
            data[at + 2] = _load_value(values + np.uint64(16))
            data[at + 3] = _load_value(values + np.uint64(24))
        else:
            for pol in range(pols):
                data[at + pol] = _load_value(np.uint64(record + form[3] + 8 * slots[pol]))
        fd = _load_byte(np.uint64(record + form[1]))
        value = np.float32(0.0)
        flags[row] = fd == 0 and believe
        if not flags[row]:
            fraction = fractions[fd] if fd != 0 else 1.0
            value = np.float32(fraction * full_weight)
            sums[0, row] += fraction
            sums[1, row] += fraction * np.int8(_load_byte(np.uint64(record + form[2])))
            sums[2, row] += value
            sums[3, row] += 1.0
        if with_weight:
            if all_slots:
                weight[at] = value
                weight[at + 1] = value
                weight[at + 2] = value
                weight[at + 3] = value
            else:
                for pol in range(pols):
                    weight[at + pol] = value
        record += form[0]
        at += step


@njit(nogil=True, cache=True)
def _fetch_block(record: int, size: int) -> None:
    """Have the records of a block in the cache when they are turned."""
    for line in range(0, size, LINE_BYTES):
        _prefetch(np.uint64(record + line))  # type: ignore[call-arg] # numba passes the context


@njit(nogil=True, cache=True)
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
    step = tile_channels * slots.size
    sums[:, :rows] = 0.0
    for row_0 in range(0, rows, ROW_BLOCK):
        row_1 = min(rows, row_0 + ROW_BLOCK)
        for channel in range(channels):
            tile = channel // tile_channels
            at = tile * tile_values + (channel - tile * tile_channels) * slots.size + row_0 * step
            block = slice(row_0 * channels + channel, row_1 * channels, channels)
            ahead = channel + CHANNELS_AHEAD
            if ahead < channels and addresses[ahead] != 0:
                record = np.int64(addresses[ahead]) + (first_row + row_0) * form[0]
                _fetch_block(record, (row_1 - row_0) * form[0])
            if addresses[channel] == 0:
                _clear_block(row_1 - row_0, at, step, slots.size, data, weight)
                flags[block] = 1
            else:
                _turn_block(
                    np.int64(addresses[channel]) + (first_row + row_0) * form[0],
                    row_1 - row_0,
                    believed[channel] != 0,
                    form,
                    slots,
                    fractions,
                    full_weights[channel],
                    at,
                    step,
                    data,
                    weight,
                    flags[block],
                    sums[:, row_0:row_1],
                )


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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
    mask = np.uint32((1 << copies) - 1)
    rest = np.uint32(0)
    for tile in range((channels + tile_channels - 1) // tile_channels):
        first = tile * tile_channels
        at = tile * tile_bytes
        bits = np.uint32(lead)
        count = lead_bits
        for row in range(rows):
            for channel in range(first, first + tile_channels):
                # Channels of the last tile beyond the last channel do not exist.
                if channel < channels and flags[row * channels + channel] != 0:
                    bits |= mask << np.uint32(count)
                count += copies
                if count >= BYTE_BITS:
                    packed[at] = np.uint8(bits & np.uint32(0xFF))
                    at += 1
                    bits >>= np.uint32(BYTE_BITS)
                    count -= BYTE_BITS
        rest = np.uint32(0)
        if count > 0:
            packed[at] = np.uint8(bits & np.uint32(0xFF))
            rest = bits & np.uint32(0xFF)
    return int(rest)


def compile_kernels() -> None:
    """Compile everything here now (or load it, when it was compiled before), not at first use."""
    records = np.zeros(34, np.uint8)
    address = int(records.__array_interface__["data"][0])
    form = np.array([34, 1, 0, 2], np.int64)
    one_f8, four_f8 = np.zeros(1), np.zeros((4, 1))
    flags, weight = np.zeros(1, np.uint8), np.zeros((1, 1), np.float32)
    fd_state(address, 1, 34, 1, form)
    convert_rows(
        np.array([address], np.uint64),
        np.ones(1, np.uint8),
        form,
        np.zeros(1, np.int64),
        np.zeros(256),
        one_f8,
        0,
        1,
        1,
        1,
        np.zeros(1, np.uint64),
        np.zeros(1, np.float32),
        flags,
        four_f8,
    )
    finish_rows(four_f8, 1, 0.0, 1.0, one_f8, weight, weight.copy(), np.zeros(1, np.bool_))
    pack_flags(flags, 1, 1, 1, 1, 1, 0, 0, np.zeros(2, np.uint8))
