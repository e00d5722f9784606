"""A sender that is not the bottleneck: packets made once, only their times and counts changed.

spead2's own packet generator makes the packets of one heap a stream; to send the next dump the
three numbers that differ are patched where they lie, and the kernel gets them in large pieces:
`sendall` of a whole heap over TCP, `sendmmsg` of many datagrams over UDP.  Datagrams are handed
over up to 64 kB at a time, and the kernel cuts them apart (generic segmentation offload).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import spead2
import spead2.send

from receive.icd.items import ITEM_SETS, Item, ItemId
from receive.icd.records import RECORD_DTYPE
from tests.bench.shapes import FIRST_UNIX_S, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FLAVOUR = spead2.Flavour(4, 64, 48, 0)
_HEAP_COUNT = 1
_BURST_BYTES = 128 << 10
_UDP_SEGMENT = 103
"""Socket option of linux/udp.h: the length of the packets into which a message is cut."""
_MOST_MESSAGE_BYTES, _MOST_SEGMENTS = 65507, 64
_HEADERS = 8
END_ROUNDS = 3
_MESSAGE = np.dtype(
    [
        ("name", "u8"), ("name_length", "u4"), ("_1", "u4"), ("iov", "u8"), ("iov_length", "u8"),
        ("control", "u8"), ("control_length", "u8"), ("flags", "i4"), ("_2", "u4"),
        ("sent", "u4"), ("_3", "u4"),
    ]
)  # fmt: skip
"""struct mmsghdr of 64-bit Linux."""
_libc = ctypes.CDLL(None, use_errno=True)


class PreparedHeap:
    """The packets of a stream's heap, one after another in memory, all but the last equally long.

    Parameters
    ----------
    heap
        What to send.
    packet_bytes
        Most that a packet may have.
    merged
        Make messages of several packets.
    """

    def __init__(self, heap: spead2.send.Heap, packet_bytes: int, *, merged: bool = False) -> None:
        packets = list(spead2.send.PacketGenerator(heap, 1, packet_bytes))
        self.lengths = np.array([len(packet) for packet in packets])
        self.begins = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.bytes: NDArray[np.uint8] = np.frombuffer(b"".join(packets), np.uint8).copy()
        self._values: dict[int, NDArray[np.int64]] = {
            item: self._places(item)
            for item in (_HEAP_COUNT, ItemId.TIMESTAMP_COUNT, ItemId.TIMESTAMP_FRACTION)
        }
        self.segment_bytes = len(packets[0])
        most = min(_MOST_MESSAGE_BYTES // self.segment_bytes, _MOST_SEGMENTS)
        self.packets_per_message = max(1, most) if merged else 1
        self.messages, self._iov = self._batch()

    def _places(self, wanted: int) -> NDArray[np.int64]:
        """Return the bytes at which an immediate item's 48-bit values begin."""
        places = []
        for begin in self.begins:
            (count,) = struct.unpack_from(">H", self.bytes, begin + 6)
            pointers = np.frombuffer(self.bytes, ">u8", count, begin + _HEADERS)
            found = np.flatnonzero((pointers >> np.uint64(48)) == np.uint64(0x8000 | wanted))
            places += [begin + _HEADERS + 8 * int(i) + 2 for i in found]
        return np.array(places, np.int64)

    def _batch(self) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        begins = self.begins[:: self.packets_per_message]
        lengths = np.diff(begins, append=len(self.bytes))
        iov = np.stack([self.bytes.ctypes.data + begins, lengths], 1).astype("u8")
        messages = np.zeros(len(begins), _MESSAGE)
        messages["iov"] = iov.ctypes.data + 16 * np.arange(len(iov))
        messages["iov_length"] = 1
        return messages, iov

    def set(self, heap_count: int, ticks: int) -> None:
        """Make it another heap."""
        self._put(_HEAP_COUNT, heap_count.to_bytes(6, "big"))
        # Little-endian numbers of four bytes at the end of a field of six.
        self._put(ItemId.TIMESTAMP_COUNT, b"\0\0" + (ticks >> 32).to_bytes(4, "little"))
        fraction = (ticks & 0xFFFFFFFF).to_bytes(4, "little")
        self._put(ItemId.TIMESTAMP_FRACTION, b"\0\0" + fraction)

    def _put(self, item: int, value: bytes) -> None:
        places = self._values[item]
        self.bytes[places[:, None] + np.arange(6)] = np.frombuffer(value, np.uint8)


@dataclass
class Sent:
    """What a phase sent."""

    heap_bytes: int = 0
    heaps: int = 0
    packets: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.heap_bytes / self.seconds


