"""All byte arithmetic of heaps, slots and dumps.

A *dump* is one integration of all channels that this receiver takes.  It consists of one *slot*
for each channel group (the channels that one stream carries in one heap)::

    dump   | slot 0                                | slot 1 ...
    slot   | head room | records of the group      | tail room | padding to 64 bytes

spead2 copies the whole payload of a heap in one piece: descriptors and ``scan_id`` before the data
land in the head room, items after it in the tail room, and the records always begin at the same
byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from receive.command.errors import ConfigError

HEAD_ROOM_BYTES = 4096
"""Room for the items before the data: 11 descriptors of about 130 bytes, addressed items."""
TAIL_ROOM_BYTES = 4096
"""Room for the items after the data, for senders that put the data first."""
CONTROL_BYTES = 16384
"""Room for the payload of one start-of-stream heap (descriptors and ``scan_id``)."""
SLOT_ALIGNMENT_BYTES = 64
MIN_POOL_DUMPS = 4
"""Two dumps in the window, one with the consumer, one to receive into."""
MAX_POOL_DUMPS = 4096
"""Upper limit: a receiver 4096 integrations behind its sender gains nothing from more."""


@dataclass(frozen=True)
class StreamLayout:
    """How the channels of one receiver are divided into streams, and the bytes of a heap.

    Parameters
    ----------
    channel_count
        Channels that this receiver takes.
    channels_per_stream
        Channels of each stream; the last one has the remainder.
    baseline_count
        Baselines of a heap.
    record_bytes
        Bytes of one (channel, baseline) record.
    first_channel
        Number of the receiver's first channel in the sender's whole set.
    """

    channel_count: int
    channels_per_stream: int
    baseline_count: int
    record_bytes: int
    first_channel: int = 0

    def __post_init__(self) -> None:
        if self.channels_per_stream > self.channel_count:
            raise ConfigError(
                f"transmission.channels_per_stream = {self.channels_per_stream} is more than the "
                f"{self.channel_count} channels there are to receive: give at most "
                f"{self.channel_count}, or 0 for all in one stream"
            )
        if min(self.channel_count, self.channels_per_stream, self.baseline_count) < 1:
            raise ConfigError(
                f"nothing to receive: {self.channel_count} channels in streams of "
                f"{self.channels_per_stream}, {self.baseline_count} baselines"
            )

    @cached_property
    def group_count(self) -> int:
        """Number of channel groups, which is the number of streams."""
        return -(-self.channel_count // self.channels_per_stream)

    def group_first_channel(self, group: int) -> int:
        """Return the first channel of a group, counted from the receiver's first."""
        return group * self.channels_per_stream

    def group_channels(self, group: int) -> int:
        """Return how many channels a group has."""
        return min(self.channels_per_stream, self.channel_count - group * self.channels_per_stream)

    def data_bytes(self, group: int) -> int:
        """Return the bytes of one heap's records."""
        return self.group_channels(group) * self.baseline_count * self.record_bytes

    @cached_property
    def slot_bytes(self) -> int:
        """Bytes from one slot to the next, the same for all groups."""
        needed = HEAD_ROOM_BYTES + self.data_bytes(0) + TAIL_ROOM_BYTES
        return -(-needed // SLOT_ALIGNMENT_BYTES) * SLOT_ALIGNMENT_BYTES

    @cached_property
    def dump_bytes(self) -> int:
        """Bytes of the buffer that holds one integration."""
        return self.group_count * self.slot_bytes

    @cached_property
    def payload_bytes(self) -> int:
        """Bytes of records in one integration."""
        return self.channel_count * self.baseline_count * self.record_bytes

    def records_offset(self, block: int, group: int) -> int:
        """Return the byte of the pool at which a group's records begin in a block."""
        return block * self.dump_bytes + group * self.slot_bytes + HEAD_ROOM_BYTES


@dataclass(frozen=True)
class PoolSize:
    """How many dumps fit in the memory allowed, and how many of them may be incomplete.

    Attributes
    ----------
    dumps
        Buffers in the pool.
    window
        Integrations that may be incomplete at one time.
    """

    dumps: int
    window: int

    @classmethod
    def fit(cls, layout: StreamLayout, buffer_memory_bytes: int, ring_heaps: int) -> PoolSize:
        """Divide the memory allowed into dumps.

        Raises
        ------
        ConfigError
            If fewer than four dumps fit.
        """
        dumps = min(buffer_memory_bytes // layout.dump_bytes, MAX_POOL_DUMPS)
        if dumps < MIN_POOL_DUMPS:
            raise ConfigError(
                f"reception.buffer_memory = {buffer_memory_bytes} holds {dumps} integrations of "
                f"{layout.dump_bytes} bytes, and it takes at least {MIN_POOL_DUMPS}: "
                f"give {MIN_POOL_DUMPS * layout.dump_bytes} or more, or fewer channels"
            )
        return cls(dumps=dumps, window=min(ring_heaps, dumps - 2))
