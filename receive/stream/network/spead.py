"""spead2's side of the stream room: one chunk stream for each port, all on one pool of buffers.

spead2 is given a single chunk that is never handed back: the whole pool.  The placement function
chooses the dump, so that nothing depends on the sliding of spead2's own window, streams do not
wait for each other, and a stream over TCP can be replaced when its connection ends.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any

import spead2
import spead2.recv

from receive.command.port_ranges import port_ranges
from receive.host.connections import ports_in_use
from receive.stream.network.ibverbs import IbverbsPort
from receive.stream.table.items import ITEM_IDS
from receive.stream.table.placement import place
from receive.stream.table.shared_types import BROKEN, LIVE_HEAPS

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from receive.stream.network.tcp_gates import Waiting
    from receive.stream.table.state import SharedState

UDP_MAX_PACKET_BYTES = 9200
TCP_MAX_PACKET_BYTES = 65536 + 1024
UNCACHED_DUMP_BYTES = 4 << 20
"""Heaps of dumps from this size on are copied past the processor's cache.

They would have left it before the dump is complete, and would drive out of it what is needed."""
LOST_CHECK_S = 0.5
LOST_LOOKS = 2
"""A connection that was not there when looked for so often in turn is lost."""


class SpeadStreams:
    """Receives heaps on sockets into the shared pool.

    Parameters
    ----------
    state
        The shared arrays.
    sockets
        One bound UDP or listening TCP socket for each stream, or its port on the card; closed by
        `stop`.
    tcp
        Which of the two they are.
    threads
        Network threads; 0 is one a stream.
    max_packet_bytes
        Largest packet to expect.
    ways_on
        A further UDP socket for each stream, if there are any.
    waiting
        Finds TCP connections that are to give way to others.
    """

    def __init__(
        self,
        state: SharedState,
        sockets: Sequence[socket.socket | IbverbsPort],
        *,
        tcp: bool,
        threads: int = 0,
        max_packet_bytes: int = 0,
        ways_on: Sequence[socket.socket] = (),
        waiting: Waiting | None = None,
    ) -> None:
        self._state = state
        self._sockets = sockets
        self._ways_on = ways_on
        self._waiting = waiting
        self._tcp = tcp
        default = TCP_MAX_PACKET_BYTES if tcp else UDP_MAX_PACKET_BYTES
        self._max_packet_bytes = max(default, max_packet_bytes)
        uncached = state.layout.dump_bytes >= UNCACHED_DUMP_BYTES
        self._memcpy = spead2.MEMCPY_NONTEMPORAL if uncached else spead2.MEMCPY_STD
        # A pool of one thread each: threads that share a pool wake each other for every packet.
        count = min(threads or len(sockets), len(sockets))
        self._pools = [spead2.ThreadPool(1) for _ in range(count)]
        self._streams: list[spead2.recv.ChunkRingStream] = []
        self._ports = [opened.getsockname()[1] for opened in sockets]
        self._packets_seen = [0] * len(sockets)
        self._silent = [0] * len(sockets)
        self._looked_s = 0.0
        self.closed_connections = 0

    def start(self) -> None:
        """Begin to receive on all sockets.

        Raises
        ------
        NetworkError
            If a card cannot be used.
        """
        try:
            for stream in range(len(self._sockets)):
                self._streams.append(self._make(stream))
        except BaseException:
            self.stop()
            raise

    def _make(self, stream: int) -> spead2.recv.ChunkRingStream:
        state = self._state
        made = spead2.recv.ChunkRingStream(
            self._pools[stream % len(self._pools)],
            spead2.recv.StreamConfig(
                max_heaps=LIVE_HEAPS,
                allow_out_of_order=True,
                stop_on_stop_item=False,
                memcpy=self._memcpy,
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
        source = self._sockets[stream]
        if isinstance(source, IbverbsPort):
            source.attach(made, self._max_packet_bytes)
        elif self._tcp:
            made.add_tcp_reader(source, max_size=self._max_packet_bytes)
        else:
            made.add_udp_reader(source, max_size=self._max_packet_bytes)
            if self._ways_on:
                made.add_udp_reader(self._ways_on[stream], max_size=self._max_packet_bytes)
        if self._waiting is not None:
            self._waiting.remade(stream)
        return made

    def packets_of(self, stream: int) -> int:
        """Return the packets received so far on a stream, over TCP on its connection."""
        return int(self._streams[stream].stats.packets)

    def packets(self) -> int:
        """Return the packets received so far on all streams that are open now."""
        return sum(stream.stats.packets for stream in self._streams)

    def unreadable(self) -> str:
        """Return what has come instead of packets where not one has: nothing if that is not so."""
        ports = [
            port
            for port, stream, source in zip(self._ports, self._streams, self._sockets, strict=True)
            # On a card every look is a batch.
            if stream.stats.batches and not isinstance(source, IbverbsPort)
        ]
        if self.packets() or not (ports or self.closed_connections):
            return ""
        if self._tcp:
            return "connections were made, and brought no SPEAD-64-48 packet"
        return (
            f"what came to port {port_ranges(ports)} is no SPEAD-64-48 packet of up to "
            f"{self._max_packet_bytes} bytes: does the sender speak that protocol, and does "
            f"transmission.max_packet_size tell how large its packets are?"
        )

    def ended_connections(self) -> list[int]:
        """Return the streams whose TCP connection has ended since the last call, reopened.

        Each listens again when this returns, and its next heap is the start of a new epoch.
        """
        if not self._tcp:
            return []
        now_s = time.monotonic()
        lost: set[int] = set()
        # The kernel takes milliseconds for its list of connections.
        if now_s - self._looked_s > LOST_CHECK_S:
            self._looked_s = now_s
            lost = self._lost_connections() | self._overdue_connections(now_s)
        ended = [
            index
            for index, stream in enumerate(self._streams)
            if index in lost or _has_stopped(stream)
        ]
        for index in ended:
            self._streams[index].stop()
            record = self._state.streams[index : index + 1]
            # Every heap that the old stream had in the air is gone with it.
            record["begun"] += LIVE_HEAPS
            # One that brought nothing was no sender's, and neither ended nor began anything.
            if self._waiting is None or self._waiting.brought(index):
                # The end heap may be lacking: the sender died.
                record["ended"][(record["ended"] == 0) & (record["data_in_epoch"] > 0)] = BROKEN
                record["reconnected"] = 1
            self._streams[index] = self._make(index)
            self._silent[index] = 0
            self.closed_connections += 1
        return ended

    def _lost_connections(self) -> set[int]:
        """Return the streams whose connection was reset, or whose sender vanished."""
        accepted = []
        for index, stream in enumerate(self._streams):
            stats = stream.stats
            moved = stats.packets != self._packets_seen[index]
            self._packets_seen[index] = stats.packets
            # A batch without packets is the accepting of the connection.
            if moved or not stats.batches:
                self._silent[index] = 0
            else:
                accepted.append(index)
        alive = ports_in_use() if accepted else None
        if alive is None:
            return set()
        for index in accepted:
            # Twice: the kernel's list is not of one moment.
            self._silent[index] = 0 if self._ports[index] in alive else self._silent[index] + 1
        return {index for index in accepted if self._silent[index] >= LOST_LOOKS}

    def _overdue_connections(self, now_s: float) -> set[int]:
        if self._waiting is None:
            return set()
        stats = [stream.stats for stream in self._streams]
        # A batch without packets is the accepting of the connection.
        return self._waiting.overdue(now_s, [one.packets if one.batches else None for one in stats])

    def stop(self) -> None:
        """Stop receiving and close the sockets."""
        self._state.set("stopping", 1)
        for stream in self._streams:
            stream.stop()
        for opened in self._sockets:
            opened.close()


def _has_stopped(stream: spead2.recv.ChunkRingStream) -> bool:
    try:
        stream.data_ringbuffer.get_nowait()
    except spead2.Empty:
        return False
    except spead2.Stopped:
        return True
    return True


_SIGNATURE = b"void (void *, size_t, void *)"  # spead2 compares it to the letter


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
