"""Senders for tests: heaps made packet by packet, so that a test says exactly what travels.

`Observation` knows what is sent and what must come back.  The heaps of the current styles (Low,
Mid) are built here from SPEAD-64-48's definition, without the receiver's own code; the older
style is sent by spead2 itself, as older senders did.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import spead2
import spead2.send

from receive.model import Antennas, TelescopeModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

COUNT, FRACTION, CHANNEL, CHANNELS, POLARISATION, BASELINES = range(0x6000, 0x6006)
PHASE_BIN, PHASE_BINS, SCAN, HARDWARE, DATA = range(0x6006, 0x600B)
HEAP_COUNT, HEAP_LENGTH, PAYLOAD_OFFSET, PAYLOAD_LENGTH, DESCRIPTOR, CONTROL = range(1, 7)
START, STOP = 0, 2

LOW = np.dtype([("TCI", "i1"), ("FD", "u1"), ("VIS", "<c8", (4,))])
MID = np.dtype([("TCI", "i1"), ("FD", "u1"), ("CCI", "u1"), ("VIS", "<c8", (4,))])
UNIX_EPOCH_MJD_S = 40587 * 86400
FIRST_UNIX_S = 1_700_000_000
HARDWARE_ID = 48879


def little(value: int, size: int = 4) -> int:
    """Return what a little-endian immediate looks like in its big-endian field."""
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def immediate(item: int, value: int) -> bytes:
    return struct.pack(">Q", 1 << 63 | item << 48 | value)


def addressed(item: int, address: int) -> bytes:
    return struct.pack(">Q", item << 48 | address)


def packets_of(
    heap_count: int,
    immediates: Mapping[int, int],
    addressed_items: Sequence[tuple[int, bytes]] = (),
    *,
    packet_payload: int = 1400,
    repeat_pointers: bool = True,
) -> list[bytes]:
    """Return the packets of a heap."""
    pointers = [immediate(item, value) for item, value in immediates.items()]
    payload = b""
    for item, content in addressed_items:
        pointers.append(addressed(item, len(payload)))
        payload += content
    # spead2, too, never sends a heap without payload: receivers do not look at one.
    payload = payload or b"\0"
    packets = []
    for offset in range(0, len(payload), packet_payload):
        part = payload[offset : offset + packet_payload]
        head = [
            immediate(HEAP_COUNT, heap_count),
            immediate(HEAP_LENGTH, len(payload)),
            immediate(PAYLOAD_OFFSET, offset),
            immediate(PAYLOAD_LENGTH, len(part)),
        ]
        if repeat_pointers or offset == 0:
            head += pointers
        packets.append(struct.pack(">BBBBHH", 0x53, 4, 2, 6, 0, len(head)) + b"".join(head) + part)
    return packets


@dataclass(frozen=True)
class Header:
    """What a packet says of itself."""

    heap_count: int
    heap_length: int
    offset: int
    length: int
    control: int | None
    ticks: int | None


def header_of(packet: bytes) -> Header:
    """Read a well-formed packet's special items."""
    (count,) = struct.unpack_from(">H", packet, 6)
    found: dict[int, int] = {}
    for (pointer,) in struct.iter_unpack(">Q", packet[8 : 8 + 8 * count]):
        if pointer >> 63:
            found[pointer >> 48 & 0x7FFF] = pointer & (1 << 48) - 1
    ticks = None
    if COUNT in found:
        ticks = little(found[COUNT]) << 32 | little(found.get(FRACTION, 0))
    return Header(
        found[HEAP_COUNT],
        found[HEAP_LENGTH],
        found[PAYLOAD_OFFSET],
        found[PAYLOAD_LENGTH],
        found.get(CONTROL),
        ticks,
    )


