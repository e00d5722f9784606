"""The joined set of several pieces of channels: its model, and its integrations.

Rows belong together by time, antennas and, where a baseline is there several times, which of them
it is.  What a piece does not have is flagged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import InputError
from receive.command.progress import format_bytes
from receive.host.memory_limit import memory_limit_bytes
from receive.icd.times import iso_from_mjd_s
from receive.model.integration import VALUE_BYTES, Integration
from receive.model.row_order import pack, repeat_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from receive.measurement_set.join.order import Block
    from receive.measurement_set.join.pieces import Piece
    from receive.model import TelescopeModel

_SAME_LENGTH = 1e-3
"""INTERVAL and EXPOSURE that differ by less than this part are the same."""


class Joined:
    """Pieces of channels as one set.

    Parameters
    ----------
    blocks : sequence of Block
        Their channels, in order.

    Attributes
    ----------
    model : TelescopeModel
        Of the joined set.
    missing_rows : int
        Rows that a piece did not have, in the integrations read so far, over all pieces.

    Raises
    ------
    InputError
        If integrations that are the same by time are not of the same length, or one integration
        does not fit into memory.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._pieces = [block.piece for block in blocks if block.piece is not None]
        self._index = _match_times(self._pieces)
        self._slots, antenna1, antenna2 = _match_baselines(self._pieces)
        times, intervals, exposures = self._durations()
        self.missing_rows = 0
        self.model: TelescopeModel = replace(
            self._pieces[0].model,
            antenna1=antenna1,
            antenna2=antenna2,
            channel_freq_hz=np.concatenate([block.freq_hz for block in blocks]),
            channel_width_hz=np.concatenate([block.width_hz for block in blocks]),
            times_mjd_s=times,
            intervals_s=intervals,
            exposures_s=exposures,
            read_uvw=self._recorded_uvw,
        )
        shape = (self.model.num_baselines, self.model.num_channels, self.model.num_pols)
        self._check_memory(shape)
        self._data = np.zeros(shape, np.complex64)
        self._flag = np.ones(shape, np.bool_)
        self._weights = np.zeros(shape, np.float32)
        self._present = np.ones(shape[0], np.bool_)
        self._buffers: list[Integration | None] = [None] * len(self._pieces)

    @property
    def has_weight_spectrum(self) -> bool:
        """Whether any piece has WEIGHT_SPECTRUM."""
        return any(piece.reader.has_weight_spectrum for piece in self._pieces)

    def read(self, index: int) -> Integration:
        """Return an integration; its arrays are valid until the next is read."""
        model = self.model
        time_mjd_s = float(model.times_mjd_s[index])
        exposure_s = float(model.exposures_s[index])
        offsets_s = np.zeros((len(self._pieces), model.num_baselines))
        channels = [block.channels for block in self._blocks if block.piece is not None]
        for number, taken in enumerate(channels):
            own = int(self._index[number, index])
            if own < 0:
                self._clear(taken)
                self.missing_rows += model.num_baselines
                continue
            centroid = self._read_piece(number, own, taken)
            rows = self._slots[number]
            offsets_s[number, slice(None) if rows is None else rows] = centroid - time_mjd_s
        return Integration(
            data=self._data,
            flag=self._flag,
            weight_spectrum=self._weights,
            time_centroid=time_mjd_s + self._mean_offset_s(offsets_s, channels, exposure_s),
            uvw=model.uvw(index),
            present=self._present,
            time_mjd_s=time_mjd_s,
            interval_s=float(model.intervals_s[index]),
            exposure_s=exposure_s,
        )

    def _read_piece(self, number: int, own: int, taken: slice) -> NDArray[np.float64]:
        """Put a piece's integration in its place; return TIME_CENTROID of its baselines."""
        piece, slots = self._pieces[number], self._slots[number]
        read = piece.reader.integration(own, 0, piece.channels, self._buffers[number])
        self._buffers[number] = read
        if slots is not None:
            self._clear(taken)
        rows = slice(None) if slots is None else slots
        self._data[rows, taken] = read.data
        self._flag[rows, taken] = read.flag
        self._weights[rows, taken] = read.weights(piece.model.channel_width_hz)
        self.missing_rows += self.model.num_baselines - int(read.present.sum())
        return read.time_centroid

    def _mean_offset_s(
        self, offsets_s: NDArray[np.float64], channels: Sequence[slice], exposure_s: float
    ) -> NDArray[np.float64]:
        """Return how far TIME_CENTROID is from TIME: the mean by what was correlated, (baselines,).

        Of offsets, not of times: a float64 of MJD seconds has no more than a microsecond.
        """
        total = np.zeros(offsets_s.shape[1])
        if not offsets_s.any():
            return total
        weight = np.zeros_like(total)
        full = np.abs(self.model.channel_width_hz) * exposure_s
        inverse = np.divide(1, full, out=np.zeros_like(full), where=full > 0)
        for offset_s, taken in zip(offsets_s, channels, strict=True):
            good = np.where(self._flag[:, taken], 0, self._weights[:, taken])
            own = good.sum(axis=2, dtype=np.float64) @ inverse[taken]
            weight += own
            total += own * offset_s
        return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)

    def _clear(self, channels: slice) -> None:
        self._data[:, channels] = 0
        self._flag[:, channels] = True
        self._weights[:, channels] = 0

    def _recorded_uvw(self, index: int) -> NDArray[np.float64]:
        uvw = np.full((self.model.num_baselines, 3), np.nan)
        for number, (piece, slots) in enumerate(zip(self._pieces, self._slots, strict=True)):
            own = int(self._index[number, index])
            if own < 0:
                continue
            read = piece.reader.uvw(own)
            rows = np.arange(len(uvw)) if slots is None else slots
            holes = np.isnan(uvw[rows]).any(axis=1)
            uvw[rows[holes]] = read[holes]
            if not np.isnan(uvw).any():
                break
        return uvw

    def _durations(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return times, INTERVAL and EXPOSURE: those of the first piece that has the time."""
        first = (self._index >= 0).argmax(axis=0)
        names = ("times_mjd_s", "intervals_s", "exposures_s")
        found = []
        for name in names:
            columns = [getattr(piece.model, name) for piece in self._pieces]
            values = np.array(
                [columns[piece][self._index[piece, time]] for time, piece in enumerate(first)]
            )
            found.append(values)
            for piece, column, own in zip(self._pieces, columns, self._index, strict=True):
                there = own >= 0
                apart = np.abs(column[own[there]] - values[there])
                if name != "times_mjd_s" and (apart > _SAME_LENGTH * values[there]).any():
                    raise InputError(
                        f"{self._pieces[0].path} and {piece.path} differ in "
                        f"{name.removesuffix('s_s').upper()} of the same integrations"
                    )
        return found[0], found[1], found[2]

    def _check_memory(self, shape: tuple[int, int, int]) -> None:
        largest = max(piece.channels for piece in self._pieces)
        own = sum(piece.channels for piece in self._pieces)
        # What is joined, the pieces as they were read, and the fractions of one.
        values = shape[0] * shape[2] * (shape[1] + own + 2 * largest)
        limit = memory_limit_bytes() // 2
        if values * VALUE_BYTES > limit:
            raise InputError(
                f"one integration takes {format_bytes(values * VALUE_BYTES)} of memory to be "
                f"joined, more than half of the limit of {format_bytes(2 * limit)}: join fewer "
                f"pieces at a time, or on a larger machine"
            )


def _match_times(pieces: Sequence[Piece]) -> NDArray[np.int64]:
    """Return each piece's index of each integration of all, -1 where it has none.

    Raises
    ------
    InputError
        If a piece has no integration in common with those before it.
    """
    times: list[float] = []
    for piece in pieces:
        known = np.array(times)
        fresh = []
        for time, interval in zip(piece.model.times_mjd_s, piece.model.intervals_s, strict=True):
            near = np.searchsorted(known, [time - interval / 4, time + interval / 4])
            if near[0] == near[1]:
                fresh.append(float(time))
        if times and len(fresh) == piece.model.num_times:
            raise InputError(
                f"{pieces[0].path} (from {iso_from_mjd_s(times[0])}) and {piece.path} (from "
                f"{iso_from_mjd_s(fresh[0])}) have other channels and no integration in common: "
                f"pieces of one scan were expected"
            )
        times = sorted(times + fresh)
    found = [[piece.model.match(time) for time in times] for piece in pieces]
    return np.array([[-1 if own is None else own for own in row] for row in found], np.int64)


def _match_baselines(
    pieces: Sequence[Piece],
) -> tuple[list[NDArray[np.intp] | None], NDArray[np.int32], NDArray[np.int32]]:
    """Return where each piece's baselines are among those of all: None where they are the same."""
    models = [piece.model for piece in pieces]
    first = models[0]
    if all(
        np.array_equal(model.antenna1, first.antenna1)
        and np.array_equal(model.antenna2, first.antenna2)
        for model in models
    ):
        return [None] * len(pieces), first.antenna1, first.antenna2
    places: dict[tuple[int, int], int] = {}
    slots: list[NDArray[np.intp] | None] = []
    antennas: list[tuple[int, int]] = []
    for model in models:
        code = pack(model.antenna1, model.antenna2)
        repeat = repeat_numbers(np.zeros(len(code), np.int64), code)
        own = []
        for key, pair in zip(
            zip(code.tolist(), repeat.tolist(), strict=True),
            zip(model.antenna1.tolist(), model.antenna2.tolist(), strict=True),
            strict=True,
        ):
            if key not in places:
                places[key] = len(antennas)
                antennas.append(pair)
            own.append(places[key])
        slots.append(np.array(own, np.intp))
    joined = np.array(antennas, np.int32)
    return slots, joined[:, 0], joined[:, 1]
