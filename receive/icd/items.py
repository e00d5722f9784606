"""SPEAD items of the correlator interface: identifiers, types, and the heaps that carry them.

Item numbers are defined only here.  There are two item sets: SKA-Low's, whose start-of-stream heap
carries all items except the data, and SKA-Mid's, whose data heaps each carry all items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.icd.records import RECORD_DTYPE, Telescope

if TYPE_CHECKING:
    from collections.abc import Mapping

IMMEDIATE_BYTES = 6
"""A value that fits into the 48 bits of a SPEAD-64-48 item pointer is sent inside it."""


class ItemId(IntEnum):
    """Numbers of the items on the wire."""

    TIMESTAMP_COUNT = 0x6000
    TIMESTAMP_FRACTION = 0x6001
    CHANNEL_ID = 0x6002
    CHANNEL_COUNT = 0x6003
    POLARISATION_ID = 0x6004
    BASELINE_COUNT = 0x6005
    PHASE_BIN_ID = 0x6006
    PHASE_BIN_COUNT = 0x6007
    SCAN_ID = 0x6008
    HARDWARE_ID = 0x6009
    CORRELATOR_OUTPUT_DATA = 0x600A


@dataclass(frozen=True)
class Item:
    """One item of a heap.

    Attributes
    ----------
    id : ItemId
        Number on the wire.
    name : str
        Name in the item's descriptor.
    dtype : numpy.dtype
        Type of one value, always little-endian; the record for the data.
    doc : str
        Description in the item's descriptor and in the reference.
    axes : tuple of str
        Names of the axes, slowest first; empty for a single value.
    """

    id: ItemId
    name: str
    dtype: np.dtype[Any]
    doc: str
    axes: tuple[str, ...] = ()

    @property
    def immediate(self) -> bool:
        """Whether the value is sent in the item pointer instead of the heap's payload."""
        return not self.axes and self.dtype.itemsize <= IMMEDIATE_BYTES

    @property
    def type_name(self) -> str:
        """Type as shown in the reference: ``<u4``, or the fields of a record."""
        if self.dtype.names is None:
            return self.dtype.str
        fields = (f"{name} {_field_type(self.dtype[name])}" for name in self.dtype.names)
        return f"record of {self.dtype.itemsize} bytes: {', '.join(fields)}"


@dataclass(frozen=True)
class ItemSet:
    """The items of one telescope's heaps.

    Attributes
    ----------
    telescope : {"low", "mid"}
        Value of ``reception.telescope``.
    items : tuple of Item
        All items, in the order of their numbers; the data last.
    start : tuple of Item
        Items whose values the start-of-stream heap carries.
    data : tuple of Item
        Items of each data heap, the data last.
    """

    telescope: Telescope
    items: tuple[Item, ...]
    start: tuple[Item, ...]
    data: tuple[Item, ...]

    @property
    def record_dtype(self) -> np.dtype[Any]:
        """Type of one record of the data item."""
        return self.item(ItemId.CORRELATOR_OUTPUT_DATA).dtype

    def item(self, item_id: int) -> Item:
        """Return the item with this number; `KeyError` if the set has none."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise KeyError(item_id)


def _field_type(dtype: np.dtype[Any]) -> str:
    if dtype.subdtype is None:
        return dtype.str.lstrip("|")
    base, shape = dtype.subdtype
    return f"{'x'.join(map(str, shape))} x {base.str.lstrip('|')}"


def _scalar(item_id: ItemId, name: str, dtype: str, doc: str) -> Item:
    return Item(item_id, name, np.dtype(dtype), doc)


ITEMS: tuple[Item, ...] = (
    _scalar(
        ItemId.TIMESTAMP_COUNT,
        "visibility_timestamp_count",
        "<u4",
        "Centre of the integration: whole seconds since the UNIX epoch, UTC",
    ),
    _scalar(
        ItemId.TIMESTAMP_FRACTION,
        "visibility_timestamp_fraction",
        "<u4",
        "Centre of the integration: what is left of the second, in units of 2^-32 s",
    ),
    _scalar(
        ItemId.CHANNEL_ID,
        "visibility_channel_id",
        "<u4",
        "Number of the heap's first channel in the sender's whole set",
    ),
    _scalar(
        ItemId.CHANNEL_COUNT,
        "visibility_channel_count",
        "<u4",
        "Number of channels in the heap",
    ),
    _scalar(
        ItemId.POLARISATION_ID,
        "visibility_polarisation_id",
        "<u4",
        "Polarisation set of the heap; 0, as a record holds all four products",
    ),
    _scalar(
        ItemId.BASELINE_COUNT,
        "visibility_baseline_count",
        "<u4",
        "Number of baselines in the heap, autocorrelations included where they are sent",
    ),
    _scalar(
        ItemId.PHASE_BIN_ID, "visibility_phase_bin_id", "<u2", "Number of the pulsar phase bin"
    ),
    _scalar(
        ItemId.PHASE_BIN_COUNT,
        "visibility_phase_bin_count",
        "<u2",
        "Number of pulsar phase bins; 1 without binning",
    ),
    _scalar(ItemId.SCAN_ID, "scan_id", "<u8", "Number of the scan"),
    _scalar(
        ItemId.HARDWARE_ID,
        "visibility_hardware_id",
        "<u4",
        "Number of the correlator's unit that made the heap",
    ),
    Item(
        ItemId.CORRELATOR_OUTPUT_DATA,
        "correlator_output_data",
        RECORD_DTYPE["low"],
        "Time centroid, fraction of data correlated, and visibilities of each channel and baseline",
        axes=("channels", "baselines"),
    ),
)
"""The items, with Low's record for the data; `ITEM_SETS` has them for each telescope."""

_IN_DATA_HEAPS_OF_LOW = (
    ItemId.TIMESTAMP_COUNT,
    ItemId.TIMESTAMP_FRACTION,
    ItemId.CORRELATOR_OUTPUT_DATA,
)


def _low() -> ItemSet:
    return ItemSet(
        telescope="low",
        items=ITEMS,
        start=tuple(item for item in ITEMS if item.id != ItemId.CORRELATOR_OUTPUT_DATA),
        data=tuple(item for item in ITEMS if item.id in _IN_DATA_HEAPS_OF_LOW),
    )


def _mid() -> ItemSet:
    items = (*ITEMS[:-1], replace(ITEMS[-1], dtype=RECORD_DTYPE["mid"]))
    return ItemSet(telescope="mid", items=items, start=(), data=items)


ITEM_SETS: Mapping[Telescope, ItemSet] = MappingProxyType({"low": _low(), "mid": _mid()})
"""Item set of each telescope."""


def markdown_table(telescope: Telescope) -> str:
    """Return the item table of a telescope as Markdown, for the reference."""
    item_set = ITEM_SETS[telescope]
    lines = ["| id | name | type | heaps | |", "|---|---|---|---|---|"]
    for item in item_set.items:
        heaps = [
            name for name, part in (("start", item_set.start), ("data", item_set.data))
            if item in part
        ]  # fmt: skip
        shape = f", shape ({', '.join(item.axes)})" if item.axes else ""
        lines.append(
            f"| 0x{item.id:04X} | {item.name} | {item.type_name}{shape} | {', '.join(heaps)} "
            f"| {item.doc} |"
        )
    return "\n".join(lines) + "\n"
