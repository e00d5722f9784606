"""What a telescope sends in a second, and what of it is written: counted, not measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from receive.command.errors import ConfigError
from receive.icd.items import ITEM_SETS
from receive.icd.records import RECORD_DTYPE, Telescope
from receive.measurement_set.tiled.tiles import dump_file_bytes, plan_columns
from receive.stream.table.layout import StreamLayout

Transport = Literal["udp", "tcp"]

POINTER_BYTES = 8
"""An item pointer of SPEAD-64-48, and the header before the pointers."""
HEAP_POINTERS = 4
"""Heap counter, heap size, payload offset, payload size: in each packet of each heap."""
ETHERNET_BYTES = 14 + 4 + 20
"""Header, checksum, and preamble with the gap between frames, which take time on the wire too."""
IP_BYTES = 20
UDP_BYTES = 8
TCP_BYTES = 20 + 12
"""Header and the time stamps that Linux puts into it."""
LARGEST_PACKET_BYTES = 65536
SMALLEST_PACKET_BYTES = 256


@dataclass(frozen=True)
class Wire:
    """How heaps travel.

    Attributes
    ----------
    transport : {"udp", "tcp"}
        ibverbs takes UDP packets.
    packet_bytes : int
        Largest SPEAD packet, without the headers of IP and UDP or TCP.
    mtu_bytes : int
        Largest IP packet.
    """

    transport: Transport = "udp"
    packet_bytes: int = 8900
    mtu_bytes: int = 9000

    def __post_init__(self) -> None:
        if not SMALLEST_PACKET_BYTES <= self.packet_bytes <= LARGEST_PACKET_BYTES:
            raise ConfigError(
                f"packets of {self.packet_bytes} bytes: give {SMALLEST_PACKET_BYTES} to "
                f"{LARGEST_PACKET_BYTES}"
            )

    def wire_bytes(self, packet_bytes: int) -> int:
        """Return what a packet takes on the wire, the headers of all layers included."""
        if self.transport == "tcp":
            frames = -(-packet_bytes // (self.mtu_bytes - IP_BYTES - TCP_BYTES))
            return packet_bytes + frames * (TCP_BYTES + IP_BYTES + ETHERNET_BYTES)
        datagram = packet_bytes + UDP_BYTES
        frames = -(-datagram // (self.mtu_bytes - IP_BYTES))
        return datagram + frames * (IP_BYTES + ETHERNET_BYTES)


@dataclass(frozen=True)
class Shape:
    """What a telescope's correlator makes, or the share of it that one receiver takes.

    Attributes
    ----------
    baselines : int
        Baselines of a heap, autocorrelations included where they are sent.
    channels : int
        Channels of all streams.
    interval_s : float
        From one integration to the next.
    channels_per_stream : int
        Channels of each heap; the last stream has what is left.
    pols : int
        Polarisations of the Measurement Set; a record always has four.
    telescope : {"low", "mid"}
        Item set of the heaps.
    """

    baselines: int
    channels: int
    interval_s: float
    channels_per_stream: int
    pols: int = 4
    telescope: Telescope = "low"

    def __post_init__(self) -> None:
        for name in ("baselines", "channels", "channels_per_stream", "pols"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: give 1 or more")
        if not (self.interval_s > 0 and math.isfinite(self.interval_s)):
            raise ConfigError(f"interval = {self.interval_s:g} s: give more than 0")
        if self.channels_per_stream > self.channels:
            raise ConfigError(
                f"channels per stream = {self.channels_per_stream} are more than the "
                f"{self.channels} channels that there are: give at most {self.channels}"
            )

    @classmethod
    def of_array(
        cls,
        stations: int,
        channels: int,
        interval_s: float,
        channels_per_stream: int,
        *,
        autocorrelations: bool = True,
        telescope: Telescope = "low",
    ) -> Shape:
        """Return the shape of an array, every station correlated with every other.

        Raises
        ------
        ConfigError
            If nothing would be sent.
        """
        pairs = stations * (stations - 1) // 2
        baselines = pairs + stations * autocorrelations
        if stations < 1 or baselines < 1:
            raise ConfigError(
                f"stations = {stations} have no baseline: give {1 if autocorrelations else 2} "
                "or more"
            )
        return cls(baselines, channels, interval_s, channels_per_stream, telescope=telescope)

    def share(self, receivers: int) -> Shape:
        """Return what the busiest of several receivers takes: whole streams, all baselines."""
        streams = -(-self.streams // receivers)
        return replace(self, channels=min(self.channels, streams * self.channels_per_stream))

    def shares(self, receivers: int) -> list[tuple[int, Shape]]:
        """Return what all of several receivers take: how many of them take the same.

        As `reception.process_index` parts the streams: the last has the most, and the stream that
        may have fewer channels.
        """
        least, more = divmod(self.streams, receivers)
        busiest = more or receivers
        most = self.share(receivers).channels
        less = least * self.channels_per_stream
        last = self.channels - (busiest - 1) * most - (receivers - busiest) * less
        return [
            (count, self._of(channels))
            for count, channels in ((busiest - 1, most), (receivers - busiest, less), (1, last))
            if count
        ]

    def _of(self, channels: int) -> Shape:
        per_stream = min(self.channels_per_stream, channels)
        return replace(self, channels=channels, channels_per_stream=per_stream)

    @cached_property
    def streams(self) -> int:
        """Streams, and heaps of an integration."""
        return -(-self.channels // self.channels_per_stream)

    @cached_property
    def layout(self) -> StreamLayout:
        """How a receiver's memory holds it."""
        return StreamLayout(
            channel_count=self.channels,
            channels_per_stream=self.channels_per_stream,
            baseline_count=self.baselines,
            record_bytes=RECORD_DTYPE[self.telescope].itemsize,
        )

    @property
    def dumps_per_s(self) -> float:
        """Integrations in a second."""
        return 1 / self.interval_s

    @property
    def heaps_per_s(self) -> float:
        """Heaps in a second."""
        return self.streams / self.interval_s

    @property
    def heap_bytes(self) -> int:
        """Records of a heap."""
        return self.layout.data_bytes(0)

    @property
    def bytes_per_s(self) -> float:
        """Records in a second."""
        return self.layout.payload_bytes / self.interval_s

    def packets(self, wire: Wire) -> list[tuple[int, int]]:
        """Return the packets of an integration: how many there are of which size.

        As `emu-send` makes them, with the item pointers repeated in every packet; a correlator
        that does not repeat them sends a little less.
        """
        items = ITEM_SETS[self.telescope].data
        # What does not fit into its pointer travels in the payload.
        beside = sum(i.dtype.itemsize for i in items if not i.axes and not i.immediate)
        header = POINTER_BYTES * (1 + HEAP_POINTERS + len(items))
        # spead2 fills the packets with multiples of 8 bytes.
        room = (wire.packet_bytes - header) // 8 * 8
        counts: list[tuple[int, int]] = []
        for groups, group in ((self.streams - 1, 0), (1, self.streams - 1)):
            full, rest = divmod(self.layout.data_bytes(group) + beside, room)
            counts += [(groups * full, header + room), (groups * bool(rest), header + rest)]
        return [(count, size) for count, size in counts if count]

    def packets_per_s(self, wire: Wire) -> float:
        """Return the packets in a second."""
        return sum(count for count, _ in self.packets(wire)) / self.interval_s

    def wire_bytes_per_s(self, wire: Wire) -> float:
        """Return what the network carries in a second, all headers included."""
        sizes = (count * wire.wire_bytes(size) for count, size in self.packets(wire))
        return sum(sizes) / self.interval_s

    @cached_property
    def set_dump_bytes(self) -> float:
        """Bytes that an integration adds to a Measurement Set, as the writer lays it out."""
        columns = plan_columns(self.pols, self.channels, self.baselines, weight_spectrum=True)
        return dump_file_bytes(columns)

    @property
    def set_bytes_per_s(self) -> float:
        """Bytes that are written in a second."""
        return self.set_dump_bytes / self.interval_s
