"""Heaps over TCP, a connection for each stream."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
from typing import TYPE_CHECKING

import spead2.send.asyncio

from emulator.send.transmitter import Lane, Transmitter
from receive.command.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.send.addresses import Target

logger = logging.getLogger(__name__)

CONNECT_PATIENCE_S = 10.0
"""How long to try to connect: a receiver that is started together with the sender needs a while."""

_FIRST_RETRY_S = 0.1
_SLOWEST_RETRY_S = 1.0
# Not there yet: refused, restarting, or a host whose address nobody answers to.
_WORTH_RETRYING = frozenset(
    {errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ECONNABORTED}
)
_SPARE_DESCRIPTORS = 128


class TcpTransmitter(Transmitter):
    """One lane for each connection."""

    connect_patience_s = CONNECT_PATIENCE_S
    _told_waiting = False

    async def _make_lanes(self) -> list[Lane]:
        _allow_descriptors(2 * len(self.targets) + _SPARE_DESCRIPTORS)
        try:
            async with asyncio.timeout(self.connect_patience_s) as limit:
                tasks = [asyncio.create_task(self._connect(t, limit)) for t in self.targets]
                try:
                    self._sockets = list(await asyncio.gather(*tasks))
                except BaseException:
                    await _discard(tasks)
                    raise
        except TimeoutError:
            raise NetworkError(
                f"no connection to {self._names()} within {self.connect_patience_s:g} s: nobody "
                f"answers there"
            ) from None
        return [self._lane(index, opened) for index, opened in enumerate(self._sockets)]

    def _names(self) -> str:
        others = len(self.targets) - 1
        return f"{self.targets[0]}" + (f" and {others} others" if others else "")

    async def _connect(self, target: Target, limit: asyncio.Timeout) -> socket.socket:
        retry_s = _FIRST_RETRY_S
        while True:
            opened = socket.socket(target.family, socket.SOCK_STREAM)
            try:
                opened.setblocking(False)  # noqa: FBT003 (the standard library is so)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.buffer_bytes)
                await self._loop.sock_connect(opened, target.name)
            except OSError as error:
                opened.close()
                deadline_s = limit.when() or 0.0
                out_of_time = self._loop.time() + retry_s >= deadline_s
                if error.errno not in _WORTH_RETRYING or out_of_time:
                    raise self._refused(target, error) from None
                self._tell_waiting(target, error)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _SLOWEST_RETRY_S)
            except BaseException:
                opened.close()
                raise
            else:
                return opened

    def _refused(self, target: Target, error: OSError) -> NetworkError:
        tried = (
            f" (tried for {self.connect_patience_s:g} s)" if error.errno in _WORTH_RETRYING else ""
        )
        return NetworkError(
            f"no TCP connection to {target}: {_reason(error)}{tried}; is a receiver with "
            f"reception.transport tcp running there?"
        )

    def _tell_waiting(self, target: Target, error: OSError) -> None:
        if not self._told_waiting:
            self._told_waiting = True
            logger.info(
                "%s: %s; trying again for %g s",
                target,
                _reason(error),
                self.connect_patience_s,
            )

    def _lane(self, index: int, opened: socket.socket) -> Lane:
        streams = range(index, index + 1)
        stream = spead2.send.asyncio.TcpStream(self._pool, opened, self._config(streams))
        # spead2 works with a duplicate; this one is to learn that the connection was lost, which
        # spead2 does not when it waits to be able to write.
        self._loop.add_reader(opened, self._look_at, index, opened)
        return Lane(stream, streams)

    def _look_at(self, index: int, opened: socket.socket) -> None:
        """Something came back, which no receiver sends, or the connection was lost."""
        try:
            if opened.recv(4096):
                return
            reason = "the receiver closed it"
            # A receiver closes a stream that has ended, while others are still ending.
            expected = self.ending
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            reason, expected = _reason(error), False
        self._loop.remove_reader(opened)
        if expected:
            return
        self._break(NetworkError(f"the connection to {self.targets[index]} was lost: {reason}"))


def _reason(error: OSError) -> str:
    # asyncio puts its own words in place of the system's.
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _allow_descriptors(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise NetworkError(
            f"{needed} open files are needed for so many connections, the limit is {hard}: raise "
            f"it (ulimit -n) or give more transmission.channels_per_stream"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def _discard(tasks: Sequence[asyncio.Task[socket.socket]]) -> None:
    """Cancel what is still connecting and close what has connected."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):
            with contextlib.suppress(OSError):
                result.close()
