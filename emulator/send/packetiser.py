"""Heaps of a run: start heaps, the heaps of a dump, end heaps.

spead2 reads the values of a heap's items when it makes packets of them.  So the heaps of a dump are
made once; to send the next one its time and its records are changed in place, and nothing is done
in Python for each heap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import spead2
import spead2.send

from receive.icd.items import Item, ItemId
from receive.icd.times import count_fraction_from_mjd_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emulator.send.plan import SendPlan

FLAVOUR = spead2.Flavour(4, 64, 48, 0)
"""SPEAD-64-48, version 4."""


class DumpBuffer:
    """The records of one dump, its time, and the heaps that carry them.

    Attributes
    ----------
    records : structured ndarray, (channels, baselines)
        Of all streams; to be filled in while no heap is being sent.
    heaps : list of spead2.send.Heap
        One for each stream.
    """

    def __init__(self, packetiser: Packetiser) -> None:
        plan = packetiser.plan
        shape = (plan.num_chan, plan.layout.baseline_count)
        # Zeros, because slots of VIS that no polarisation takes are never written.
        self.records: NDArray[Any] = np.zeros(shape, plan.item_set.record_dtype)
        self._time = {
            ItemId.TIMESTAMP_COUNT: np.zeros((), "<u4"),
            ItemId.TIMESTAMP_FRACTION: np.zeros((), "<u4"),
        }
        self.heaps = [
            packetiser.data_heap(stream, self._time, self.records[plan.stream_channels(stream)])
            for stream in range(plan.streams)
        ]

    def set_time(self, time_mjd_s: float) -> None:
        """Set the time that the heaps carry: the centre of the integration, MJD seconds, UTC."""
        count, fraction = count_fraction_from_mjd_s(time_mjd_s)
        self._time[ItemId.TIMESTAMP_COUNT][...] = count
        self._time[ItemId.TIMESTAMP_FRACTION][...] = fraction


class Packetiser:
    """Makes the heaps of a run.

    Parameters
    ----------
    plan : SendPlan
        What is sent.
    scan_id, hardware_id : int
        Values of the items.
    repeat_pointers : bool
        Whether every packet of a heap carries its items' pointers.
    """

    def __init__(
        self, plan: SendPlan, *, scan_id: int, hardware_id: int, repeat_pointers: bool
    ) -> None:
        self.plan = plan
        self._repeat_pointers = repeat_pointers
        self._common = {
            ItemId.POLARISATION_ID: 0,
            ItemId.BASELINE_COUNT: plan.layout.baseline_count,
            ItemId.PHASE_BIN_ID: 0,
            ItemId.PHASE_BIN_COUNT: 1,
            ItemId.SCAN_ID: scan_id,
            ItemId.HARDWARE_ID: hardware_id,
        }

    def start_heaps(self) -> list[spead2.send.Heap]:
        """Return the start-of-stream heap of each stream: descriptors of all items, and values."""
        count, fraction = count_fraction_from_mjd_s(self.plan.schedule.time_mjd_s(0))
        time = {ItemId.TIMESTAMP_COUNT: count, ItemId.TIMESTAMP_FRACTION: fraction}
        heaps = []
        for stream in range(self.plan.streams):
            heap = self._heap()
            heap.add_start()
            values = self._values(stream, time)
            for item in self.plan.item_set.items:
                heap.add_descriptor(self._spead_item(item, stream))
            for item in self.plan.item_set.start:
                heap.add_item(self._spead_item(item, stream, values[item.id]))
            heaps.append(heap)
        return heaps

    def data_heap(
        self, stream: int, time: Mapping[ItemId, NDArray[Any]], records: NDArray[Any]
    ) -> spead2.send.Heap:
        """Return a heap that refers to `records` (channels, baselines) and to the arrays of `time`.

        Both are read each time that the heap is sent.
        """
        heap = self._heap()
        values = self._values(stream, time) | {ItemId.CORRELATOR_OUTPUT_DATA: records}
        for item in self.plan.item_set.data:
            heap.add_item(self._spead_item(item, stream, values[item.id]))
        return heap

    def end_heaps(self) -> list[spead2.send.Heap]:
        """Return the end-of-stream heap of each stream."""
        heaps = [self._heap() for _ in range(self.plan.streams)]
        for heap in heaps:
            heap.add_end()
        return heaps

    def _heap(self) -> spead2.send.Heap:
        heap = spead2.send.Heap(FLAVOUR)
        heap.repeat_pointers = self._repeat_pointers
        return heap

    def _values(self, stream: int, time: Mapping[ItemId, Any]) -> dict[ItemId, Any]:
        first = self.plan.layout.first_channel + self.plan.layout.group_first_channel(stream)
        own = {
            ItemId.CHANNEL_ID: first,
            ItemId.CHANNEL_COUNT: self.plan.layout.group_channels(stream),
        }
        return self._common | own | dict(time)

    def _spead_item(self, item: Item, stream: int, value: Any = None) -> spead2.Item:
        layout = self.plan.layout
        shape = (layout.group_channels(stream), layout.baseline_count) if item.axes else ()
        if value is not None:
            value = np.asarray(value, item.dtype)
        return spead2.Item(item.id, item.name, item.doc, shape, item.dtype, value=value)