@dataclass
class Observation:
    """An observation with random visibilities, and the heaps that carry it."""

    times: int = 10
    channels: int = 8
    per_stream: int = 8
    antennas: int = 4
    dtype: np.dtype[Any] = field(default_factory=lambda: LOW)
    scan_id: int = 7
    seed: int = 1
    interval_s: float = 1.0
    first_unix_s: int = FIRST_UNIX_S
    packet_payload: int = 1400
    first_heap_count: int = 1
    channel_id_offset: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.antenna1, self.antenna2 = np.triu_indices(self.antennas)
        self.baselines = len(self.antenna1)
        shape = (self.times, self.channels, self.baselines)
        self.records = np.zeros(shape, self.dtype)
        vis = rng.standard_normal((*shape, 4)) + 1j * rng.standard_normal((*shape, 4))
        self.records["VIS"] = vis.astype(np.complex64)
        self.records["FD"] = rng.integers(1, 256, shape)
        self.records["TCI"] = rng.integers(-128, 128, shape)
        self.groups = [
            (first, min(self.per_stream, self.channels - first))
            for first in range(0, self.channels, self.per_stream)
        ]
        self._heap_counts = [self.first_heap_count] * len(self.groups)

    @property
    def model(self) -> TelescopeModel:
        offsets_s = np.arange(self.times) * self.interval_s
        positions_m = np.random.default_rng(0).random((self.antennas, 3)) * 1000
        return TelescopeModel(
            antennas=Antennas(tuple(f"A{i}" for i in range(self.antennas)), positions_m),
            antenna1=self.antenna1.astype(np.int32),
            antenna2=self.antenna2.astype(np.int32),
            channel_freq_hz=1e8 + np.arange(self.channels) * 1e4,
            channel_width_hz=np.full(self.channels, 1e4),
            corr_types=(9, 10, 11, 12),
            phase_centre_radec_rad=(0.1, -0.5),
            times_mjd_s=UNIX_EPOCH_MJD_S + self.first_unix_s + offsets_s,
            intervals_s=np.full(self.times, self.interval_s),
            exposures_s=np.full(self.times, self.interval_s),
        )

    def ticks(self, index: int) -> int:
        return round((self.first_unix_s + index * self.interval_s) * 2**32)

    def time_items(self, ticks: int) -> dict[int, int]:
        return {COUNT: little(ticks >> 32), FRACTION: little(ticks & 0xFFFFFFFF)}

    def _next(self, group: int) -> int:
        self._heap_counts[group] += 1
        return self._heap_counts[group] - 1

    def _all_items(self, group: int) -> dict[int, int]:
        first, count = self.groups[group]
        return {
            CHANNEL: little(first + self.channel_id_offset),
            CHANNELS: little(count),
            POLARISATION: little(0),
            BASELINES: little(self.baselines),
            PHASE_BIN: little(3, 2),
            PHASE_BINS: little(5, 2),
            HARDWARE: little(HARDWARE_ID),
        }

    def data_bytes(self, index: int, group: int) -> bytes:
        first, count = self.groups[group]
        return self.records[index, first : first + count].tobytes()

    def start(self, group: int) -> list[bytes]:
        """Low's start-of-stream heap: all items but the data, and a descriptor."""
        return packets_of(
            self._next(group),
            {CONTROL: START, **self._all_items(group)},
            [(DESCRIPTOR, b"d" * 100), (SCAN, struct.pack("<Q", self.scan_id))],
        )

    def end(self, group: int) -> list[bytes]:
        return packets_of(self._next(group), {CONTROL: STOP})

    def start_of_others(self, group: int, count: int, scan_id: int) -> list[bytes]:
        """Return a start heap as another sender would send it."""
        items = {CONTROL: START, **self._all_items(group)}
        return packets_of(count, items, [(SCAN, struct.pack("<Q", scan_id))])

    def low_of_others(self, index: int, group: int, count: int) -> list[bytes]:
        """Return a heap of data of the right shape and of any time, as another sender would."""
        records = np.zeros(len(self.data_bytes(0, group)), np.uint8).tobytes()
        return packets_of(count, self.time_items(self.ticks(index)), [(DATA, records)])

    def low(self, index: int, group: int, ticks: int | None = None) -> list[bytes]:
        """Return one of Low's data heaps: time and data only."""
        return packets_of(
            self._next(group),
            self.time_items(self.ticks(index) if ticks is None else ticks),
            [(DATA, self.data_bytes(index, group))],
            packet_payload=self.packet_payload,
        )

    def mid(
        self,
        index: int,
        group: int,
        ticks: int | None = None,
        *,
        data_first: bool = False,
        repeat_pointers: bool = True,
        **other: Any,
    ) -> list[bytes]:
        """One of Mid's data heaps: all items; `other` replaces values by item number."""
        scan = (SCAN, struct.pack("<Q", other.pop("scan_id", self.scan_id)))
        data = (DATA, other.pop("data", self.data_bytes(index, group)))
        items = {
            **self.time_items(self.ticks(index) if ticks is None else ticks),
            **self._all_items(group),
            **other.pop("items", {}),
        }
        for item in other.pop("without", ()):
            items.pop(item)
        assert not other
        return packets_of(
            self._next(group),
            items,
            [data, scan] if data_first else [scan, data],
            packet_payload=self.packet_payload,
            repeat_pointers=repeat_pointers,
        )

    def stream(self, group: int, indices: Iterable[int] | None = None) -> list[bytes]:
        """Return everything Low's style sends on one stream."""
        packets = self.start(group)
        for index in range(self.times) if indices is None else indices:
            packets += self.low(index, group)
        return packets + self.end(group)


