"""SPEAD2 over UDP, unicast and multicast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from receive.config.values import ANY, FIRST
from receive.stream.network.detour import Detour
from receive.stream.network.first_packets import PacketReader
from receive.stream.network.gates import Gate, Observed
from receive.stream.network.locked_gate import Locked
from receive.stream.network.senders import Senders
from receive.stream.network.sockets import close_all, granted_bytes, open_sockets
from receive.stream.network.spead import SpeadSource

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    import spead2.recv

    from receive.stream.network.sockets import Endpoint
    from receive.stream.network.source_filter import Divided, Rule


class UdpSenders(Senders):
    """Whom datagrams are taken from; what a gate lets through goes to its stream by a detour."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._detours: list[Detour] = []

    def _add_gate(
        self, stream: int, opened: socket.socket, endpoint: Endpoint, rules: Sequence[Rule]
    ) -> None:
        super()._add_gate(stream, opened, endpoint, rules)
        if self._allowed[0] != ANY:
            self._gates[-1].divided.discard_waiting()

    def _gate(self, stream: int, divided: Divided, rules: Sequence[Rule]) -> Gate:
        if rules:
            return Gate(stream, divided, self._account, rules)
        reader = PacketReader(self._state, stream)
        if self._allowed[0] == FIRST:
            return Locked(
                stream,
                divided,
                self._account,
                reader=reader,
                detour=self._detour(divided),
                packets=lambda: self._packets(stream),
                silence_s=self._silence_s,
            )
        record = self._state.streams
        return Observed(
            stream,
            divided,
            self._account,
            reader=reader,
            detour=None if divided.is_multicast else self._detour(divided),
            packets=lambda: self._packets(stream),
            has_data=lambda: bool(record["data_in_epoch"][stream]),
            has_ended=lambda: bool(record["ended"][stream]),
        )

    def _detour(self, divided: Divided) -> Detour:
        made = Detour(granted_bytes(divided.main))
        self._detours.append(made)
        return made

    @property
    def ways_on(self) -> list[socket.socket]:
        """A further socket for spead2 to read for each stream; none where there are no detours."""
        return [detour.out for detour in self._detours]

    @property
    def changes_drops(self) -> bool:
        """Whether the kernel counts what is not taken among what it drops of the streams."""
        return any(gate.divided.is_multicast for gate in self._gates) and self._allowed[0] != ANY

    def _close(self) -> None:
        super()._close()
        for detour in self._detours:
            detour.close()
        self._detours = []


class UdpSource(SpeadSource):
    """Datagrams to a socket for each stream; anybody may send them."""

    usual_packet_bytes: ClassVar[int] = 9200
    senders: UdpSenders
    """Whom the streams are taken from."""

    def _bind(self, endpoint: Endpoint) -> Sequence[socket.socket]:
        listening = self.listening
        sockets = open_sockets(
            endpoint, listening.ports, tcp=False, buffer_bytes=listening.buffer_bytes
        )
        try:
            self.senders = UdpSenders(listening, self._state, self.account, self.packets_of)
            self.senders.divide(sockets, endpoint)
            if not self.senders.changes_drops:
                self.drops.watch(sockets, self.senders.dropped)
        except BaseException:
            close_all(sockets)
            raise
        return sockets

    def _add_reader(self, made: spead2.recv.ChunkRingStream, stream: int) -> None:
        made.add_udp_reader(self._bound[stream], max_size=self._max_packet_bytes)
        if ways_on := self.senders.ways_on:
            made.add_udp_reader(ways_on[stream], max_size=self._max_packet_bytes)

    def start(self) -> None:
        """Begin to receive on all ports."""
        super().start()
        self.senders.start()

    def scan_ended(self) -> None:
        """Let others send the next scan."""
        self.senders.scan_ended()

    def stop(self) -> None:
        """Stop receiving and close everything; may be called again."""
        self.senders.stop()
        super().stop()
