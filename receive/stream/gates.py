"""Who passes to a stream: what becomes of the packets that the kernel did not give to spead2.

A gate stands at each port.  What a sender that is not known yet sends lies in the socket beside
the stream's own (`source_filter`), is looked at here, and goes on to spead2 by a detour, in
order.  As soon as the sender is known the kernel is told, and no more of it is seen here.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.stream.first_packets import Kind, Packet
from receive.stream.kernel_drops import dropped
from receive.stream.source_filter import Rule, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receive.stream.detour import Detour
    from receive.stream.first_packets import PacketReader
    from receive.stream.source_account import SourceAccount
    from receive.stream.source_filter import Divided

logger = logging.getLogger(__name__)

TICK_S = 0.05
"""How often a gate is looked at when nothing comes to it."""
SETTLE_S = 0.005
"""After so long, what lay here of a sender when it became known has been read by spead2."""
SETTLED_S = 0.02
"""And after so long, if there was always more."""
ACTIVE_S = 1.0
"""A sender that was heard of within this time is at work: another one is a second sender."""
BATCH = 512
"""Packets that are read before the kernel is told of who sent them."""
MOST_KNOWN = 32
MANY_PACKETS = 64
"""Whoever sent so many, of whatever kind, needs no detour."""
MOST_UNKNOWN = 1024


class Gate:
    """What all gates share; this one lets those pass whom the rules name, and counts the others.

    Parameters
    ----------
    stream
        Number of the stream.
    divided
        Its two sockets.
    account
        Told of strangers.
    rules
        Whom to take.

    Attributes
    ----------
    urgent
        Whether what comes here may be the sender's: then it is read at once.
    settling
        Whether a sender has just become known, and `settle` is to be called.
    dropped
        Packets that the kernel dropped which may have been the sender's.
    """

    def __init__(
        self, stream: int, divided: Divided, account: SourceAccount, rules: Sequence[Rule] = ()
    ) -> None:
        self.stream = stream
        self.divided = divided
        self.urgent = False
        self.settling = False
        self.dropped = 0
        self._account = account
        self._strangers_dropped = 0
        self._drops_seen = 0
        self._known_s = self._empty_s = 0.0
        divided.take(rules)

    def read(self, buffer: memoryview) -> int:
        """Look at what lies beside, a batch at most; return how many there were."""
        for number in range(BATCH):
            try:
                size, name = self.divided.others.recvfrom_into(buffer)
            except OSError:
                self._empty_s = self._empty_s or time.monotonic()
                return number
            if self.take(Source.of(name), buffer[:size]):
                self.join()
        return BATCH

    def take(self, source: Source, _packet: memoryview) -> bool:
        """Look at a packet that came beside; return whether a sender is known by it."""
        self._account.refuse(self.stream, source, packets=1)
        return False

    def join(self) -> None:
        """Let those who are known by now go straight to the stream, but for parts of heaps."""
        self.settling = True
        self._known_s, self._empty_s = time.monotonic(), 0.0

    def settle(self, now_s: float) -> None:
        """Let parts of heaps go straight on, too, when what lay here before has gone on."""
        read = self._empty_s and now_s >= self._empty_s + SETTLE_S
        if read or now_s >= self._known_s + SETTLED_S:
            self.settling = False
            self.settled()

    def settled(self) -> None:
        """Let those who are known go straight to the stream."""

    def tick(self, _now_s: float) -> None:
        """Do what time demands, and see what the kernel dropped."""
        if self.divided.is_multicast:
            # There it counts what a filter does not let through.
            return
        drops = dropped(self.divided.others) or 0
        if self.urgent:
            self.dropped += drops - self._drops_seen
        else:
            self._strangers_dropped += drops - self._drops_seen
            self._account.drop(self.stream, self._strangers_dropped)
        self._drops_seen = drops

    def scan_ended(self) -> None:
        """Be told that a scan has ended."""

    def overrun(self) -> None:
        """Be told that more comes beside than can be looked at."""

    def close(self) -> None:
        """Close the socket beside the stream's own."""
        self.divided.close()


