"""Packets dropped by the kernel: its counter of each receiving socket.

The kernel drops and counts a datagram that finds the socket's buffer full.  So packets lost on
this machine can be told from packets that never arrived.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import TYPE_CHECKING

import numpy as np

from receive.stream.network.sockets import granted_bytes, rmem_max_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_SO_MEMINFO = 55
_RECEIVED, _DROPS = 0, 8
_MEMINFO = struct.Struct("@9I")
"""Linux' include/uapi/linux/sock_diag.h: nine values, SK_MEMINFO_RMEM_ALLOC first and
SK_MEMINFO_DROPS last.

The latter is `drops` in /proc/net/udp, without looking for the socket there."""
_COUNTER_RANGE = 2**32
_MORE = 4
"""Factor from the buffer that overflowed to the one advised."""


class KernelDrops:
    """Counts the packets that the kernel dropped at the socket of each stream.

    For the receiver's own thread only.

    Attributes
    ----------
    counts
        int64 (streams,), as last read; replaced, never modified.  None if not available.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._seen: list[int] = []
        self._further: Callable[[int], int] | None = None
        self._further_seen = np.zeros(0, np.int64)
        self.counts: NDArray[np.int64] | None = None
        self._warned = False

    def watch(
        self, sockets: Sequence[socket.socket], further: Callable[[int], int] | None = None
    ) -> None:
        """Count drops of these UDP sockets, one per stream, from now on.

        Linux before 4.12 has no counter: nothing is counted.

        Parameters
        ----------
        sockets
            Of the streams.
        further
            Returns other drops of a stream so far.
        """
        raw = [dropped(opened) for opened in sockets]
        if not raw or None in raw:
            logger.debug("The kernel does not count what it drops of these sockets")
            return
        self._sockets = list(sockets)
        self._seen = [count for count in raw if count is not None]
        self._further = further
        self._further_seen = np.zeros(len(raw), np.int64)
        self.counts = np.zeros(len(raw), np.int64)

    def read(self) -> NDArray[np.int64] | None:
        """Return the packets dropped so far, int64 (streams,); None if not available.

        Warn of the first ones.
        """
        if self.counts is None:
            return None
        counts = self.counts.copy()
        for stream, opened in enumerate(self._sockets):
            now = dropped(opened)
            if now is not None:
                # The kernel's counter has 32 bits.
                counts[stream] += (now - self._seen[stream]) % _COUNTER_RANGE
                self._seen[stream] = now
        if self._further is not None:
            further = np.array([self._further(n) for n in range(len(counts))], np.int64)
            counts += further - self._further_seen
            self._further_seen = further
        if counts.any() and not self._warned:
            self._warned = True
            self._warn(counts)
        self.counts = counts
        return counts

    def _warn(self, counts: NDArray[np.int64]) -> None:
        worst = int(counts.argmax())
        granted, limit = granted_bytes(self._sockets[worst]), rmem_max_bytes()
        advised = _MORE * granted
        raise_limit = (
            f" after sudo sysctl -w net.core.rmem_max={advised}"
            if limit is None or limit < advised
            else ""
        )
        logger.warning(
            "The kernel dropped %d packets (most of them on port %d) because the socket's buffer "
            "of %d bytes was full; to lose fewer: -o reception.buffer_size=%d%s, or slow the "
            "sender down (transmission.rate)",
            counts.sum(),
            self._sockets[worst].getsockname()[1],
            granted,
            advised,
            raise_limit,
        )


def dropped(opened: socket.socket) -> int | None:
    """Return the kernel's counter of a socket; None if it has none, or the socket is closed."""
    return _meminfo(opened, _DROPS)


def waiting_bytes(opened: socket.socket) -> int:
    """Return the memory of the packets waiting in a socket; 0 if not available."""
    return _meminfo(opened, _RECEIVED) or 0


def _meminfo(opened: socket.socket, which: int) -> int | None:
    try:
        answer = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    if len(answer) < _MEMINFO.size:
        return None
    return int(_MEMINFO.unpack(answer)[which])