class Sender:
    """Sends packets to the ports of a receiver, UDP or TCP, one connection a stream."""

    def __init__(
        self,
        ports: Sequence[int],
        *,
        tcp: bool = False,
        host: str = "127.0.0.1",
        source: str | None = None,
    ) -> None:
        self.tcp = tcp
        self._processor = random.choice(sorted(os.sched_getaffinity(0)))
        self._targets = [(host, port) for port in ports]
        if tcp:
            self._sockets = [connect(host, port, source=source) for port in ports]
        else:
            self._sockets = [udp_socket(source) for port in ports]
        self.names = [_name(opened) for opened in self._sockets]
        """As a receiver calls them, one a stream."""

    def break_off(self, stream: int) -> None:
        """Close a connection, as a sender that is killed does."""
        self._sockets[stream].close()

    def send(self, stream: int, packets: Iterable[bytes]) -> None:
        if self.tcp:
            self._sockets[stream].sendall(b"".join(packets))
            return
        with self._on_one_processor():
            for packet in packets:
                self._sockets[stream].sendto(packet, self._targets[stream])

    @contextmanager
    def _on_one_processor(self) -> Iterator[None]:
        """Keep packets in order: each processor has a queue of its own on the loopback device."""
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._processor})
        try:
            yield
        finally:
            os.sched_setaffinity(0, allowed)

    def end(self, observation: Observation) -> None:
        """End all streams; on UDP as often as the emulator does."""
        for stream in range(len(self._sockets)):
            for _ in range(1 if self.tcp else 3):
                self.send(stream, observation.end(stream))

    def close(self, *, reset: bool = False) -> None:
        for opened in self._sockets:
            if reset:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            opened.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def udp_socket(source: str | None = None) -> socket.socket:
    """Return a socket to send from, bound to an address (of this machine) if there is one."""
    if source is not None and ":" in source:
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    else:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    made.bind((source or "", 0))
    return made


def _name(opened: socket.socket) -> str:
    address, port = opened.getsockname()[:2]
    address = "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104 -- not to bind
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def connect(
    host: str, port: int, timeout_s: float = 20.0, source: str | None = None
) -> socket.socket:
    """Connect, again and again while nobody listens."""
    from_address = None if source is None else (source, 0)
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return socket.create_connection((host, port), timeout_s, from_address)
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise


def send_older_style(observation: Observation, ports: Sequence[int], *, tcp: bool) -> None:
    """Send as the older sender did, by spead2.

    Descriptors in every heap, all items in every heap, FD left at 0, and channels_per_stream
    announced as the channel count of the last stream although it has fewer.
    """
    pool = spead2.ThreadPool()
    config = spead2.send.StreamConfig(max_packet_size=1472 if not tcp else 65536, rate=0)
    flavour = spead2.Flavour(4, 64, 48)
    kind = spead2.send.TcpStream if tcp else spead2.send.UdpStream
    streams = [kind(pool, [("127.0.0.1", port)], config) for port in ports]
    groups = []
    for _, count in observation.groups:
        group = spead2.send.ItemGroup(flavour=flavour)
        for item, name, dtype in _OLDER_ITEMS:
            group.add_item(item, name, "", shape=(), dtype=np.dtype(dtype))
        shape = (count, observation.baselines)
        group.add_item(DATA, "correlator_output_data", "", shape=shape, dtype=observation.dtype)
        groups.append(group)
    for stream, group in zip(streams, groups, strict=True):
        stream.send_heap(group.get_start())
    for index in range(observation.times):
        for (first, count), stream, group in zip(observation.groups, streams, groups, strict=True):
            ticks = observation.ticks(index)
            records = observation.records[index, first : first + count].copy()
            records["FD"] = 0
            values = (ticks >> 32, ticks & 0xFFFFFFFF, first, observation.per_stream, 0)
            values += (observation.baselines, 0, 1, observation.scan_id, HARDWARE_ID)
            for (_, name, _dtype), value in zip(_OLDER_ITEMS, values, strict=True):
                group[name].value = value
            group["correlator_output_data"].value = records
            stream.send_heap(group.get_heap(descriptors="all", data="all"))
    for stream, group in zip(streams, groups, strict=True):
        stream.send_heap(group.get_end())


_OLDER_ITEMS = (
    (COUNT, "visibility_timestamp_count", "<u4"),
    (FRACTION, "visibility_timestamp_fraction", "<u4"),
    (CHANNEL, "visibility_channel_id", "<u4"),
    (CHANNELS, "visibility_channel_count", "<u4"),
    (POLARISATION, "visibility_polarisation_id", "<u4"),
    (BASELINES, "visibility_baseline_count", "<u4"),
    (PHASE_BIN, "visibility_phase_bin_id", "<u2"),
    (PHASE_BINS, "visibility_phase_bin_count", "<u2"),
    (SCAN, "scan_id", "<u8"),
    (HARDWARE, "visibility_hardware_id", "<u4"),
)
