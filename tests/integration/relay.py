"""A UDP relay that harms packets by a seed, and remembers what it did to each of them."""

from __future__ import annotations

import random
import socket
import threading
from dataclasses import dataclass

from tests.integration.senders import header_of


@dataclass(frozen=True)
class Harm:
    """How often each harm is done to a packet."""

    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0
    """Held back until one to `reach` later packets have passed."""
    reach: int = 3
    corrupt: float = 0.0
    """Cut short or its header spoilt, so that nobody can take it for a packet of the stream."""


class Relay:
    """Forwards what comes to its port to another port, harming it on the way.

    Attributes
    ----------
    sent, delivered
        For each heap count, the offsets of the packets that came and of those that went on
        unharmed.
    ticks
        Timestamp of each heap that has one.
    order
        Heap counts in the order in which packets went on.
    """

    def __init__(self, target_port: int, harm: Harm, seed: int) -> None:
        self.ticks: dict[int, int] = {}
        self.sent: dict[int, set[int]] = {}
        self.delivered: dict[int, set[int]] = {}
        self.order: list[int] = []
        self.repeated = self.delayed = self.corrupted = self.dropped = 0
        self._harm = harm
        self._random = random.Random(seed)
        self._target = ("127.0.0.1", target_port)
        self._held: list[tuple[int, bytes]] = []
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._in.bind(("127.0.0.1", 0))
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._in.getsockname()[1])

    def finish(self) -> None:
        """Forward all that came so far, then end."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._in.close()
        self._out.close()

    def missing(self) -> set[int]:
        """Return the heap counts of which some packet never went on unharmed."""
        return {count for count, sent in self.sent.items() if self.delivered.get(count) != sent}

    def _run(self) -> None:
        while packet := self._in.recv(65536):
            self._pass_on(packet)
        for _, packet in self._held:
            self._deliver(packet)

    def _pass_on(self, packet: bytes) -> None:
        header = header_of(packet)
        if header.ticks is not None:
            self.ticks[header.heap_count] = header.ticks
        self.sent.setdefault(header.heap_count, set()).add(header.offset)
        roll = self._random.random
        if roll() < self._harm.drop:
            self.dropped += 1
        elif roll() < self._harm.corrupt:
            self.corrupted += 1
            cut = packet[: self._random.randrange(1, len(packet))]
            spoilt = self._random.randbytes(8) + packet[8:]
            self._out.sendto(self._random.choice((cut, spoilt)), self._target)
        elif roll() < self._harm.delay:
            self.delayed += 1
            self._held.append((self._random.randint(1, self._harm.reach), packet))
            return
        else:
            self._deliver(packet)
            if roll() < self._harm.repeat:
                self.repeated += 1
                self._held.append((self._random.randint(0, self._harm.reach), packet))
        self._release()

    def _release(self) -> None:
        waiting, self._held = self._held, []
        for left, packet in waiting:
            if left <= 1:
                self._deliver(packet)
            else:
                self._held.append((left - 1, packet))

    def _deliver(self, packet: bytes) -> None:
        header = header_of(packet)
        self.delivered.setdefault(header.heap_count, set()).add(header.offset)
        self.order.append(header.heap_count)
        self._out.sendto(packet, self._target)
