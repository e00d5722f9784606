"""Somebody else on the network: stops, starts, heaps of other times, noise, stray connections."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from tests.integration.senders import CONTROL, STOP, packets_of, udp_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.senders import Observation

PACKETS_PER_S = 1000
BATCH = 10
CONNECTIONS = 4


class Stranger:
    """Sends to the ports of a receiver, from addresses of its own, until told to stop.

    Parameters
    ----------
    ports
        Where the receiver listens.
    observation
        What the receiver expects: heaps are of its shape, and of times far from those being sent.
    seed
        Says what is sent.
    tcp
        Make connections that bring nothing instead of sending datagrams.

    Attributes
    ----------
    now
        Number of the integration that the sender is at.
    """

    FAR = 40
    """A time so many integrations away is not where the sender is, and will not be soon."""

    def __init__(
        self, ports: Sequence[int], observation: Observation, seed: int, *, tcp: bool = False
    ) -> None:
        self.now = 0
        self.sent = 0
        self._ports = ports
        self._observation = observation
        self._rng = random.Random(seed)
        self._count = 1 if self.counts_as_the_sender(seed) else self._rng.getrandbits(47)
        self._stop = threading.Event()
        self._sockets = []
        if not tcp:
            for host in range(2, 6):
                self._sockets.append(udp_socket(f"127.0.0.{host}"))
        self._thread = threading.Thread(target=self._connect if tcp else self._send, daemon=True)

    @staticmethod
    def counts_as_the_sender(seed: int) -> bool:
        """Whether its heaps' counts begin where the sender's do; else they are from anywhere."""
        return bool(seed % 2)

    @property
    def began(self) -> bool:
        """Whether it sends."""
        return self._thread.ident is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for opened in self._sockets:
            opened.close()

    def _send(self) -> None:
        begun_s = time.monotonic()
        while not self._stop.wait(max(0.0, begun_s + self.sent / PACKETS_PER_S - time.monotonic())):
            for _ in range(BATCH):
                port = self._rng.randrange(len(self._ports))
                packet = self._packet(port)
                self._rng.choice(self._sockets).sendto(packet, ("127.0.0.1", self._ports[port]))
                self.sent += 1

    def _connect(self) -> None:
        held: list[socket.socket] = []
        while not self._stop.wait(0.02):
            made = socket.socket()
            made.bind((f"127.0.0.{self._rng.randrange(2, 6)}", 0))
            made.settimeout(1)
            with contextlib.suppress(OSError):
                made.connect(("127.0.0.1", self._rng.choice(self._ports)))
                if self._rng.random() < 0.5:
                    made.sendall(self._rng.randbytes(100))
                self.sent += 1
            held.append(made)
            if len(held) > CONNECTIONS:
                held.pop(0).close()
        for made in held:
            made.close()

    def _packet(self, group: int) -> bytes:
        self._count += 1
        kind = self._rng.choice(("stop", "start", "heap", "heap", "noise"))
        if kind == "stop":
            return packets_of(self._count, {CONTROL: STOP})[0]
        if kind == "start":
            scan_id = self._rng.getrandbits(48)
            return self._observation.start_of_others(group, self._count, scan_id)[0]
        if kind == "heap":
            # Of one packet: what looks like a part of the sender's own heap is forged.
            index = self._rng.choice(self._far_times())
            packet, *more = self._observation.low_of_others(index, group, self._count)
            assert not more
            return packet
        return self._rng.randbytes(self._rng.randrange(1, 1400))

    def _far_times(self) -> list[int]:
        """Return numbers of integrations that are far from where the sender is."""
        times = self._observation.times
        now = self.now
        return [i for i in range(-times, 3 * times) if abs(i - now) > self.FAR]
