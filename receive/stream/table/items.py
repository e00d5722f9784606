"""Items in the first packet of a heap: immediate values, and addresses of the others."""

from __future__ import annotations

import numpy as np
import spead2
from numba import njit

from receive.icd.items import ItemId

_SCAN_ID = int(ItemId.SCAN_ID)
_DATA_ID = int(ItemId.CORRELATOR_OUTPUT_DATA)
_SCAN_ID_BYTES = 8

# Order in which spead2 is asked for immediate items; indices into them below.
CONTROL, PAYLOAD_OFFSET, HEAP_LENGTH, COUNT, FRACTION, CHANNEL, BASELINES = range(7)
HARDWARE, POLARISATION, PHASE_BIN, PHASE_BINS, HEAP_COUNT = range(7, 12)
ITEM_IDS = [
    spead2.STREAM_CTRL_ID,
    spead2.PAYLOAD_OFFSET_ID,
    spead2.HEAP_LENGTH_ID,
    int(ItemId.TIMESTAMP_COUNT),
    int(ItemId.TIMESTAMP_FRACTION),
    int(ItemId.CHANNEL_ID),
    int(ItemId.BASELINE_COUNT),
    int(ItemId.HARDWARE_ID),
    int(ItemId.POLARISATION_ID),
    int(ItemId.PHASE_BIN_ID),
    int(ItemId.PHASE_BIN_COUNT),
    spead2.HEAP_CNT_ID,
]


@njit(nogil=True)
def swap32(value):
    """Return the little-endian u4 that lies in the low bytes of an immediate value."""
    return (
        ((value & 0xFF) << 24) | ((value & 0xFF00) << 8) | ((value >> 8) & 0xFF00) | (value >> 24)
    ) & 0xFFFFFFFF


@njit(nogil=True)
def swap16(value):
    """Return the little-endian u2 that lies in the low bytes of an immediate value."""
    return ((value & 0xFF) << 8) | ((value >> 8) & 0xFF)


@njit(nogil=True)
def addressed_item(packet, at):
    """Return (id, address) of the item pointer at a byte of the packet, (-1, -1) if immediate."""
    if packet[at] & 0x80:
        return np.int64(-1), np.int64(-1)
    item = (np.int64(packet[at]) << 8) | np.int64(packet[at + 1])
    address = np.int64(0)
    for j in range(2, 8):
        address = (address << 8) | np.int64(packet[at + j])
    return item, address


@njit(nogil=True)
def addresses(packet):
    """Return (data address, end of the data or -1, scan_id address), -1 for what is absent.

    spead2 gives the placement function immediate values only, so the item pointers of the packet
    are read here: 16 bits of id (the top bit says immediate), 48 bits of address.
    """
    data_address = np.int64(-1)
    scan_address = np.int64(-1)
    pointer_count = (np.int64(packet[6]) << 8) | np.int64(packet[7])
    for i in range(pointer_count):
        item, address = addressed_item(packet, 8 + 8 * i)
        if item == _DATA_ID:
            data_address = address
        elif item == _SCAN_ID:
            scan_address = address
    data_end = np.int64(-1)
    for i in range(pointer_count):
        _, address = addressed_item(packet, 8 + 8 * i)
        if address > data_address and (data_end < 0 or address < data_end):
            data_end = address
    return data_address, data_end, scan_address


@njit(nogil=True)
def scan_at(base, address, length):
    """Return the byte of the pool for a heap's scan id; -1 if it has none inside the heap."""
    return base + address if 0 <= address <= length - _SCAN_ID_BYTES else np.int64(-1)
