"""What a packet says of itself: whether a stream can begin with it, or goes on with it.

The same questions as the placement function asks of a heap (`placement`, step 2), for the few
packets of senders that are not known yet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from receive.icd.items import ItemId
from receive.stream.table.layout import HEAD_ROOM_BYTES

if TYPE_CHECKING:
    from receive.stream.table.state import SharedState

_HEADER = struct.Struct(">BBBBHH")
_SPEAD_64_48 = (0x53, 4, 2, 6)
_HEAP_COUNT, _HEAP_LENGTH, _CONTROL = 1, 2, 6
_START, _STOP = 0, 2
_IMMEDIATE = 1 << 63
_VALUE = (1 << 48) - 1
MOST_POINTERS = 256
"""A heap of the interface has 20; nobody shall make the reading of one packet long."""


class Kind(Enum):
    """What a packet is to a stream."""

    NOISE = "no SPEAD-64-48 packet"
    START = "start of a stream"
    STOP = "end of a stream"
    DATA = "of a heap that the stream expects"
    OTHER = "of another heap, or no packet that tells of which"


@dataclass(frozen=True)
class Packet:
    """What a packet says.

    Attributes
    ----------
    kind
        What it is.
    heap_count
        Number of its heap; 0 where it has none.
    why
        Why it is not of a heap that the stream expects, where it carries data.
    channel_id, baselines
        What a start heap says that its data heaps need not repeat; None where it does not.
    """

    kind: Kind
    heap_count: int = 0
    why: str = ""
    channel_id: int | None = None
    baselines: int | None = None


class PacketReader:
    """Reads packets of one stream.

    Parameters
    ----------
    state
        What the receiver expects.
    stream
        Number of the stream.
    """

    def __init__(self, state: SharedState, stream: int) -> None:
        layout = state.layout
        self._stream = stream
        self._layout = layout
        self._slot_bytes = layout.slot_bytes
        self._first_channel = state.get("first_channel_id")

    def read(self, packet: bytes | memoryview, begun: Packet | None = None) -> Packet:
        """Return what a packet says.

        Parameters
        ----------
        packet
            Its bytes.
        begun
            The start heap of the same sender, if there was one.
        """
        if len(packet) < _HEADER.size:
            return Packet(Kind.NOISE)
        *magic, _, count = _HEADER.unpack_from(packet)
        end = _HEADER.size + 8 * count
        if tuple(magic) != _SPEAD_64_48 or len(packet) < end or count > MOST_POINTERS:
            return Packet(Kind.NOISE)
        values: dict[int, int] = {}
        places: dict[int, int] = {}
        for (pointer,) in struct.iter_unpack(">Q", packet[_HEADER.size : end]):
            item, value = pointer >> 48 & 0x7FFF, pointer & _VALUE
            (values if pointer & _IMMEDIATE else places)[item] = value
        heap = values.get(_HEAP_COUNT, 0)
        channel_id = _little(values.get(int(ItemId.CHANNEL_ID)))
        baselines = _little(values.get(int(ItemId.BASELINE_COUNT)))
        if values.get(_CONTROL) == _START:
            return Packet(Kind.START, heap, "", channel_id, baselines)
        if values.get(_CONTROL) == _STOP:
            return Packet(Kind.STOP, heap)
        at = places.get(int(ItemId.CORRELATOR_OUTPUT_DATA))
        if at is None or int(ItemId.TIMESTAMP_COUNT) not in values:
            return Packet(Kind.OTHER, heap)
        if begun is not None:
            channel_id = begun.channel_id if channel_id is None else channel_id
            baselines = begun.baselines if baselines is None else baselines
        length = values.get(_HEAP_LENGTH, 0)
        ends = min((place for place in places.values() if place > at), default=length)
        why = self._why_not(channel_id, baselines, at, min(ends, length), length)
        return Packet(Kind.OTHER if why else Kind.DATA, heap, why)

    def _why_not(
        self, channel_id: int | None, baselines: int | None, at: int, end: int, length: int
    ) -> str:
        layout, group = self._layout, self._stream
        if channel_id is not None:
            group, beside = divmod(channel_id - self._first_channel, layout.channels_per_stream)
            if beside or not 0 <= group < layout.group_count:
                return f"channel id {channel_id}, which no stream begins at"
        if baselines is not None and baselines != layout.baseline_count:
            return f"{baselines} baselines where there are {layout.baseline_count}"
        expected = layout.data_bytes(group)
        if end - at != expected:
            return f"{end - at} bytes of data where {expected} were expected"
        if at > HEAD_ROOM_BYTES or HEAD_ROOM_BYTES - at + length > self._slot_bytes:
            return f"{length} bytes in a heap of {expected} bytes of data"
        return ""


def _little(value: int | None) -> int | None:
    """Return the little-endian u4 that lies in the low bytes of an immediate value."""
    if value is None:
        return None
    return int.from_bytes((value & 0xFFFFFFFF).to_bytes(4, "big"), "little")
