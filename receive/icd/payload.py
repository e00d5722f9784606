"""What a consumer gets: one integration, as parts by stream, or as whole arrays on request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.icd.records import VIS_SLOT_COUNT
from receive.icd.times import join_ticks, mjd_s_from_count_fraction, unix_s_from_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class PayloadPart:
    """The channels of one stream in one integration.

    Attributes
    ----------
    first_channel : int
        Index of the part's first channel among the payload's channels, from 0.
    channel_count : int
        Number of channels in the part.
    records : structured ndarray, (channel_count, baselines)
        A view of the records (`receive.icd.records.RECORD_DTYPE`) in the receive buffer, valid
        until the consumer returns.  Undefined if not `present`.
    present : bool
        Whether the heap was received.
    """

    first_channel: int
    channel_count: int
    records: NDArray[Any]
    present: bool


class Payload:
    """One integration as received: all channels of this receiver, or of one heap.

    `parts` are views of the receiver's buffers and are valid until ``consume`` returns.  The arrays
    (`visibilities`, `flags`, `correlated_data_fraction`, `time_centroid_indices`) are copies,
    assembled at first access, which must happen while the parts are valid; they may be kept.

    Parameters
    ----------
    timestamp_count, timestamp_fraction : int
        Centre of the integration, s since the UNIX epoch and units of 2^-32 s.
    channel_id : int
        Number of the first channel among all channels of the sender.
    channel_count, baseline_count : int
        Numbers of channels and of baselines.
    parts : sequence of PayloadPart
        One per stream; channels that no part covers count as absent.
    scan_id, hardware_id, polarisation_id, phase_bin_id, phase_bin_count : int
        Values of the items with these names.
    model_index : int or None
        Index of the integration in the model; None if the model does not contain this time.
    """

    def __init__(
        self,
        *,
        timestamp_count: int,
        timestamp_fraction: int,
        channel_id: int,
        channel_count: int,
        baseline_count: int,
        parts: Sequence[PayloadPart],
        scan_id: int,
        hardware_id: int = 0,
        polarisation_id: int = 0,
        phase_bin_id: int = 0,
        phase_bin_count: int = 1,
        model_index: int | None = None,
    ) -> None:
        for part in parts:
            last = part.first_channel + part.channel_count
            shape = (part.channel_count, baseline_count)
            if part.first_channel < 0 or last > channel_count or part.records.shape != shape:
                raise ValueError(
                    f"part of channels {part.first_channel} to {last - 1} with records "
                    f"{part.records.shape} does not fit ({channel_count}, {baseline_count})"
                )
        self.timestamp_count = timestamp_count
        self.timestamp_fraction = timestamp_fraction
        self.channel_id = channel_id
        self.channel_count = channel_count
        self.baseline_count = baseline_count
        self.parts = tuple(parts)
        self.scan_id = scan_id
        self.hardware_id = hardware_id
        self.polarisation_id = polarisation_id
        self.phase_bin_id = phase_bin_id
        self.phase_bin_count = phase_bin_count
        self.model_index = model_index

    def __repr__(self) -> str:
        came = sum(part.present for part in self.parts)
        return (
            f"Payload(unix_time={self.unix_time!r}, channels {self.channel_id} to "
            f"{self.channel_id + self.channel_count - 1}, {self.baseline_count} baselines, "
            f"{came} of {len(self.parts)} parts present)"
        )

    @property
    def ticks(self) -> int:
        """Centre of the integration, units of 2^-32 s since the UNIX epoch."""
        return join_ticks(self.timestamp_count, self.timestamp_fraction)

    @property
    def mjd_time(self) -> float:
        """Centre of the integration, MJD seconds, UTC."""
        return mjd_s_from_count_fraction(self.timestamp_count, self.timestamp_fraction)

    @property
    def unix_time(self) -> float:
        """Centre of the integration, seconds since the UNIX epoch, UTC."""
        return unix_s_from_ticks(self.ticks)

    @property
    def complete(self) -> bool:
        """Whether all channels were received."""
        return sum(part.channel_count for part in self.parts if part.present) == self.channel_count

    @cached_property
    def visibilities(self) -> NDArray[np.complex64]:
        """Visibilities, complex64 (channels, baselines, 4); 0 where no data were received."""
        return self._assemble("VIS", np.complex64, (VIS_SLOT_COUNT,))

    @cached_property
    def correlated_data_fraction(self) -> NDArray[np.uint8]:
        """FD, uint8 (channels, baselines); 0 where no data were received."""
        return self._assemble("FD", np.uint8)

    @cached_property
    def time_centroid_indices(self) -> NDArray[np.int8]:
        """TCI, int8 (channels, baselines); 0 where no data were received."""
        return self._assemble("TCI", np.int8)

    @cached_property
    def flags(self) -> NDArray[np.bool_]:
        """True where no data were received, bool (channels, baselines)."""
        absent = np.ones((self.channel_count, self.baseline_count), np.bool_)
        for part in self.parts:
            if part.present:
                absent[part.first_channel : part.first_channel + part.channel_count] = False
        return absent

    def _assemble(
        self, field: str, dtype: DTypeLike, item_shape: tuple[int, ...] = ()
    ) -> NDArray[Any]:
        shape = (self.channel_count, self.baseline_count, *item_shape)
        # Zeroing memory that is then overwritten would take a third of the time.
        whole = np.empty(shape, dtype) if self.complete else np.zeros(shape, dtype)
        for part in self.parts:
            if part.present:
                channels = slice(part.first_channel, part.first_channel + part.channel_count)
                whole[channels] = part.records[field]
        return whole
