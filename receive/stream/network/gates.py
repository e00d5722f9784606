"""Who passes to a stream: what becomes of the packets that the kernel did not give to spead2.

A gate stands at each port.  What lies in the socket beside the stream's own (`source_filter`) is
looked at here, and refused or sent on to spead2 by a detour.  As soon as a sender is known the
kernel is told, and no more of it is seen here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from receive.host.peer import Peer
from receive.stream.network.first_packets import Kind
from receive.stream.network.kernel_drops import dropped, waiting_bytes
from receive.stream.network.source_filter import Rule, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receive.stream.network.detour import Detour
    from receive.stream.network.first_packets import PacketReader
    from receive.stream.network.source_account import SourceAccount
    from receive.stream.network.source_filter import Divided

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
BUSY_PACKETS = 500
"""Above this number of packets in a tick the kernel does not look at the source of every packet,
which takes up to 5 % of the time that a packet takes."""
WATCHED_TICKS = 8
"""At that rate the kernel looks at the sources in one tick out of this number."""
_PASS_BEFORE_S = 0.02
_ITEM_COUNT = slice(6, 8)
_ITEMS_OF_ANY = b"\0\4"
"""A packet with no more items than every packet has does not say what its heap is."""


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
        Whom to take; None is everybody.

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
        self,
        stream: int,
        divided: Divided,
        account: SourceAccount,
        rules: Sequence[Rule] | None = (),
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
        if rules is None:
            divided.take_all()
        else:
            divided.take(rules)

    def read(self, buffer: memoryview) -> int:
        """Look at what lies beside, a batch at most; return how many there were."""
        for number in range(BATCH):
            try:
                size, name = self.divided.others.recvfrom_into(buffer)
            except OSError:
                self._empty_s = self._empty_s or time.monotonic()
                return number
            if self.take(Peer.of(name), buffer[:size]):
                self.join()
        return BATCH

    def take(self, source: Peer, _packet: memoryview) -> bool:
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
        """Do what time demands."""
        self._count_drops()

    def _count_drops(self) -> None:
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


class Observed(Gate):
    """A gate through which everybody passes, and where it is seen who does.

    Few packets come beside: of those whom nobody knows yet some by chance, and, while the sender
    is known and at work, the starts and ends of streams of all others.  Were it everything that an
    unknown sender sends, a burst would have to wait for this thread.  While the known one sends
    fast, it is looked at in one tick of several only.

    Parameters
    ----------
    reader
        Reads packets.
    detour
        The way on; None where the stream has had the packet already (groups).
    packets
        Returns how many packets the stream has received.
    has_data, has_ended
        Return whether the stream's sender has sent data, and has ended it.
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
        has_data: Callable[[], bool],
        has_ended: Callable[[], bool],
    ) -> None:
        super().__init__(stream, divided, account, None)
        self.urgent = True
        self._reader = reader
        self._detour = detour
        self._packets = packets
        self._has_data = has_data
        self._has_ended = has_ended
        self._packets_seen = self._before = self._burst = 0
        self._moved_s = 0.0
        self._known: set[Peer] = set()
        self._current: Peer | None = None
        self._past: set[Peer] = set()
        self._watch = Watch()
        self._ticks = 0
        self._paused = False

    def take(self, source: Peer, packet: memoryview) -> bool:
        """Learn whom a packet is from and send it on."""
        kind = self._reader.read(packet).kind
        if kind is not Kind.NOISE:
            self._sender(source)
        if self._detour is not None:
            if packet[_ITEM_COUNT] == _ITEMS_OF_ANY:
                self._let_pass_before()
            self._detour.put(packet)
        joins = self.urgent and kind not in {Kind.NOISE, Kind.STOP} and source not in self._known
        if joins:
            self._known.add(source)
        return joins

    def _sender(self, source: Peer) -> None:
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
            self._known.discard(self._current)
            if len(self._past) < MOST_KNOWN:
                self._past.add(self._current)
            self._current = source

    def _let_pass_before(self) -> None:
        """Wait until spead2 has read what came before: the detour may be the faster way."""
        until_s = time.monotonic() + _PASS_BEFORE_S
        while waiting_bytes(self.divided.main) and time.monotonic() < until_s:
            time.sleep(_PASS_BEFORE_S / 100)

    def join(self) -> None:
        """Look no more at those who are known by now."""
        self._apply()

    def _apply(self) -> None:
        try:
            if self._paused:
                self.divided.take_all()
                return
            self.divided.watch([Rule(one.network, one.port) for one in self._known], self._watch)
        except OSError as error:
            logger.debug("The kernel takes no more senders: %s", error)
            self.overrun()
        else:
            if len(self._known) > MOST_KNOWN:
                self.overrun()

    def tick(self, now_s: float) -> None:
        """See how much comes, so that few of its packets come here."""
        super().tick(now_s)
        packets = self._packets()
        came, self._packets_seen = packets - self._packets_seen, packets
        if came:
            self._moved_s = now_s
        one_in = self._one_in(came)
        active = now_s - self._moved_s < ACTIVE_S
        if not active:
            self._known.clear()
        watch = Watch(one_in, controls=active and bool(self._known))
        self._ticks += 1
        busy = came > BUSY_PACKETS and bool(self._known)
        paused = busy and bool(self._ticks % WATCHED_TICKS)
        if not self.urgent or (paused and self._paused):
            return
        if (watch, paused) != (self._watch, self._paused):
            self._watch, self._paused = watch, paused
            self._apply()

    def _one_in(self, came: int) -> int:
        """Return of how many packets one is to be looked at: about one until the next look."""
        before, self._before = self._before, came
        self._burst += came
        one_in = self._watch.one_in
        if not self._has_data():
            one_in = 0
        elif came and before:
            one_in = 1 << came.bit_length()
        elif before:
            # The next time as many will come.
            one_in = 1 << (self._burst - 1).bit_length()
        if not came:
            self._burst = 0
        return one_in

    def scan_ended(self) -> None:
        """Forget who sent: the next scan may be another one's."""
        self.urgent = True
        self._known.clear()
        self._past.clear()
        self._current = None
        self._watch = Watch()
        self._paused = False
        self._apply()

    def overrun(self) -> None:
        """Let everything pass unseen, until the next scan."""
        logger.debug("Port of stream %d: too many senders to tell them apart", self.stream)
        self.urgent = False
        self.divided.take_all()
