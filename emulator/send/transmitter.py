"""Heaps to the network: the part that UDP and TCP share.

A transmitter has *lanes*, spead2 streams that each carry some of the run's streams: over UDP few
lanes with many streams each, so that the rate is kept for all together; over TCP one for each
connection.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import spead2
import spead2.send
import spead2.send.asyncio

from receive.command.errors import NetworkError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from emulator.send.addresses import Target

logger = logging.getLogger(__name__)

# Bursts of at most this long at the rate of a lane: longer ones would overrun the buffers of a
# receiver that is fast enough on average.
_BURST_S = 0.005
_END_SPACING_S = 0.02


class AbandonedError(Exception):
    """The transmitter was told to leave what it was sending."""


@dataclass(frozen=True)
class LinkSettings:
    """Settings of the network that are the same for all lanes.

    Attributes
    ----------
    rate_bytes_per_s : float
        Of all lanes together; 0 is no limit.
    max_packet_size_bytes : int
        Largest packet.
    buffer_bytes : int
        Socket buffer asked for; with ibverbs the memory for packets of each lane.
    threads : int
        Network threads.
    ttl : int
        Of multicast packets.
    interface : str or None
        Address of the interface that multicast, or all with ibverbs, leaves by.
    """

    rate_bytes_per_s: float
    max_packet_size_bytes: int
    buffer_bytes: int
    threads: int = 1
    ttl: int = 1
    interface: str | None = None


@dataclass(frozen=True, eq=False)
class Lane:
    """One spead2 stream and the run's streams that it carries, as its substreams in order."""

    stream: Any
    streams: range


def lanes_of(streams: int, threads: int) -> list[range]:
    """Return the streams of each lane, where one network thread serves each lane."""
    lanes = min(threads, streams)
    borders = [streams * lane // lanes for lane in range(lanes + 1)]
    return [range(first, last) for first, last in itertools.pairwise(borders)]


Batch = list[spead2.send.HeapReferenceList]
"""One heap for each stream, sorted into lanes: what is sent together."""


class Transmitter(ABC):
    """Sends heaps to the targets of a run.  For one event loop.

    Parameters
    ----------
    targets : sequence of Target
        Where each stream goes.
    weights : sequence of int
        Bytes that each stream has of a dump: its share of the rate.
    settings : LinkSettings
        The rest.
    """

    end_rounds = 1
    """How often the end-of-stream heaps are sent."""

    def __init__(
        self, targets: Sequence[Target], weights: Sequence[int], settings: LinkSettings
    ) -> None:
        self.targets = list(targets)
        self.settings = settings
        self._weights = list(weights)
        self._lanes: list[Lane] = []
        self._sockets: list[socket.socket] = []
        self._pool = spead2.ThreadPool(settings.threads)
        self._loop = asyncio.get_running_loop()
        self.ending = False
        # Set to an error when there is no point in waiting for what is being sent.
        self._broken: asyncio.Future[None] = self._loop.create_future()

    async def open(self) -> None:
        """Open sockets and connect.

        Raises
        ------
        NetworkError
            If a target cannot be reached.
        """
        self._lanes = await self._make_lanes()

    @abstractmethod
    async def _make_lanes(self) -> list[Lane]:
        """Open the lanes, and `_sockets` for them, which are closed together."""

    def batch(self, heaps: Sequence[spead2.send.Heap]) -> Batch:
        """Prepare to send one heap for each stream; may be sent any number of times."""
        return [
            spead2.send.HeapReferenceList(
                [
                    spead2.send.HeapReference(heaps[stream], substream_index=substream)
                    for substream, stream in enumerate(lane.streams)
                ]
            )
            for lane in self._lanes
        ]

    async def send(self, batch: Batch) -> int:
        """Send a batch; return its bytes, packet headers included, when the kernel has them all.

        Raises
        ------
        NetworkError
            If a connection is lost or the network refuses a packet.
        AbandonedError
            If `abandon` was called.
        """
        mode = spead2.send.GroupMode.ROUND_ROBIN
        sending: asyncio.Future[list[int]] = asyncio.gather(
            *(
                self._send_lane(lane, heaps, mode)
                for lane, heaps in zip(self._lanes, batch, strict=True)
            )
        )
        either: set[asyncio.Future[Any]] = {sending, self._broken}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._broken.done() and not sending.done():
            sending.cancel()
            await asyncio.wait({sending})
            if not sending.cancelled():
                sending.exception()  # asked for, so that asyncio does not complain
            self._leak()
            self._broken.result()
        try:
            return sum(sending.result())
        except NetworkError:
            self._leak()
            raise

    async def send_end(self, batch: Batch) -> int:
        """Send the end-of-stream heaps, as often as the transport takes; return their bytes.

        Raises as `send` does.
        """
        self.ending = True
        sent = 0
        for round_ in range(self.end_rounds):
            if round_:
                # Whatever swallowed the last ones should be over when the next ones come.
                await asyncio.sleep(_END_SPACING_S)
            sent += await self.send(batch)
        return sent

    async def _send_lane(self, lane: Lane, heaps: Any, mode: Any) -> int:
        try:
            return int(await lane.stream.async_send_heaps(heaps, mode))
        except OSError as error:
            raise self._failed(lane, error) from None

    def _failed(self, lane: Lane, error: OSError) -> NetworkError:
        others = len(lane.streams) - 1
        where = f"{self.targets[lane.streams[0]]}" + (f" or {others} others" if others else "")
        return NetworkError(f"sending to {where} failed: {error.strerror or error}")

    def abandon(self) -> None:
        """Make `send` raise `AbandonedError` now, whatever has not been sent yet."""
        self._break(AbandonedError())

    def _break(self, error: Exception) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _leak(self) -> None:
        """Give up the lanes without waiting for them.

        spead2's streams wait, when they are destroyed, until everything was sent, and there is no
        way to cancel that; over a connection that was lost it never comes (its writes are not
        woken after one failed: chriskohlhoff/asio issue 1664).  A reference that is never given
        back keeps them, and what they are sending from, until the process ends.
        """
        for lane in self._lanes:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(lane.stream))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._pool))
        self._lanes = []

    def close(self) -> None:
        """Close the sockets; what the kernel has been given is still delivered."""
        if self._broken.done():
            self._broken.exception()  # somebody has asked: asyncio need not complain
        else:
            self._broken.cancel()
        self._lanes = []
        for opened in self._sockets:
            self._loop.remove_reader(opened)
            opened.close()

    def _config(self, streams: range) -> spead2.send.StreamConfig:
        """Return the configuration of a lane that carries these streams."""
        settings = self.settings
        share = sum(self._weights[stream] for stream in streams) / sum(self._weights)
        rate = settings.rate_bytes_per_s * share
        burst = spead2.send.StreamConfig.DEFAULT_BURST_SIZE
        if rate:
            burst = min(burst, max(int(rate * _BURST_S), settings.max_packet_size_bytes))
        return spead2.send.StreamConfig(
            max_packet_size=settings.max_packet_size_bytes,
            rate=rate,
            burst_size=burst,
            max_heaps=len(streams),
        )
