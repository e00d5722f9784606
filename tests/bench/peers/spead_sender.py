"""spead2's own sender: ``spead_sender.py udp|tcp ANTENNAS CHANNELS STREAMS DUMPS PACKET PORT...``.

Heaps made once and sent again and again by `async_send_heaps`, with all the help that spead2 has.
Prints bytes and seconds as JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time

import numpy as np
import spead2
import spead2.send
import spead2.send.asyncio

from receive.icd.records import RECORD_DTYPE
from tests.bench.replay import prepared
from tests.bench.shapes import Shape

BUFFER_BYTES = 4 << 20


async def main() -> None:
    transport = sys.argv[1]
    antennas, channels, streams, dumps, packet, *ports = map(int, sys.argv[2:])
    shape = Shape(antennas, channels, streams)
    pool = spead2.ThreadPool(1)
    config = spead2.send.StreamConfig(max_packet_size=packet, rate=0, max_heaps=2 * streams)
    targets = [("127.0.0.1", port) for port in ports]
    lanes = await _lanes(transport, pool, config, targets)
    batches = []
    for lane in range(len(lanes)):
        mine = [lane] if transport == "tcp" else range(streams)
        heaps = [prepared(_records(shape)) for _ in mine]
        batches.append(
            spead2.send.HeapReferenceList(
                [spead2.send.HeapReference(heap, substream_index=i) for i, heap in enumerate(heaps)]
            )
        )
    mode = spead2.send.GroupMode.ROUND_ROBIN
    began_s, cpu_s, sent = time.perf_counter(), time.process_time(), 0
    for _ in range(dumps):
        sent += sum(
            await asyncio.gather(
                *(
                    lane.async_send_heaps(batch, mode)
                    for lane, batch in zip(lanes, batches, strict=True)
                )
            )
        )
    seconds = time.perf_counter() - began_s
    cpu_s = time.process_time() - cpu_s
    print(json.dumps({"bytes": sent, "seconds": seconds, "cpu_s": cpu_s}))


def _records(shape: Shape):
    # Written, as a set's are: zeros that nobody wrote are one page, which is always in the cache.
    return (
        np.ones(shape.heap_bytes, np.uint8)
        .view(RECORD_DTYPE["low"])
        .reshape(shape.per_stream, shape.baselines)
    )


async def _lanes(transport, pool, config, targets):
    if transport == "tcp":
        made = []
        for target in targets:
            opened = socket.create_connection(target)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            made.append(spead2.send.asyncio.TcpStream(pool, opened, config))
        return made
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return [spead2.send.asyncio.UdpStream(pool, opened, targets, config)]


if __name__ == "__main__":
    asyncio.run(main())
