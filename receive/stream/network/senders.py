"""Chooses the sender of each stream: the gates of all ports, and the thread that serves them."""

from __future__ import annotations

import logging
import selectors
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from receive.command.errors import NetworkError
from receive.config.values import ANY, FIRST, parse_source
from receive.stream.network.gates import BATCH, SETTLE_S, TICK_S, Gate
from receive.stream.network.sockets import granted_bytes
from receive.stream.network.source_account import in_words
from receive.stream.network.source_filter import Divided, Rule, resolved

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from receive.stream.network.sockets import Endpoint
    from receive.stream.network.source import Listening
    from receive.stream.network.source_account import SourceAccount
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

_OVERRUN_BATCHES = 20
"""Full batches in succession after which a gate counts as overrun."""
_LARGEST_DATAGRAM_BYTES = 1 << 16
_STRANGERS_BUFFER_BYTES = 1 << 16


class Senders(ABC):
    """Chooses the sender of each stream; subclasses make the gates of their transport.

    Parameters
    ----------
    listening
        Who may send, and how long a silent sender keeps its stream.
    state
        The shared arrays.
    account
        Records refused packets and connections.
    packets
        Returns how many packets a stream has received.
    """

    def __init__(
        self,
        listening: Listening,
        state: SharedState,
        account: SourceAccount,
        packets: Callable[[int], int],
    ) -> None:
        self._allowed = listening.allowed
        self._silence_s = max(listening.connect_timeout_s, listening.dump_timeout_s)
        self._state = state
        self._account = account
        self._packets = packets
        self._gates: list[Gate] = []
        self._stopping = threading.Event()
        self._scan_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="senders", daemon=True)

    @abstractmethod
    def _gate(self, stream: int, divided: Divided, rules: Sequence[Rule]) -> Gate:
        """Return the gate of a stream."""

    def divide(self, sockets: Sequence[socket.socket], endpoint: Endpoint) -> None:
        """Make the kernel divide packets by their source, from now on.

        Parameters
        ----------
        sockets
            The bound socket of each stream.
        endpoint
            What they are bound to.

        Raises
        ------
        NetworkError
            If the kernel cannot and `reception.sources` is a choice, or a name does not resolve.
        """
        rules: Sequence[Rule] = ()
        if self._allowed[0] not in {ANY, FIRST}:
            rules = resolved(self._allowed, [parse_source(one) for one in self._allowed])
        try:
            for stream, opened in enumerate(sockets):
                self._add_gate(stream, opened, endpoint, rules)
        except OSError as error:
            self._close()
            if self._allowed[0] != ANY:
                raise NetworkError(
                    f"reception.sources = {in_words(self._allowed)}: the kernel does not divide "
                    f"what comes to port {sockets[stream].getsockname()[1]} by source ({error}); "
                    f"give fewer sources, or any"
                ) from error
            logger.debug("Who sends is not seen: the kernel does not divide ports: %s", error)

    def _add_gate(
        self, stream: int, opened: socket.socket, endpoint: Endpoint, rules: Sequence[Rule]
    ) -> None:
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

    @property
    def beside(self) -> list[socket.socket]:
        """The sockets with packets not examined yet, which may be of the senders."""
        return [gate.divided.others for gate in self._gates if gate.urgent]

    def dropped(self, stream: int) -> int:
        """Return the packets of a stream that the kernel dropped before they were examined."""
        return self._gates[stream].dropped if self._gates else 0

    def start(self) -> None:
        """Start the thread."""
        if self._gates:
            self._thread.start()

    def scan_ended(self) -> None:
        """Record that a scan has ended."""
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
            # After the tick: a stream just released may have its next sender here.
            if calm:
                gate.read(buffer)
            if gate.urgent and others not in attended:
                selector.register(others, selectors.EVENT_READ, gate)
            elif not gate.urgent and others in attended:
                selector.unregister(others)

    def stop(self) -> None:
        """Stop the thread and close the second sockets."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()

    def _close(self) -> None:
        for gate in self._gates:
            gate.close()
        self._gates = []