class Replay:
    """Sends dumps of a shape to one port a stream.

    Parameters
    ----------
    shape
        What is sent.
    ports, host
        Where it goes.
    tcp
        Over TCP, or UDP.
    packet_bytes
        Most that a packet may have.
    buffer_bytes
        Of a socket.
    merged
        Hand several datagrams over at a time.
    """

    def __init__(
        self,
        shape: Shape,
        ports: Sequence[int],
        *,
        tcp: bool,
        packet_bytes: int,
        host: str = "127.0.0.1",
        buffer_bytes: int = 4 << 20,
        merged: bool = True,
    ) -> None:
        self.shape, self._tcp = shape, tcp
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        self._sockets = []
        for port in ports:
            opened = socket.socket(socket.AF_INET, kind)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            opened.connect((host, port))
            self._sockets.append(opened)
        records = np.zeros((shape.per_stream, shape.baselines), RECORD_DTYPE["low"])
        records["FD"] = 255
        records["VIS"] = 1 + 2j
        self._start = [_start(shape, stream) for stream in range(len(ports))]
        self._records = records
        self._packet_bytes = packet_bytes
        self._dump = 0
        self._prepare(merged=merged and not tcp)

    def _prepare(self, *, merged: bool) -> None:
        self._merged = merged
        heap = prepared(self._records)
        self._data = [PreparedHeap(heap, self._packet_bytes, merged=merged) for _ in self._sockets]
        if not self._tcp:
            segment_bytes = self._data[0].segment_bytes if merged else 0
            for opened in self._sockets:
                opened.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, segment_bytes)

    def start(self) -> None:
        """Send the start-of-stream heaps."""
        self._control(self._start, 1)

    def end(self) -> None:
        """Send the end-of-stream heaps, over UDP as often as the emulator does."""
        heap = spead2.send.Heap(FLAVOUR)
        heap.add_end()
        for turn in range(1 if self._tcp else END_ROUNDS):
            time.sleep(0.05 * (turn > 0))
            with contextlib.suppress(ConnectionRefusedError):  # it has ended already
                self._control([heap] * len(self._sockets), self._dump + 3)

    def _control(self, heaps: Sequence[spead2.send.Heap], count: int) -> None:
        for opened, heap in zip(self._sockets, heaps, strict=True):
            for packet in spead2.send.PacketGenerator(heap, count, self._packet_bytes):
                opened.sendall(packet)

    def run(self, seconds: float, rate: float = 0.0) -> Sent:
        """Send whole dumps for so long, at a rate in heap bytes/s or flat out."""
        sent = Sent()
        began_s = time.perf_counter()
        while time.perf_counter() - began_s < seconds:
            self.send_dump(sent, began_s, rate)
        sent.seconds = time.perf_counter() - began_s
        return sent

    def send_dump(self, sent: Sent, began_s: float = 0.0, rate: float = 0.0) -> None:
        """Send the next dump, at a rate from a moment on or flat out; add it to what was sent."""
        ticks = round((FIRST_UNIX_S + (self._dump + 0.5) * self.shape.interval_s) * 2**32)
        for heap in self._data:
            heap.set(self._dump + 2, ticks)
        self._dump += 1
        if self._tcp:
            self._send_tcp(sent, began_s, rate)
            return
        try:
            self._send_udp(sent, began_s, rate)
        except OSError as error:
            # Not every device can be given more than a packet at a time.
            if not self._merged or error.errno not in (errno.EIO, errno.EINVAL):
                raise
            self._prepare(merged=False)

    def _send_tcp(self, sent: Sent, began_s: float, rate: float) -> None:
        for opened, heap in zip(self._sockets, self._data, strict=True):
            opened.sendall(heap.bytes)
            sent.heap_bytes += self.shape.heap_bytes
            sent.heaps += 1
            sent.packets += len(heap.lengths)
            if rate:
                _wait_until(began_s + sent.heap_bytes / rate)

    def _send_udp(self, sent: Sent, began_s: float, rate: float) -> None:
        each = self._data[0].packets_per_message
        burst = max(1, _BURST_BYTES // self._packet_bytes // each)
        packets, messages = len(self._data[0].lengths), len(self._data[0].messages)
        before = sent.heap_bytes
        for first in range(0, messages, burst):
            count = min(burst, messages - first)
            of_them = min(packets, (first + count) * each) - first * each
            for opened, heap in zip(self._sockets, self._data, strict=True):
                _send_messages(opened, heap.messages, first, count)
                sent.packets += of_them
                sent.heap_bytes += round(of_them * self.shape.heap_bytes / packets)
                if rate:
                    _wait_until(began_s + sent.heap_bytes / rate)
        sent.heap_bytes = before + self.shape.dump_bytes
        sent.heaps += len(self._sockets)

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()


def _send_messages(opened: socket.socket, messages: NDArray[Any], first: int, count: int) -> None:
    address = messages.ctypes.data + first * _MESSAGE.itemsize
    while count > 0:
        done = _libc.sendmmsg(opened.fileno(), ctypes.c_void_p(address), count, 0)
        if done < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        address += done * _MESSAGE.itemsize
        count -= done


def _wait_until(moment_s: float) -> None:
    """Wait exactly: asleep while it is long, awake at the end."""
    while (left_s := moment_s - time.perf_counter()) > 0:
        if left_s > 0.002:
            time.sleep(left_s - 0.001)


def prepared(records: NDArray[Any]) -> spead2.send.Heap:
    """Return a data heap of Low's, as the emulator makes it."""
    heap = spead2.send.Heap(FLAVOUR)
    heap.repeat_pointers = True
    values = {ItemId.CORRELATOR_OUTPUT_DATA: records}
    for item in ITEM_SETS["low"].data:
        heap.add_item(_item(item, records.shape, values.get(item.id, 0)))
    return heap


def _start(shape: Shape, stream: int) -> spead2.send.Heap:
    heap = spead2.send.Heap(FLAVOUR)
    heap.repeat_pointers = True
    heap.add_start()
    values = {
        ItemId.CHANNEL_ID: stream * shape.per_stream,
        ItemId.CHANNEL_COUNT: shape.per_stream,
        ItemId.BASELINE_COUNT: shape.baselines,
        ItemId.PHASE_BIN_COUNT: 1,
        ItemId.SCAN_ID: 1,
    }
    of_data = (shape.per_stream, shape.baselines)
    for item in ITEM_SETS["low"].items:
        heap.add_descriptor(_item(item, of_data))
    for item in ITEM_SETS["low"].start:
        heap.add_item(_item(item, of_data, values.get(item.id, 0)))
    return heap


def _item(item: Item, of_data: tuple[int, ...], value: Any = None) -> spead2.Item:
    if value is not None:
        value = np.asarray(value, item.dtype)
    axes = of_data if item.axes else ()
    return spead2.Item(item.id, item.name, item.doc, axes, item.dtype, value=value)
