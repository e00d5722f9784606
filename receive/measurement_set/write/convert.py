"""From an integration's parts, or its plain arrays, to the bytes of the spectral columns.

A strip of tiles (a few MB) is filled and written while it is in the cache, by a thread that has
buffers of its own; what comes out of a strip for the other columns is put into arrays of the
whole integration.  Nothing is allocated for a dump.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from receive.icd.records import FRACTION_OF_FD, vis_slots
from receive.measurement_set.tiled.direct_io import ShiftedBuffer
from receive.measurement_set.tiled.kernels import convert_rows, fd_state, finish_rows, pack_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from receive.icd.payload import PayloadPart
    from receive.measurement_set.tiled.tiles import Tiling
    from receive.measurement_set.write.file_layout import SetLayout
    from receive.model import Integration, TelescopeModel

FdZero = Literal["auto", "flag", "ignore"]

MIN_THREADS, MAX_THREADS = 2, 4
"""One computes while another waits for the disk; with more than these the disk, or the memory's
bandwidth, is what is waited for."""

_FILLED, _UNFILLED = 2, 1
"""Results of `fd_state`: some FD is set; all are 0, but visibilities are there."""


@dataclass
class RowValues:
    """What an integration's rows hold besides spectra.

    Attributes
    ----------
    centroid_mjd_s : ndarray of float64, (baselines,)
        TIME_CENTROID.
    weight, sigma : ndarray of float32, (baselines, pols)
        WEIGHT and SIGMA.
    flag_row : ndarray of bool, (baselines,)
        FLAG_ROW.
    """

    centroid_mjd_s: NDArray[np.float64]
    weight: NDArray[np.float32]
    sigma: NDArray[np.float32]
    flag_row: NDArray[np.bool_]


@dataclass
class _Strip:
    """Buffers for a strip of tiles; `place` makes `data` and `weight` arrays in them."""

    data_buffer: ShiftedBuffer
    weight_buffer: ShiftedBuffer
    packed: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    sums: NDArray[np.float64]
    data: NDArray[np.uint64] = field(init=False)
    weight: NDArray[np.float32] = field(init=False)

    def place(self, data_offset: int, weight_offset: int) -> None:
        """Make ready for a strip that goes to these places of its files."""
        self.data = self.data_buffer.at(data_offset)
        self.weight = self.weight_buffer.at(weight_offset)


class Channels:
    """Where the records of an integration's channels lie in memory.

    Parameters
    ----------
    parts : sequence of PayloadPart
        As they were received.
    channels : int
        Channels of the integration; those without a present part are absent.
    """

    def __init__(self, parts: Sequence[PayloadPart], channels: int) -> None:
        self.addresses = np.zeros(channels, np.uint64)
        self.believed = np.ones(channels, np.uint8)
        self.form = np.zeros(4, np.int64)
        # Copies of records that do not lie as the kernels want them live as long as this.
        self._kept: list[NDArray[Any]] = []
        self._parts: list[tuple[PayloadPart, int, int]] = []
        for part in parts:
            if part.present:
                self._add(part)

    def _add(self, part: PayloadPart) -> None:
        records = part.records
        dtype = records.dtype
        if records.shape[1] > 1 and records.strides[1] != dtype.itemsize:
            records = np.ascontiguousarray(records)
        self._kept.append(records)
        fields = dtype.fields
        assert fields is not None  # noqa: S101 - records are structured
        self.form[:] = (dtype.itemsize, fields["FD"][1], fields["TCI"][1], fields["VIS"][1])
        address = int(records.__array_interface__["data"][0])
        stride = int(records.strides[0])
        first = part.first_channel
        span = np.arange(part.channel_count, dtype=np.int64) * stride + address
        self.addresses[first : first + part.channel_count] = span
        self._parts.append((part, address, stride))

    @property
    def none_came(self) -> bool:
        """Whether nothing of the integration came."""
        return not self._parts

    def fd_is_filled(self) -> bool | None:
        """Say whether the sender fills FD in: None where there is nothing to tell it from."""
        states = [
            fd_state(address, part.channel_count, stride, part.records.shape[1], self.form)
            for part, address, stride in self._parts
        ]
        if _FILLED in states:
            return True
        return False if _UNFILLED in states else None

    def disbelieve(self) -> None:
        """Take an FD of 0 for nothing, in the parts that have no other and are not empty."""
        for part, address, stride in self._parts:
            baselines = part.records.shape[1]
            state = fd_state(address, part.channel_count, stride, baselines, self.form)
            if state == _UNFILLED:
                self.believed[part.first_channel : part.first_channel + part.channel_count] = 0

    def disbelieve_all(self) -> None:
        """Take an FD of 0 for nothing everywhere."""
        self.believed[:] = 0


class SpectraWriter:
    """Fills the tiles of DATA, FLAG and WEIGHT_SPECTRUM and hands them on to be written.

    Parameters
    ----------
    layout : SetLayout
        Where the tiles lie.
    model : TelescopeModel
        Channels, polarisations, baselines.
    write : callable
        ``write(column_name, offset_bytes, buffer)``; may be called by several threads.
    """

    def __init__(
        self,
        layout: SetLayout,
        model: TelescopeModel,
        write: Callable[[str, int, NDArray[Any]], None],
    ) -> None:
        data, flag = layout.column("DATA"), layout.column("FLAG")
        assert data is not None and flag is not None  # noqa: PT018, S101 - always planned
        weight = layout.column("WEIGHT_SPECTRUM")
        self._write = write
        self._data: Tiling = data.tiling
        self._flag: Tiling = flag.tiling
        self._weight: Tiling | None = weight.tiling if weight is not None else None
        self._baselines = model.num_baselines
        self._channels = model.num_channels
        self._pols = model.num_pols
        self._slots = vis_slots(model.corr_types).astype(np.int64)
        self._fractions = np.array(FRACTION_OF_FD)
        self._width_hz = np.abs(model.channel_width_hz)
        self._flag_lead = 0
        self._flag_next = 0
        self._touched = -1
        self.rows = RowValues(
            np.zeros(self._baselines, np.float64),
            np.zeros((self._baselines, self._pols), np.float32),
            np.zeros((self._baselines, self._pols), np.float32),
            np.zeros(self._baselines, np.bool_),
        )
        cores = len(os.sched_getaffinity(0))
        threads = min(max(MIN_THREADS, cores), MAX_THREADS, self._data.strips_per_dump)
        self._strips = [self._new_strip() for _ in range(threads)]
        self._pool = (
            ThreadPoolExecutor(threads - 1, thread_name_prefix="ms-tiles") if threads > 1 else None
        )

    def _new_strip(self) -> _Strip:
        rows = self._data.strip_rows
        if self._data.strips_per_dump > 1:
            values = self._data.strip_tiles * int(np.prod(self._data.tile))
        else:
            # A dump may be a part of a tile, or fill one strip of tiles.
            values = self._data.strip_tiles * int(np.prod(self._data.tile[:-1])) * rows
        return _Strip(
            data_buffer=ShiftedBuffer(values, np.uint64),
            weight_buffer=ShiftedBuffer(values if self._weight is not None else 0, np.float32),
            packed=np.zeros(self._flag.strip_tiles * (self._flag.tile_bytes + 1), np.uint8),
            flags=np.zeros(rows * self._channels * self._pols, np.uint8),
            sums=np.zeros((4, rows)),
        )

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()

    def write_records(
        self, dump: int, channels: Channels, time_mjd_s: float, interval_s: float, exposure_s: float
    ) -> RowValues:
        """Write the spectra of an integration as it was received.

        One of which nothing came is not data but flags: what was never written reads as 0, so that
        a disk that is too slow for the data is not given as much again for each lack of them.

        Parameters
        ----------
        dump : int
            Number of the integration in the set.
        channels : Channels
            Where its records lie.
        time_mjd_s, interval_s, exposure_s : float
            Its centre, length and exposure.

        Returns
        -------
        RowValues
            Valid until the next integration.
        """
        full_weights = self._width_hz * exposure_s
        tile_values = self._strip_tile_values()
        # What an earlier write has left there before it failed must be overwritten.
        hollow = channels.none_came and self._touched != dump

        def fill(strip: _Strip, first: int) -> int:
            rows = self._data.strip_rows
            if hollow:
                strip.flags[: rows * self._channels] = 1
                strip.sums.fill(0)
            else:
                convert_rows(
                    channels.addresses,
                    channels.believed,
                    channels.form,
                    self._slots,
                    self._fractions,
                    full_weights,
                    first,
                    rows,
                    self._data.tile[1],
                    tile_values,
                    strip.data,
                    strip.weight,
                    strip.flags,
                    strip.sums,
                )
            taken = slice(first, first + rows)
            finish_rows(
                strip.sums,
                rows,
                time_mjd_s,
                interval_s,
                self.rows.centroid_mjd_s[taken],
                self.rows.weight[taken],
                self.rows.sigma[taken],
                self.rows.flag_row[taken],
            )
            return self._pols

        self._write_strips(dump, fill, hollow=hollow)
        return self.rows

    def write_integration(self, dump: int, integration: Integration) -> RowValues:
        """Write the spectra of an integration given as arrays.

        WEIGHT is the mean of WEIGHT_SPECTRUM over the unflagged channels of a polarisation.

        Returns
        -------
        RowValues
            Valid until the next integration.
        """
        raw = np.ascontiguousarray(integration.data, np.complex64).view(np.uint64)
        flag = np.ascontiguousarray(integration.flag, np.bool_)
        weight_spectrum = np.asarray(integration.weights(self._width_hz), np.float32)
        tile_values = self._strip_tile_values()

        def fill(strip: _Strip, first: int) -> int:
            rows = slice(first, first + self._data.strip_rows)
            self._tile(strip.data, raw[rows], tile_values)
            if self._weight is not None:
                self._tile(strip.weight, weight_spectrum[rows], tile_values)
            strip.flags[:] = flag[rows].reshape(-1)
            good = ~flag[rows]
            count = good.sum(axis=1)
            total = np.where(good, weight_spectrum[rows], 0).sum(axis=1, dtype=np.float64)
            weight = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
            self.rows.weight[rows] = weight
            self.rows.sigma[rows] = np.divide(
                1, np.sqrt(weight), out=np.zeros(total.shape), where=weight > 0
            )
            self.rows.flag_row[rows] = (count == 0).all(axis=1)
            return 1

        self._write_strips(dump, fill)
        return replace(self.rows, centroid_mjd_s=integration.time_centroid)

    def _strip_tile_values(self) -> int:
        """Return the values of a tile that a strip's buffer holds: those of a dump's rows."""
        return int(np.prod(self._data.tile[:-1])) * self._data.strip_rows

    def _tile(self, tiles: NDArray[Any], values: NDArray[Any], tile_values: int) -> None:
        step = self._data.tile[1]
        for number, first in enumerate(range(0, self._channels, step)):
            taken = values[:, first : first + step]
            tile = tiles[number * tile_values : (number + 1) * tile_values]
            tile.reshape(self._data.strip_rows, step, self._pols)[:, : taken.shape[1]] = taken

    def _write_strips(
        self, dump: int, fill: Callable[[_Strip, int], int], *, hollow: bool = False
    ) -> None:
        """Fill and write all strips of a dump, every thread each n-th of them.

        Of a hollow one only the flags are written.
        """
        if not hollow:
            self._touched = dump
        lead_bits = self._flag.dump_bit(dump) % 8
        lead = self._flag_lead if lead_bits else 0
        rest = [0] * len(self._strips)

        def work(thread: int) -> None:
            strip = self._strips[thread]
            for number in range(thread, self._data.strips_per_dump, len(self._strips)):
                data_offset = _strip_offset(self._data, dump, number)
                weight_offset = _strip_offset(self._weight, dump, number) if self._weight else 0
                strip.place(data_offset, weight_offset)
                copies = fill(strip, number * self._data.strip_rows)
                if not hollow:
                    self._write("DATA", data_offset, strip.data)
                if self._weight is not None and not hollow:
                    self._write("WEIGHT_SPECTRUM", weight_offset, strip.weight)
                rest[thread] = self._pack(strip, copies, lead, lead_bits)
                used = -(-(lead_bits + self._strip_flag_bits()) // 8)
                flag_offset = _strip_offset(self._flag, dump, number)
                self._write("FLAG", flag_offset, strip.packed[:used])

        futures = (
            [self._pool.submit(work, thread) for thread in range(1, len(self._strips))]
            if self._pool is not None
            else []
        )
        try:
            work(0)
        finally:
            errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        self._flag_next = rest[0]

    def dump_written(self) -> None:
        """Say that the dump counts: the next one shares a byte of FLAG with it."""
        self._flag_lead = self._flag_next

    def taken_back(self) -> None:
        """Say that nothing is left of a dump that could not be written."""
        self._touched = -1

    def _pack(self, strip: _Strip, copies: int, lead: int, lead_bits: int) -> int:
        values = self._pols // copies
        tile_bytes = self._flag.tile_bytes if self._flag.dumps_per_tile == 1 else 0
        rest: int = pack_flags(
            strip.flags,
            self._data.strip_rows,
            self._channels * values,
            copies,
            self._flag.tile[1] * values,
            tile_bytes,
            lead,
            lead_bits,
            strip.packed,
        )
        return rest

    def _strip_flag_bits(self) -> int:
        if self._flag.dumps_per_tile == 1:
            return self._flag.strip_bytes * 8
        return self._flag.tile_bits // self._flag.dumps_per_tile


def _strip_offset(tiling: Tiling, dump: int, strip: int) -> int:
    """Return the byte of a column's file at which a strip of a dump begins."""
    return tiling.dump_bit(dump) // 8 + strip * tiling.strip_bytes
