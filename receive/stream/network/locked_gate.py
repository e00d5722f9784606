"""The gate that the first sender with a valid heap passes alone.

Until it is known, what came is held: the start of each candidate and the packets since.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from receive.stream.network.first_packets import Kind, Packet
from receive.stream.network.gates import TICK_S, Gate
from receive.stream.network.source_filter import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.host.peer import Peer
    from receive.stream.network.detour import Detour
    from receive.stream.network.first_packets import PacketReader
    from receive.stream.network.source_account import SourceAccount
    from receive.stream.network.source_filter import Divided

logger = logging.getLogger(__name__)

HELD_BYTES = 1 << 20
"""All that is held of all candidates of a stream; the oldest are forgotten."""
HELD_OF_ONE_BYTES = 1 << 18
HELD_OF_ONE = 64
HELD_OVERHEAD_BYTES = 1024


@dataclass
class _Candidate:
    """What is kept of somebody who may become the sender: its start, and what followed."""

    begun: Packet | None = None
    start: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)
    counted: int = 0
    held_bytes: int = 0


class Locked(Gate):
    """A gate that the first sender with a valid heap passes, until it is silent or the scan ends.

    Parameters
    ----------
    reader
        Reads packets.
    detour
        The way on.
    packets
        Returns how many packets the stream has received.
    silence_s
        A sender of which so long nothing came loses the stream to the next.
    """

    def __init__(
        self,
        stream: int,
        divided: Divided,
        account: SourceAccount,
        *,
        reader: PacketReader,
        detour: Detour,
        packets: Callable[[], int],
        silence_s: float,
    ) -> None:
        super().__init__(stream, divided, account)
        self.urgent = True
        self._reader = reader
        self._detour = detour
        self._packets = packets
        self._silence_s = silence_s
        self._packets_seen = 0
        self._moved_s = 0.0
        self._sender: Peer | None = None
        self._last: Peer | None = None
        self._scan_ended = False
        self._held: OrderedDict[Peer, _Candidate] = OrderedDict()
        self._held_bytes = 0

    def take(self, source: Peer, packet: memoryview) -> bool:
        """Hold a packet, send it on, or refuse it."""
        if source == self._sender:
            self._detour.put(packet)
            return False
        candidate = self._held.get(source)
        said = self._reader.read(packet, candidate.begun if candidate else None)
        if self._sender is None and source == self._last and said.kind is not Kind.NOISE:
            # It was silent in the middle of its scan, and nobody has taken its place.
            self._lock(source, self._hold(source, said, bytes(packet)))
            return True
        if said.why:
            self._account.does_not_fit(self.stream, source, said.why)
        begins = said.kind is Kind.START or (self._sender is None and not said.why)
        if not begins or said.kind in {Kind.NOISE, Kind.STOP}:
            self._account.refuse(self.stream, source, packets=1)
            return False
        candidate = self._hold(source, said, bytes(packet))
        if said.kind is not Kind.DATA:
            self._account.began(self.stream, source)
            return False
        self._lock(source, candidate)
        return True

    def _hold(self, source: Peer, said: Packet, packet: bytes) -> _Candidate:
        candidate = self._held.setdefault(source, _Candidate())
        self._held.move_to_end(source)
        candidate.counted += 1
        if said.kind is Kind.START and (
            candidate.begun is None or candidate.begun.heap_count != said.heap_count
        ):
            self._held_bytes -= candidate.held_bytes
            candidate.begun, candidate.held_bytes = said, 0
            candidate.start, candidate.rest = [], []
        (candidate.start if said.kind is Kind.START else candidate.rest).append(packet)
        candidate.held_bytes += len(packet)
        self._held_bytes += len(packet)
        while candidate.rest[:-1] and (
            len(candidate.rest) > HELD_OF_ONE or candidate.held_bytes > HELD_OF_ONE_BYTES
        ):
            let_go = len(candidate.rest.pop(0))
            candidate.held_bytes -= let_go
            self._held_bytes -= let_go
        if len(candidate.start) > HELD_OF_ONE:
            self._forget(source)
        while self._held_bytes + len(self._held) * HELD_OVERHEAD_BYTES > HELD_BYTES:
            self._forget(next(iter(self._held)))
        return candidate

    def _forget(self, source: Peer) -> None:
        forgotten = self._held.pop(source)
        self._held_bytes -= forgotten.held_bytes
        self._account.refuse(self.stream, source, packets=forgotten.counted)

    def _lock(self, source: Peer, candidate: _Candidate) -> None:
        self._sender = source
        self._account.taken[self.stream] = source
        for packet in (*candidate.start, *candidate.rest):
            self._detour.put(packet)
        candidate.counted = 0
        self._forget_all()
        self._scan_ended = False
        self._moved_s = time.monotonic()
        logger.debug("Stream %d is taken from %s", self.stream, source)

    def _forget_all(self) -> None:
        for source in list(self._held):
            self._forget(source)

    def close(self) -> None:
        """Close the socket beside the stream's own; who was held is a stranger."""
        self._forget_all()
        super().close()

    def join(self) -> None:
        """Let the sender go straight to the stream, but for parts of heaps."""
        super().join()
        self._apply(heads_only=True)

    def settled(self) -> None:
        """Let the sender go straight to the stream."""
        self._count_drops()
        self.urgent = False
        self._apply(heads_only=False)

    def _apply(self, *, heads_only: bool) -> None:
        if self._sender is not None:
            self.divided.take([Rule(self._sender.network, self._sender.port, heads_only)])

    def tick(self, now_s: float) -> None:
        """Let go of a sender that is silent, or whose scan has ended."""
        super().tick(now_s)
        if self._sender is None or self.settling:
            return
        packets = self._packets()
        if packets != self._packets_seen:
            self._packets_seen, self._moved_s = packets, now_s
        silence_s = TICK_S if self._scan_ended else self._silence_s
        if now_s - self._moved_s > silence_s:
            logger.debug("Stream %d is no longer taken from %s", self.stream, self._sender)
            self._account.taken.pop(self.stream, None)
            self._last = None if self._scan_ended else self._sender
            self._sender = None
            self.urgent = True
            self.divided.take(())

    def scan_ended(self) -> None:
        """Let go of the sender as soon as it is silent."""
        self._scan_ended = True
        self._last = None
