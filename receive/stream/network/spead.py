"""SPEAD2 streams: one of spead2's chunk streams for each port, all on one pool of buffers.

spead2 is given a single chunk that is never handed back: the whole pool.  The placement function
chooses the dump, so that nothing depends on the sliding of spead2's own window, streams do not
wait for each other, and a stream over TCP can be replaced when its connection ends.
"""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import spead2
import spead2.recv

from receive.command.port_ranges import port_ranges
from receive.stream.network.sockets import Endpoint, host_of, resolve
from receive.stream.network.source import Listening, Source
from receive.stream.table.items import ITEM_IDS
from receive.stream.table.placement import place
from receive.stream.table.shared_types import LIVE_HEAPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.stream.table.state import SharedState

UNCACHED_DUMP_BYTES = 4 << 20
"""Heaps of dumps from this size on are copied with non-temporal stores.

They would be evicted from the cache before the dump is complete, and evict other data."""


class SpeadSource(Source):
    """Receives SPEAD2 heaps into the shared pool; subclasses say from where."""

    usual_packet_bytes: ClassVar[int]
    """Largest packet expected, unless a larger one is configured."""

    def __init__(self, listening: Listening) -> None:
        super().__init__(listening)
        self._max_packet_bytes = max(self.usual_packet_bytes, listening.max_packet_bytes)
        self._state: SharedState
        self._bound: Sequence[Any] = ()
        self._pools: list[spead2.ThreadPool] = []
        self._streams: list[spead2.recv.ChunkRingStream] = []

    @abstractmethod
    def _bind(self, endpoint: Endpoint) -> Sequence[Any]:
        """Bind all ports, or none: sockets, or what `_add_reader` takes and closes like one."""

    @abstractmethod
    def _add_reader(self, made: spead2.recv.ChunkRingStream, stream: int) -> None:
        """Let a stream read its port."""

    def open(self, state: SharedState) -> None:
        """Bind all ports; the kernel keeps packets until `start`."""
        self._state = state
        interface = self.listening.interface
        endpoint = Endpoint(
            resolve(self.listening.host, "reception.bind_hostname"),
            resolve(interface, "reception.interface_address") if interface else None,
        )
        self._bound = self._bind(endpoint)
        names = [opened.getsockname() for opened in self._bound]
        self.host = host_of(names[0])
        self.ports = self.account.ports = [name[1] for name in names]

    def start(self) -> None:
        """Begin to receive on all ports."""
        streams = len(self._bound)
        # Pools of one thread each: threads of one pool wake each other for every packet.
        count = min(self.listening.threads or streams, streams)
        self._pools = [spead2.ThreadPool(1) for _ in range(count)]
        for stream in range(streams):
            self._streams.append(self._make(stream))

    def _make(self, stream: int) -> spead2.recv.ChunkRingStream:
        state = self._state
        uncached = state.layout.dump_bytes >= UNCACHED_DUMP_BYTES
        made = spead2.recv.ChunkRingStream(
            self._pools[stream % len(self._pools)],
            spead2.recv.StreamConfig(
                max_heaps=LIVE_HEAPS,
                allow_out_of_order=True,
                stop_on_stop_item=False,
                memcpy=spead2.MEMCPY_NONTEMPORAL if uncached else spead2.MEMCPY_STD,
            ),
            spead2.recv.ChunkStreamConfig(
                items=ITEM_IDS,
                max_chunks=1,
                place=_placement_for(state.stream_pointer(stream)),
            ),
            spead2.recv.ChunkRingbuffer(1),
            spead2.recv.ChunkRingbuffer(1),
        )
        # Not add_free_chunk, which would zero the presence of all other streams too.
        made.free_ringbuffer.put_nowait(spead2.recv.Chunk(data=state.memory, present=state.present))
        self._add_reader(made, stream)
        return made

    def packets_of(self, stream: int) -> int:
        """Return the packets received so far on a stream, over TCP on its connection."""
        return int(self._streams[stream].stats.packets)

    def packets(self) -> int:
        """Return the packets received so far on the streams that are open now."""
        return sum(stream.stats.packets for stream in self._streams)

    def unreadable(self, *, over: bool) -> str:
        """Return what came instead of packets where not one has come; nothing if that is not so."""
        read = zip(self.ports, self._streams, strict=True)
        ports = [port for port, stream in read if stream.stats.batches]
        if self.packets() or not ports:
            return ""
        return (
            f"what came to port {port_ranges(ports)} is no SPEAD-64-48 packet of up to "
            f"{self._max_packet_bytes} bytes: does the sender speak that protocol, and does "
            f"transmission.max_packet_size tell how large its packets are?"
        )

    def ended(self) -> list[int]:
        """Return no streams: a datagram's sender cannot be seen to leave."""
        return []

    def scan_ended(self) -> None:
        """Be told that a scan has ended."""

    def stop(self) -> None:
        """Stop receiving and close everything; may be called again."""
        self._state.set("stopping", 1)
        for stream in self._streams:
            stream.stop()
        for opened in self._bound:
            opened.close()


_SIGNATURE = b"void (void *, size_t, void *)"  # spead2 requires this exact text


def _placement_for(stream_pointer: int) -> tuple[Any, ...]:
    """Return the compiled function bound to a stream's record, as spead2 takes it."""
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    set_context = ctypes.pythonapi.PyCapsule_SetContext
    set_context.argtypes = [ctypes.py_object, ctypes.c_void_p]
    capsule = new_capsule(place.address, _SIGNATURE, None)
    set_context(capsule, stream_pointer)
    return (capsule, place, _SIGNATURE)
