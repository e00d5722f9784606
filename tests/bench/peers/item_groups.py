"""A plain asyncio receiver: an item group updated for each heap, as receivers were written before.

``item_groups.py udp|tcp STREAMS BUFFER PACKET READY``; prints the heaps that it took when told to
end.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import spead2
import spead2.recv
import spead2.recv.asyncio

from tests.bench.peers.listening import announce, listen


async def main() -> None:
    transport, streams, buffer, packet, ready = sys.argv[1:]
    tcp = transport == "tcp"
    opened = listen(int(streams), int(buffer), tcp=tcp)
    pool = spead2.ThreadPool(len(opened))
    counts = [0] * len(opened)
    tasks = []
    for index, listening in enumerate(opened):
        stream = spead2.recv.asyncio.Stream(
            pool,
            spead2.recv.StreamConfig(allow_out_of_order=True, stop_on_stop_item=False),
            spead2.recv.RingStreamConfig(heaps=16),
        )
        (stream.add_tcp_reader if tcp else stream.add_udp_reader)(listening, max_size=int(packet))
        tasks.append(asyncio.create_task(_receive(stream, counts, index)))
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    announce(ready, opened)
    await told.wait()
    print(sum(counts), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _receive(stream: spead2.recv.asyncio.Stream, counts: list[int], index: int) -> None:
    items = spead2.ItemGroup()
    async for heap in stream:
        updated = items.update(heap)
        if "correlator_output_data" in updated:
            counts[index] += 1


if __name__ == "__main__":
    asyncio.run(main())
