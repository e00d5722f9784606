"""Whom the streams are taken from: the gates of all ports, and the thread that attends to them."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

from receive.command.errors import NetworkError
from receive.config.values import ANY, FIRST, parse_source
from receive.stream.network.detour import Detour
from receive.stream.network.first_packets import PacketReader
from receive.stream.network.gates import BATCH, SETTLE_S, TICK_S, Gate, Observed
from receive.stream.network.locked_gate import Locked
from receive.stream.network.sockets import granted_bytes
from receive.stream.network.source_account import SourceAccount, in_words
from receive.stream.network.source_filter import Divided, Rule, resolved
from receive.stream.network.tcp_gates import LockedTcp, Refusing, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receive.stream.network.sockets import Endpoint
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

_OVERRUN_BATCHES = 20
"""So many batches in turn, none of which empties the socket: it cannot be kept up with."""
_LARGEST_DATAGRAM_BYTES = 1 << 16
_STRANGERS_BUFFER_BYTES = 1 << 16


class Senders:
    """Decides whom each stream is taken from.

    Parameters
    ----------
    sources
        The value of reception.sources.
    state
        The shared arrays.
    ports
        Port of each stream.
    packets
        Returns how many packets a stream has received.
    connect_timeout_s
        How long a connection may bring nothing while another one waits.

    Attributes
    ----------
    account
        What was not taken.
    waiting
        Finds TCP connections that are to give way to others; None without any.
    """

    def __init__(
        self,
        sources: Sequence[str],
        state: SharedState,
        ports: Sequence[int],
        packets: Callable[[int], int],
        connect_timeout_s: float,
    ) -> None:
        self._sources = sources
        self._state = state
        self._packets = packets
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = connect_timeout_s
        self.account = SourceAccount(sources, ports)
        self.waiting: Waiting | None = None
        self._gates: list[Gate] = []
        self._detours: list[Detour] = []
        self._stopping = threading.Event()
        self._scan_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="senders", daemon=True)

    def divide(
        self, sockets: Sequence[socket.socket], endpoint: Endpoint, silence_s: float
    ) -> None:
        """Let the kernel divide what comes, from now on.

        Parameters
        ----------
        sockets
            The bound socket of each stream.
        endpoint
            What they are bound to.
        silence_s
            With ``first``, a sender of which so long nothing came loses its stream to the next.

        Raises
        ------
        NetworkError
            If the kernel will not, and a choice was asked for; or if a name does not resolve.
        """
        self._silence_s = silence_s
        if sockets[0].type == socket.SOCK_STREAM:
            self.waiting = Waiting(self._state, sockets, self._connect_timeout_s, self.account)
        rules: Sequence[Rule] = ()
        if self._sources[0] not in {ANY, FIRST}:
            rules = resolved(self._sources, [parse_source(one) for one in self._sources])
        try:
            for stream, opened in enumerate(sockets):
                self._add_gate(stream, opened, endpoint, rules)
        except OSError as error:
            self._close()
            if self._sources[0] != ANY:
                raise NetworkError(
                    f"reception.sources = {in_words(self._sources)}: the kernel does not divide "
                    f"what comes to port {sockets[stream].getsockname()[1]} by source ({error}); "
                    f"give fewer sources, or any"
                ) from error
            logger.debug("Who sends is not seen: the kernel does not divide ports: %s", error)

    def _add_gate(
        self, stream: int, opened: socket.socket, endpoint: Endpoint, rules: Sequence[Rule]
    ) -> None:
        word, tcp = self._sources[0], opened.type == socket.SOCK_STREAM
        if word == ANY and tcp:
            return
        divided = Divided(
            opened,
            endpoint,
            buffer_bytes=_STRANGERS_BUFFER_BYTES if rules else granted_bytes(opened),
        )
        try:
            self._gates.append(self._gate(stream, divided, rules))
        except BaseException:
            divided.close()
            raise
        if word != ANY and not tcp:
            divided.discard_waiting()

    def _gate(self, stream: int, divided: Divided, rules: Sequence[Rule]) -> Gate:
        tcp = divided.main.type == socket.SOCK_STREAM
        if rules:
            return (Refusing if tcp else Gate)(stream, divided, self.account, rules)
        record = self._state.streams
        if tcp:
            return LockedTcp(
                stream,
                divided,
                self.account,
                data=lambda: int(record["data_in_epoch"][stream]),
                packets=lambda: self._packets(stream),
                silence_s=self._silence_s,
            )
        reader = PacketReader(self._state, stream)
        if self._sources[0] == FIRST:
            return Locked(
                stream,
                divided,
                self.account,
                reader=reader,
                detour=self._detour(divided),
                packets=lambda: self._packets(stream),
                silence_s=self._silence_s,
            )
        return Observed(
            stream,
            divided,
            self.account,
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
    def beside(self) -> list[socket.socket]:
        """The sockets that hold what may be the senders', and was not looked at yet."""
        return [gate.divided.others for gate in self._gates if gate.urgent]

    def dropped(self, stream: int) -> int:
        """Return the packets of a stream that the kernel dropped before they were looked at."""
        return self._gates[stream].dropped if self._gates else 0

    @property
    def changes_drops(self) -> bool:
        """Whether the kernel counts what is not taken among what it drops of the streams."""
        return any(gate.divided.is_multicast for gate in self._gates) and self._sources[0] != ANY

    def start(self) -> None:
        """Begin to attend."""
        if self._gates:
            self._thread.start()

    def scan_ended(self) -> None:
        """Be told that a scan has ended."""
        self._scan_ended.set()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_LARGEST_DATAGRAM_BYTES))
        next_s = 0.0
        full = dict.fromkeys(self._gates, 0)
        with selectors.DefaultSelector() as selector:
            while not self._stopping.is_set():
                settling = [gate for gate in self._gates if gate.settling]
                for key, _ in selector.select(SETTLE_S if settling else TICK_S):
                    gate: Gate = key.data
                    full[gate] = full[gate] + 1 if gate.read(buffer) == BATCH else 0
                    if full[gate] > _OVERRUN_BATCHES:
                        gate.overrun()
                now_s = time.monotonic()
                for gate in settling:
                    gate.settle(now_s)
                if now_s >= next_s:
                    next_s = now_s + TICK_S
                    self._tick(now_s, buffer, selector)

    def _tick(self, now_s: float, buffer: memoryview, selector: selectors.BaseSelector) -> None:
        ended = self._scan_ended.is_set()
        self._scan_ended.clear()
        attended = selector.get_map()
        for gate in self._gates:
            others, calm = gate.divided.others, not gate.urgent
            if ended:
                gate.scan_ended()
            gate.tick(now_s)
            # After that: a stream that has just been let go may have its next sender here.
            if calm:
                gate.read(buffer)
            if gate.urgent and others not in attended:
                selector.register(others, selectors.EVENT_READ, gate)
            elif not gate.urgent and others in attended:
                selector.unregister(others)

    def stop(self) -> None:
        """Stop attending, and close what is not the streams' own."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()

    def _close(self) -> None:
        for gate in self._gates:
            gate.close()
        for detour in self._detours:
            detour.close()
        self._gates, self._detours = [], []
