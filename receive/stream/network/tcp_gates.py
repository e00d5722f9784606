"""The gates of TCP ports: who may connect, and who gives way."""

from __future__ import annotations

import logging
import select
from typing import TYPE_CHECKING

from receive.host.connections import connections
from receive.host.peer import Peer
from receive.stream.network.gates import BATCH, TICK_S, Gate
from receive.stream.network.source_filter import Rule

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from receive.host.connections import Connection
    from receive.stream.network.source_account import SourceAccount
    from receive.stream.network.source_filter import Divided
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
"""How often the kernel's list of connections is read, which takes milliseconds."""
_BROUGHT = ("epoch", "starts", "data_in_epoch")


class Refusing(Gate):
    """A gate that takes connections from those whom the rules name, and closes those of others."""

    def read(self, _buffer: memoryview) -> int:
        """Close the connections of strangers."""
        for number in range(BATCH):
            try:
                opened, name = self.divided.others.accept()
            except OSError:
                return number
            opened.close()
            self._account.refuse(self.stream, Peer.of(name), connections=1)
        return BATCH

    def tick(self, _now_s: float) -> None:
        """Nothing is dropped here."""


class LockedTcp(Refusing):
    """A gate that is closed to other addresses once a connection has brought data.

    To the address alone: the same sender, when it connects again, has another port.

    Parameters
    ----------
    data
        Returns how many data heaps the stream has received in its epoch.
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
        data: Callable[[], int],
        packets: Callable[[], int],
        silence_s: float,
    ) -> None:
        super().__init__(stream, divided, account, None)
        self._data = data
        self._packets = packets
        self._silence_s = silence_s
        self._port = divided.main.getsockname()[1]
        self._sender: Peer | None = None
        self._seen = (0, 0)
        self._moved_s = self._looked_s = 0.0
        self._scan_ended = False

    def tick(self, now_s: float) -> None:
        """Lock the stream to its sender, or let go of one that is silent."""
        seen = self._data(), self._packets()
        if seen != self._seen:
            self._moved_s = now_s
            if self._sender is None and seen[0] and now_s - self._looked_s > LOOK_EVERY_S:
                self._looked_s = now_s
                self._lock()
            if self._sender is not None or not seen[0]:
                self._seen = seen
        elif self._sender is not None:
            silence_s = TICK_S if self._scan_ended else self._silence_s
            if now_s - self._moved_s > silence_s:
                self._sender = None
                self._account.taken.pop(self.stream, None)
                self.divided.take_all()

    def _lock(self) -> None:
        for one in connections() or ():
            if one.port == self._port and one.accepted:
                self._sender = self._account.taken[self.stream] = one.source
                self._scan_ended = False
                self.divided.take([Rule(one.source.network)])
                return

    def scan_ended(self) -> None:
        """Let go of the sender as soon as it is silent."""
        self._scan_ended = True


class Waiting:
    """Finds connections that keep others waiting without bringing anything.

    Parameters
    ----------
    state
        The shared arrays.
    listeners
        The listening socket of each stream.
    timeout_s
        How long a connection may bring nothing; 0 is as long as it likes.
    account
        Told of those who give way, and of second senders.
    """

    def __init__(
        self,
        state: SharedState,
        listeners: Sequence[socket.socket],
        timeout_s: float,
        account: SourceAccount,
    ) -> None:
        self._streams = state.streams
        self._ports = [listener.getsockname()[1] for listener in listeners]
        self._timeout_s = timeout_s
        self._account = account
        self._poll = select.poll()
        self._of = {listener.fileno(): n for n, listener in enumerate(listeners)}
        for listener in listeners:
            self._poll.register(listener, select.POLLIN)
        self._packets = [-1] * len(listeners)
        self._since_s = [0.0] * len(listeners)
        self._before = [self._record(stream) for stream in range(len(listeners))]
        self._wait_too: set[int] = set()

    def _record(self, stream: int) -> tuple[int, ...]:
        return tuple(int(self._streams[name][stream]) for name in _BROUGHT)

    def remade(self, stream: int) -> None:
        """Be told that a stream listens anew."""
        self._packets[stream] = -1
        self._before[stream] = self._record(stream)

    def brought(self, stream: int) -> bool:
        """Whether the connection that a stream has brought the start of a stream, or data."""
        return self._record(stream) != self._before[stream]

    def overdue(self, now_s: float, packets: Sequence[int | None]) -> set[int]:
        """Return the streams whose connection is to give way to one that waits.

        Parameters
        ----------
        now_s
            Monotonic.
        packets
            Received so far on the connection of each stream; None where it has none.
        """
        for stream, count in enumerate(packets):
            if count is None:
                self._packets[stream] = -1
            elif self._packets[stream] < 0 or (
                count > self._packets[stream] and self.brought(stream)
            ):
                self._packets[stream], self._since_s[stream] = count, now_s
        wait = {self._of[number] for number, _ in self._poll.poll(0)}
        wait = {stream for stream in wait if packets[stream] is not None}
        there = (connections() or []) if wait else []
        if not there:
            self._wait_too = wait
            return set()
        late = set()
        for stream in wait:
            of_port = [one for one in there if one.port == self._ports[stream]]
            holds = next((one for one in of_port if one.accepted), None)
            others = [one for one in of_port if not one.accepted]
            if holds is not None and others and self._gives_way(stream, now_s, holds, others):
                late.add(stream)
        self._wait_too = wait - late
        return late

    def _gives_way(
        self, stream: int, now_s: float, holds: Connection, others: Sequence[Connection]
    ) -> bool:
        silent_s = now_s - self._since_s[stream]
        talking = [one for one in others if one.waiting_bytes]
        has_data = self.brought(stream) and self._streams["data_in_epoch"][stream] > 0
        if has_data:
            # A successor waits, too, while its predecessor's connection ends.
            if talking and stream in self._wait_too:
                self._account.second(stream, holds.source, talking[0].source)
            return False
        if not self._timeout_s or silent_s < self._timeout_s:
            return False
        if self.brought(stream) and not talking:
            return False
        self._account.gave_way += 1
        logger.warning(
            "Port %d: the connection from %s brought no %s in reception.connect_timeout = %g s, "
            "and gives way to one from %s",
            self._ports[stream],
            holds.source,
            "data" if self.brought(stream) else "heap",
            self._timeout_s,
            (talking or others)[0].source,
        )
        return True
