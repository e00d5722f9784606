"""spead2's own receiver that discards: ``discard.py HOW udp|tcp STREAMS BUFFER PACKET READY``.

``place``: chunk streams whose compiled placement function refuses every heap, so that spead2 does
nothing with it.  ``copy``: plain streams that put heaps together in memory (spead2 copies each
byte once, as a receiver that keeps them must), and throw them away.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

import numba
import numpy as np
import spead2
import spead2.recv
from numba import types
from spead2.recv.numba import chunk_place_data

from tests.bench.peers.listening import announce, listen

LIVE_HEAPS = 16
LARGEST_HEAP_BYTES = 8 << 20
SIGNATURE = b"void (void *, size_t)"


@numba.cfunc(types.void(types.CPointer(chunk_place_data), types.uintp), nopython=True)
def refuse(data_pointer, _size):
    data = numba.carray(data_pointer, 1)
    data[0].chunk_id = -1


def main() -> None:
    how, transport, streams, buffer, packet, ready = sys.argv[1:]
    tcp = transport == "tcp"
    opened = listen(int(streams), int(buffer), tcp=tcp)
    make = _refusing if how == "place" else _copying
    # As ours: threads of one pool would wake each other for every packet.
    made = [make(spead2.ThreadPool(1)) for _ in opened]
    for stream, listening in zip(made, opened, strict=True):
        add = stream.add_tcp_reader if tcp else stream.add_udp_reader
        add(listening, max_size=int(packet))
        if how == "copy":
            threading.Thread(target=_discard, args=(stream,), daemon=True).start()
    announce(ready, opened)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)


def _config(**others: object) -> spead2.recv.StreamConfig:
    return spead2.recv.StreamConfig(
        max_heaps=LIVE_HEAPS, allow_out_of_order=True, stop_on_stop_item=False, **others
    )


def _refusing(pool: spead2.ThreadPool) -> spead2.recv.ChunkRingStream:
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    made = spead2.recv.ChunkRingStream(
        pool,
        _config(),
        spead2.recv.ChunkStreamConfig(
            items=[0x1],
            max_chunks=1,
            # What scipy.LowLevelCallable would be, without scipy.
            place=(new_capsule(refuse.address, SIGNATURE, None), refuse, SIGNATURE),
        ),
        spead2.recv.ChunkRingbuffer(1),
        spead2.recv.ChunkRingbuffer(1),
    )
    made.add_free_chunk(spead2.recv.Chunk(data=np.zeros(64, "u1"), present=np.zeros(1, "u1")))
    return made


def _copying(pool: spead2.ThreadPool) -> spead2.recv.Stream:
    memory = spead2.MemoryPool(1 << 12, LARGEST_HEAP_BYTES, LIVE_HEAPS + 8, 2)
    return spead2.recv.Stream(
        pool, _config(memory_allocator=memory), spead2.recv.RingStreamConfig(heaps=4)
    )


def _discard(stream: spead2.recv.Stream) -> None:
    for heap in stream:
        del heap


if __name__ == "__main__":
    main()
