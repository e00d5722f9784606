"""Ends connections that bring too little, and downloads that take too long.

The timeouts of sockets do not: each byte begins them anew, in a header as in a body.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from receive.command.progress import format_bytes, format_seconds

if TYPE_CHECKING:
    from types import TracebackType

LEAST_BYTES_PER_S = 1024.0
"""Who brings less over the stall timeout brings nothing that ends some day."""
_PATIENCE = 1.25
"""So many stall timeouts: who sends nothing at all is left to the timeouts of sockets."""
_LOOKS = 8
"""So often within a stall timeout."""


class Watch:
    """Looks at one download from a thread of its own; ends its connections from there.

    Parameters
    ----------
    stall_timeout_s
        A connection must bring its answer, and then `LEAST_BYTES_PER_S`, over each such time.
    timeout_s
        The whole download must end within it.

    Attributes
    ----------
    deadline_s
        When that is, of the monotonic clock.
    """

    def __init__(self, stall_timeout_s: float, timeout_s: float) -> None:
        self.stall_timeout_s = stall_timeout_s
        self.timeout_s = timeout_s
        self.deadline_s = time.monotonic() + timeout_s
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._since_s = math.inf
        self._bytes = 0
        self._stalled: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="download-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.restart()

    @property
    def is_too_late(self) -> bool:
        """Whether the whole time is over."""
        return time.monotonic() >= self.deadline_s

    @property
    def stalled(self) -> str | None:
        """Why the last connection was ended; None if it was not."""
        return self._stalled

    def restart(self) -> None:
        """Forget the connections there were: what follows is another attempt."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()
            self._since_s, self._bytes, self._stalled = math.inf, 0, None

    def connected(self, connection: socket.socket) -> None:
        """Watch a new connection, from now on."""
        with self._lock:
            # A descriptor of our own: TLS takes the connection's, and both may be closed.
            self._sockets.append(connection.dup())
            self._since_s, self._bytes = time.monotonic(), 0

    def brought(self, count: int) -> None:
        """Count bytes that came."""
        with self._lock:
            self._bytes += count

    def _run(self) -> None:
        every_s = min(self.stall_timeout_s, self.timeout_s) / _LOOKS
        while not self._ended.wait(every_s):
            with self._lock:
                if self.is_too_late or self._has_stalled(time.monotonic()):
                    self._end()

    def _has_stalled(self, now_s: float) -> bool:
        taken_s = now_s - self._since_s
        if taken_s < _PATIENCE * self.stall_timeout_s or self._stalled is not None:
            return False
        if self._bytes < LEAST_BYTES_PER_S * self.stall_timeout_s:
            much = f"only {format_bytes(self._bytes)}" if self._bytes else "no answer"
            self._stalled = f"{much} came in {format_seconds(taken_s)}"
            return True
        self._since_s, self._bytes = now_s, 0
        return False

    def _end(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):  # it has ended by itself
                one.shutdown(socket.SHUT_RDWR)