@dataclass
class _Passing:
    """A sender on its way to be known."""

    packets: int = 0
    begun: Packet | None = None


class Observed(Gate):
    """A gate through which everybody passes, and where it is seen who does.

    Parameters
    ----------
    reader
        Reads packets.
    detour
        The way on; None where the stream has had the packet already (groups).
    packets
        Returns how many packets the stream has received.
    has_ended
        Returns whether the stream's sender has ended it.
    """

    def __init__(
        self,
        stream: int,
        divided: Divided,
        account: SourceAccount,
        *,
        reader: PacketReader,
        detour: Detour | None,
        packets: Callable[[], int],
        has_ended: Callable[[], bool],
    ) -> None:
        super().__init__(stream, divided, account)
        self.urgent = True
        self._reader = reader
        self._detour = detour
        self._packets = packets
        self._has_ended = has_ended
        self._packets_seen = 0
        self._moved_s = 0.0
        self._unknown: dict[Source, _Passing] = {}
        # With whether parts of heaps go straight on.
        self._known: dict[Source, bool] = {}
        self._current: Source | None = None
        self._past: set[Source] = set()

    def take(self, source: Source, packet: memoryview) -> bool:
        """Learn whom a packet is from and send it on."""
        joins = source not in self._known and self._learn(source, packet)
        if self._detour is not None:
            self._detour.put(packet)
        return joins

    def _learn(self, source: Source, packet: memoryview) -> bool:
        passing = self._unknown.get(source)
        if passing is None:
            if len(self._unknown) >= MOST_UNKNOWN:
                self._unknown.clear()
            passing = self._unknown[source] = _Passing()
        said = self._reader.read(packet, passing.begun)
        passing.packets += 1
        if said.kind is Kind.START:
            passing.begun = said
        if said.kind in {Kind.START, Kind.STOP, Kind.DATA}:
            self._sender(source)
        if said.kind not in {Kind.START, Kind.DATA} and passing.packets < MANY_PACKETS:
            return False
        self._known[source] = False
        del self._unknown[source]
        return self.urgent

    def _sender(self, source: Source) -> None:
        """Note whose heaps these are: the sender's, its successor's, or a second one's."""
        if source == self._current:
            return
        if self._current is None:
            self._current = source
        elif source in self._past or (
            time.monotonic() - self._moved_s < ACTIVE_S and not self._has_ended()
        ):
            self._account.second(self.stream, self._current, source)
        else:
            # Should the old one go on, it is seen again.
            self._known.pop(self._current, None)
            if len(self._past) < MOST_KNOWN:
                self._past.add(self._current)
            self._current = source

    def join(self) -> None:
        """Let those who are known by now go straight to the stream, but for parts of heaps."""
        super().join()
        self._apply()

    def settled(self) -> None:
        """Let those who are known go straight to the stream."""
        self._known = dict.fromkeys(self._known, True)
        if self.urgent:
            self._apply()

    def _apply(self) -> None:
        known = self._known.items()
        try:
            self.divided.take([Rule(one.network, one.port, not whole) for one, whole in known])
        except OSError as error:
            logger.debug("The kernel takes no more senders: %s", error)
            self.overrun()
        else:
            if len(known) > MOST_KNOWN:
                self.overrun()

    def tick(self, now_s: float) -> None:
        """See whether something comes."""
        super().tick(now_s)
        packets = self._packets()
        if packets != self._packets_seen:
            self._packets_seen, self._moved_s = packets, now_s

    def scan_ended(self) -> None:
        """Look again at who sends, if that had been given up."""
        if not self.urgent:
            self.urgent = True
            self._known.clear()
            self._unknown.clear()
            self._apply()

    def overrun(self) -> None:
        """Let everything pass unseen, until the next scan."""
        logger.debug("Port of stream %d: too many senders to tell them apart", self.stream)
        self.urgent = False
        self._known.clear()
        self.divided.take_all()
