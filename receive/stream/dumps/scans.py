"""Makes payloads of dumps: separates scans, and fills in integrations without any heap."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.ending import scan_ended_by
from receive.icd.payload import Payload, PayloadPart
from receive.icd.records import RECORD_DTYPE, Telescope
from receive.icd.times import split_ticks, ticks_from_mjd_s
from receive.stream.dumps.ends import stream_ends
from receive.stream.dumps.ledger import ScanLedger
from receive.stream.dumps.table_scan import largest
from receive.stream.table.shared_types import EPOCHS, REASON_TEXT, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from receive.command.ending import EndedBy
    from receive.model import TelescopeModel
    from receive.stream.dumps.dump import Dump
    from receive.stream.network.kernel_drops import KernelDrops
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

_ITEMS = ("hardware_id", "polarisation_id", "phase_bin_id", "phase_bin_count")
MAX_UNKNOWN_GAP = 1000
"""Most integrations filled in between two timestamps outside the model."""


@dataclass(frozen=True)
class Totals:
    """Counts of all scans together.

    Attributes
    ----------
    dumps, empty_dumps
        Integrations, and those of them without any heap.
    received
        int64 (groups,): heaps that arrived complete and in time.
    refused
        int64 (groups, reasons): heaps that were refused, those outside scans included.
    payload_bytes
        Bytes of records received.
    """

    dumps: int
    empty_dumps: int
    received: NDArray[np.int64]
    refused: NDArray[np.int64]
    payload_bytes: int


class Scans:
    """Makes payloads of dumps, and separates scans.

    Parameters
    ----------
    state
        The shared arrays, for views of the records.
    model
        The observation, for the integrations that should have come.
    telescope
        Which record the heaps carry.
    drops
        What the kernel dropped.
    """

    def __init__(
        self,
        state: SharedState,
        model: TelescopeModel,
        telescope: Telescope,
        drops: KernelDrops,
    ) -> None:
        self._state = state
        self._model = model
        self._dtype = RECORD_DTYPE[telescope]
        # Shared by all integrations without any heap: many may wait for a slow consumer.
        self._nothing = self._absent_parts()
        self._interval_ticks = round(float(np.median(model.intervals_s)) * 2**32)
        self._epoch = -1
        self._last_ticks = 0
        self._last_index: int | None = None
        self._kernel_before: NDArray[np.int64] | None = None
        self._whole: dict[int, tuple[PayloadPart, ...]] = {}
        self._item_columns = [state.streams[name] for name in _ITEMS]
        self.current: ScanLedger | None = None
        self.finished: list[ScanLedger] = []
        self.kernel_drops = drops
        # Sums over the finished scans, of which there may be many.
        self._ended_dumps = self._ended_empty_dumps = 0
        self._ended_received = np.zeros(state.layout.group_count, np.int64)
        self._ended_refused = np.zeros_like(state.counters)

    @property
    def epoch(self) -> int:
        """Epoch of the current scan."""
        return self._epoch

    def begins_new(self, dump: Dump) -> bool:
        """Whether a dump belongs to another scan than the current one."""
        if self.current is None:
            return True
        other_scan = dump.scan_id is not None and dump.scan_id != self.current.scan_id
        return dump.epoch != self._epoch or (other_scan and self.current.scan_id != 0)

    def begin(self, dump: Dump) -> ScanLedger:
        """Begin a scan with its first dump; return its ledger, which is kept up to date."""
        if dump.scan_id is None:
            logger.warning(
                "The scan id is not known, since the start of the streams did not come: it is "
                "taken as 0"
            )
        self._epoch = dump.epoch
        self._last_ticks = 0
        self._last_index = None
        before = (
            self.finished[-1].counters_before + self.finished[-1].refused
            if (self.finished)
            else np.zeros_like(self._state.counters)
        )
        self.current = ScanLedger(
            index=len(self.finished) + 1,
            scan_id=dump.scan_id or 0,
            group_data_bytes=self._state.group_data_bytes,
            counters_before=before,
            kernel_before=self._kernel_before,
        )
        self.update()
        return self.current

    def end(self, cause: EndedBy | None, *, streams_go_on: bool = False) -> ScanLedger:
        """End the current scan and return its ledger.

        Parameters
        ----------
        cause
            Why it is not waited for any longer; None if its streams are over.
        streams_go_on
            Whether its streams have gone on to another scan without an end between.
        """
        if self.current is None:
            raise ValueError("no scan has begun")
        self.update()
        ends = (0, 0, 0) if streams_go_on else stream_ends(self._state, self._epoch)
        self.current.finish(scan_ended_by(cause, *ends), *ends[:2], self._model.num_times)
        ended, self.current = self.current, None
        self.finished.append(ended)
        self._ended_dumps += ended.dumps
        self._ended_empty_dumps += ended.empty_dumps
        self._ended_received += ended.received
        self._ended_refused += ended.refused
        # What is dropped between two scans belongs to the next one, as with refused heaps.
        self._kernel_before = self.kernel_drops.counts
        return ended

    def update(self) -> None:
        """Bring the counts of the current scan up to date."""
        dropped = self.kernel_drops.read()
        if self.current is not None:
            self.current.update_refused(self._state.counters)
            self.current.update_kernel_dropped(dropped)

    def so_far(self) -> list[ScanLedger]:
        """Return the ledgers of all scans; that of the current one is a copy as it is now."""
        if self.current is None:
            return list(self.finished)
        current = copy.copy(self.current)
        # The only one of its arrays that is changed and not replaced.
        current.received = current.received.copy()
        return [*self.finished, current]

    @property
    def dumps(self) -> int:
        """Integrations in all scans, including those without any heap."""
        return self._ended_dumps + (self.current.dumps if self.current else 0)

    @property
    def payload_bytes(self) -> int:
        """Bytes of records received in all scans."""
        ended = int((self._ended_received * self._state.group_data_bytes).sum())
        return ended + (self.current.payload_bytes if self.current else 0)

    def totals(self) -> Totals:
        """Return the current counts of all scans together."""
        current = self.current
        return Totals(
            dumps=self.dumps,
            empty_dumps=self._ended_empty_dumps + (current.empty_dumps if current else 0),
            received=self._ended_received + (current.received if current else 0),
            refused=self._state.counters,
            payload_bytes=self.payload_bytes,
        )

    def refused_outside(self) -> dict[str, int]:
        """Return the heaps that were refused in no scan, duplicates left out, by reason."""
        if self.current is None:
            totals = self._state.counters - self._ended_refused
        else:
            # What has been refused since its counts were brought up to date is its own too.
            totals = self.current.counters_before - self._ended_refused
        return {
            REASON_TEXT[reason]: int(totals[:, reason].sum())
            for reason in Reason
            if reason is not Reason.DUPLICATE and totals[:, reason].any()
        }

    def payloads(self, dump: Dump) -> Iterator[tuple[Payload, bool]]:
        """Return the payloads that a dump makes, in time order.

        Yields
        ------
        Payload
            First those of the integrations before it without any heap, then its own.
        bool
            Whether it is the dump's own, whose parts are views of its buffer.
        """
        if self.current is None:
            raise ValueError("no scan has begun")
        if dump.scan_id:
            self.current.scan_id = self.current.scan_id or dump.scan_id
        index = dump.model_index
        for ticks, gap_index in self._gap(dump.ticks, index):
            self.current.add_empty()
            yield self._payload(ticks, gap_index, None), False
        self.current.add(dump)
        if index is not None:
            self.current.add_in_model(index, self._model.num_times)
        self._last_ticks, self._last_index = dump.ticks, index
        yield self._payload(dump.ticks, index, dump), True

    def dropped_payloads(self) -> Iterator[Payload]:
        """Return payloads of the integrations that were dropped at the end of the scan.

        All that is known of them is that they came and found no buffer.
        """
        if self.current is None:
            return
        ticks = int(self._state.dropped_until[self._epoch % EPOCHS])
        if ticks <= self._last_ticks:
            return
        index = self._state.model_index(ticks)
        for gap_ticks, gap_index in (*self._gap(ticks, index), (ticks, index)):
            self.current.add_empty()
            yield self._payload(gap_ticks, gap_index, None)
        self._last_ticks, self._last_index = ticks, index

    def empty_payload(self, dump: Dump) -> Payload:
        """Return the payload of a dump without its data."""
        return self._payload(dump.ticks, dump.model_index, None)

    def _gap(self, ticks: int, index: int | None) -> Iterator[tuple[int, int | None]]:
        """Yield times and model indices of the integrations between the last dump and this."""
        if not self._last_ticks:
            return
        if index is not None and self._last_index is not None:
            for i in range(self._last_index + 1, index):
                yield ticks_from_mjd_s(float(self._model.times_mjd_s[i])), i
            return
        steps = round((ticks - self._last_ticks) / self._interval_ticks) - 1
        if steps > MAX_UNKNOWN_GAP:
            logger.warning(
                "%d integrations are missing between two times that the model does not hold; "
                "they are not filled in",
                steps,
            )
            return
        for i in range(1, steps + 1):
            missing = self._last_ticks + i * self._interval_ticks
            yield missing, self._state.model_index(missing)

    def _payload(self, ticks: int, index: int | None, dump: Dump | None) -> Payload:
        layout = self._state.layout
        if self.current is None:
            raise ValueError("no scan has begun")
        count, fraction = split_ticks(ticks)
        parts = self._nothing if dump is None else self._parts_of(dump)
        return Payload(
            timestamp_count=count,
            timestamp_fraction=fraction,
            channel_id=layout.first_channel,
            channel_count=layout.channel_count,
            baseline_count=layout.baseline_count,
            parts=parts,
            scan_id=self.current.scan_id,
            model_index=index,
            **self._items(),
        )

    def _parts_of(self, dump: Dump) -> tuple[PayloadPart, ...]:
        whole = self._whole.get(dump.block)
        if whole is None:
            whole = self._whole[dump.block] = tuple(
                PayloadPart(
                    part.first_channel,
                    part.channel_count,
                    self._state.records(dump.block, group, self._dtype),
                    present=True,
                )
                for group, part in enumerate(self._nothing)
            )
        if dump.complete:
            return whole
        return tuple(
            part if present else replace(part, present=False)
            for part, present in zip(whole, dump.present, strict=True)
        )

    def _absent_parts(self) -> tuple[PayloadPart, ...]:
        layout = self._state.layout
        parts = []
        for group in range(layout.group_count):
            shape = (layout.group_channels(group), layout.baseline_count)
            records = np.broadcast_to(np.zeros((), self._dtype), shape)
            first_channel = layout.group_first_channel(group)
            parts.append(PayloadPart(first_channel, shape[0], records, present=False))
        return tuple(parts)

    def _items(self) -> dict[str, Any]:
        """Return the small items that the streams brought."""
        found = zip(_ITEMS, largest(*self._item_columns), strict=True)
        return {name: value for name, value in found if value >= 0}
