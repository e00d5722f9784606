"""The interface to the correlator: items and records of its heaps, times, and payloads.

`items` has the item table, `records` the record layout and its encodings, `times` the exact
conversion between times on the wire and in a Measurement Set, `payload` what a consumer gets.
"""

from __future__ import annotations

from receive.icd.items import ITEM_SETS, ITEMS, Item, ItemId, ItemSet
from receive.icd.payload import Payload, PayloadPart
from receive.icd.records import RECORD_DTYPE, Telescope

__all__ = [
    "ITEMS",
    "ITEM_SETS",
    "RECORD_DTYPE",
    "Item",
    "ItemId",
    "ItemSet",
    "Payload",
    "PayloadPart",
    "Telescope",
]
