"""The port: bound with clear errors, and served in a thread of its own with a loop of its own.

Whoever asks, however often or slowly, can take only a small part of the processor and of memory
from the receiver.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from typing import TYPE_CHECKING, Self

from receive.command.errors import NetworkError
from receive.monitor.connection import Connection
from receive.stream.network.sockets import (
    ALL,
    ALL_IPV4,
    Endpoint,
    all_interfaces,
    host_of,
    resolve,
    socket_address,
)

if TYPE_CHECKING:
    from receive.monitor.answers import Answers
    from receive.monitor.hosts import Hosts

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 32
"""At one time; more wait in the kernel's queue."""
SPARED_S = 0.5
"""A connection that is older than this makes room where all others are taken."""
REQUESTS_PER_S = 100.0
BURST = 200.0
"""So many at once are served as fast as they come: each takes less than a millisecond of the
interpreter, so that `REQUESTS_PER_S` take less than a tenth of it."""
QUEUE = 128
_LOOK_EVERY_S = 0.02


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    host
        `monitor.bind_hostname`.  All addresses means IPv6 too where there is any.
    port
        `monitor.port`.

    Raises
    ------
    NetworkError
        If it cannot.  The message names the key.
    """
    address = resolve(host, "monitor.bind_hostname")
    try:
        return _bind(all_interfaces() if address in {ALL, ALL_IPV4} else address, port)
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                why = "is in use by another program; give a free port, or 0 for no monitor"
            case errno.EADDRNOTAVAIL:
                why = "cannot be bound: monitor.bind_hostname is no address of this machine"
            case errno.EACCES:
                why = "cannot be bound without privileges; give a port from 1024 on"
            case _:
                why = f"cannot be bound: {error.strerror or error}"
        raise NetworkError(f"monitor.port = {port} on {host} {why}") from error


def _bind(address: str, port: int) -> socket.socket:
    endpoint = Endpoint(address)
    family = endpoint.family
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still fading is free.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != ALL))
        made.settimeout(0)
        made.bind(socket_address(endpoint, port))
        made.listen(QUEUE)
    except BaseException:
        made.close()
        raise
    return made


class Listener:
    """Serves requests until it is closed.

    Parameters
    ----------
    listening
        A socket of `bind`; closed with this.
    answers
        Who knows the answers.
    hosts
        By which names it may be asked.
    """

    def __init__(self, listening: socket.socket, answers: Answers, hosts: Hosts) -> None:
        self._listening = listening
        self._answers = answers
        self._hosts = hosts
        self._open: dict[Connection, float] = {}
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._allowance = BURST
        self._counted_s = self._loop.time()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is reached, as far as this machine knows."""
        name = self._listening.getsockname()
        host, port = host_of(name), name[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def _serve(self) -> None:
        with self._listening, self._runner:
            self._runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        accepting = asyncio.create_task(self._accept())
        await self._closed.wait()
        accepting.cancel()
        for connection in self._open:
            connection.give_up()
        # They are told on the loop's next round.
        await asyncio.sleep(0)

    async def _accept(self) -> None:
        while True:
            await self._pace()
            while not self._has_room():
                await asyncio.sleep(_LOOK_EVERY_S)
            try:
                accepted, _ = await self._loop.sock_accept(self._listening)
            except OSError as error:
                # Such as too many open files.
                logger.debug("Monitor: no connection: %s", error)
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            try:
                await self._loop.connect_accepted_socket(self._connection, accepted)
            except Exception:
                # A defect of the monitor must not become one of the receiver, nor be lost.
                logger.exception("Monitor: a connection failed")
                accepted.close()

    def _connection(self) -> Connection:
        return Connection(self._answers, self._hosts, self._open)

    async def _pace(self) -> None:
        """Wait where more requests have come than the receiver can spare time for."""
        now_s = self._loop.time()
        gained = (now_s - self._counted_s) * REQUESTS_PER_S
        self._allowance = min(BURST, self._allowance + gained) - 1
        self._counted_s = now_s
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / REQUESTS_PER_S)

    def _has_room(self) -> bool:
        """Whether there may be one more; the oldest is given up for it if it is a slow one."""
        if len(self._open) < MAX_CONNECTIONS:
            return True
        oldest, since_s = next(iter(self._open.items()))
        if self._loop.time() - since_s > SPARED_S:
            oldest.give_up()
        return False
