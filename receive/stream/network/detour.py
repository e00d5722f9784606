"""A private socket pair to a stream, for packets that arrived at another socket."""

from __future__ import annotations

import logging
import socket
import time

from receive.stream.network.kernel_drops import waiting_bytes

logger = logging.getLogger(__name__)

_FULL_WAIT_S = 0.0002
_FULL_GIVE_UP_S = 1.0
_OVERHEAD_BYTES = 1024
"""Upper bound of the kernel's overhead per datagram."""


class Detour:
    """A private socket pair to a stream: spead2 reads the packets from `out`.

    Parameters
    ----------
    buffer_bytes
        Buffer of the pair.

    Attributes
    ----------
    out
        The socket that spead2 reads.
    """

    def __init__(self, buffer_bytes: int) -> None:
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            for one in (self.out, self._in):
                one.bind(("127.0.0.1", 0))
            # Connected, so that no other program can send to it.
            self.out.connect(self._in.getsockname())
            self._in.connect(self.out.getsockname())
            self._unseen = 0
            self._room = self.out.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        except BaseException:
            self.close()
            raise

    def put(self, packet: bytes | memoryview) -> None:
        """Send a packet to the stream; wait while the buffer is full."""
        self._unseen += len(packet) + _OVERHEAD_BYTES
        if self._unseen > self._room // 2:
            self._unseen = 0
            if not self._wait():
                return
        self._in.send(packet)

    def _wait(self) -> bool:
        until_s = 0.0
        while waiting_bytes(self.out) > self._room:
            now_s = time.monotonic()
            until_s = until_s or now_s + _FULL_GIVE_UP_S
            if now_s > until_s:
                logger.debug("A packet found the detour full")
                return False
            time.sleep(_FULL_WAIT_S)
        return True

    def close(self) -> None:
        """Close both ends."""
        self.out.close()
        self._in.close()
