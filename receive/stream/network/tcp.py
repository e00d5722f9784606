"""SPEAD2 over TCP: a stream is a connection, and listens again when that has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import spead2
import spead2.recv

from receive.config.values import ANY
from receive.host.connections import ports_in_use
from receive.stream.network.senders import Senders
from receive.stream.network.sockets import close_all, open_sockets
from receive.stream.network.spead import SpeadSource
from receive.stream.network.tcp_gates import LockedTcp, Refusing, Waiting
from receive.stream.table.shared_types import BROKEN, LIVE_HEAPS

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from receive.stream.network.gates import Gate
    from receive.stream.network.sockets import Endpoint
    from receive.stream.network.source_filter import Divided, Rule

LOST_CHECK_S = 0.5
LOST_LOOKS = 2
"""A connection that was not there when looked for so often in turn is lost."""


class TcpSenders(Senders):
    """Whom connections are taken from; a port has one at a time in any case."""

    def _gate(self, stream: int, divided: Divided, rules: Sequence[Rule]) -> Gate:
        if rules:
            return Refusing(stream, divided, self._account, rules)
        record = self._state.streams
        return LockedTcp(
            stream,
            divided,
            self._account,
            data=lambda: int(record["data_in_epoch"][stream]),
            packets=lambda: self._packets(stream),
            silence_s=self._silence_s,
        )


class TcpSource(SpeadSource):
    """Connections to a listening socket for each stream, one after the other."""

    trusted: ClassVar[bool] = True
    usual_packet_bytes: ClassVar[int] = 65536 + 1024
    senders: TcpSenders
    """Whom the streams are taken from."""
    _waiting: Waiting

    def _bind(self, endpoint: Endpoint) -> Sequence[socket.socket]:
        listening = self.listening
        sockets = open_sockets(
            endpoint, listening.ports, tcp=True, buffer_bytes=listening.buffer_bytes
        )
        try:
            self._waiting = Waiting(self._state, sockets, listening.connect_timeout_s, self.account)
            self.senders = TcpSenders(listening, self._state, self.account, self.packets_of)
            if listening.allowed[0] != ANY:
                self.senders.divide(sockets, endpoint)
        except BaseException:
            close_all(sockets)
            raise
        self._packets_seen = [0] * len(sockets)
        self._silent = [0] * len(sockets)
        self._looked_s = 0.0
        self._any_ended = False
        return sockets

    def _add_reader(self, made: spead2.recv.ChunkRingStream, stream: int) -> None:
        made.add_tcp_reader(self._bound[stream], max_size=self._max_packet_bytes)
        self._waiting.remade(stream)

    def start(self) -> None:
        """Begin to receive on all ports."""
        super().start()
        self.senders.start()

    def scan_ended(self) -> None:
        """Let others send the next scan."""
        self.senders.scan_ended()

    def unreadable(self, *, over: bool) -> str:
        """Return what came instead of packets where not one has come; nothing if that is not so."""
        # A connection may be made long before there is anything to send.
        if not over or self.packets():
            return ""
        if not (self._any_ended or any(stream.stats.batches for stream in self._streams)):
            return ""
        return "connections were made, and brought no SPEAD-64-48 packet"

    def ended(self) -> list[int]:
        """Return the streams whose connection has ended since the last call.

        Each listens again when this returns, and its next heap is the start of a new epoch.
        """
        now_s = time.monotonic()
        lost: set[int] = set()
        # The kernel takes milliseconds for its list of connections.
        if now_s - self._looked_s > LOST_CHECK_S:
            self._looked_s = now_s
            lost = self._lost() | self._overdue(now_s)
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
            if self._waiting.brought(index):
                # The end heap may be lacking: the sender died.
                record["ended"][(record["ended"] == 0) & (record["data_in_epoch"] > 0)] = BROKEN
                record["reconnected"] = 1
            self._streams[index] = self._make(index)
            self._silent[index] = 0
            self._any_ended = True
        return ended

    def _lost(self) -> set[int]:
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
            self._silent[index] = 0 if self.ports[index] in alive else self._silent[index] + 1
        return {index for index in accepted if self._silent[index] >= LOST_LOOKS}

    def _overdue(self, now_s: float) -> set[int]:
        stats = [stream.stats for stream in self._streams]
        # A batch without packets is the accepting of the connection.
        return self._waiting.overdue(now_s, [one.packets if one.batches else None for one in stats])

    def stop(self) -> None:
        """Stop receiving and close everything; may be called again."""
        self.senders.stop()
        super().stop()


def _has_stopped(stream: spead2.recv.ChunkRingStream) -> bool:
    try:
        stream.data_ringbuffer.get_nowait()
    except spead2.Empty:
        return False
    except spead2.Stopped:
        return True
    return True
