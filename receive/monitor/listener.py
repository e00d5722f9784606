"""The port: bound with clear errors, served by a bounded number of threads.

Whoever asks, however often or slowly, can take only a small part of the processor and of memory
from the receiver.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from receive.command.errors import NetworkError
from receive.monitor.requests import RequestHandler
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
"""At one time, each with a thread; more wait in the kernel's queue."""
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
        self._lock = threading.Lock()
        # In the order in which they came.
        self._open: dict[socket.socket, float] = {}
        self._allowance = BURST
        self._counted_s = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            # The thread that waits for a connection wakes up.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    @property
    def url(self) -> str:
        """Where it is reached, as far as this machine knows."""
        name = self._listening.getsockname()
        host, port = host_of(name), name[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def _accept(self) -> None:
        while not self._closed.is_set():
            self._pace()
            if not self._has_room():
                self._closed.wait(_LOOK_EVERY_S)
                continue
            try:
                connection, client = self._listening.accept()
            except OSError as error:
                # Such as too many open files.
                if not self._closed.wait(_LOOK_EVERY_S):
                    logger.debug("Monitor: no connection: %s", error)
                continue
            with self._lock:
                self._open[connection] = time.monotonic()
            thread = threading.Thread(
                target=self._serve, args=(connection, client), name="monitor request", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                logger.debug("Monitor: no thread: %s", error)
                self._forget(connection)

    def _pace(self) -> None:
        """Wait where more requests have come than the receiver can spare time for."""
        now_s = time.monotonic()
        gained = (now_s - self._counted_s) * REQUESTS_PER_S
        self._allowance = min(BURST, self._allowance + gained) - 1
        self._counted_s = now_s
        if self._allowance < 0:
            self._closed.wait(-self._allowance / REQUESTS_PER_S)

    def _has_room(self) -> bool:
        """Whether there may be one more; the oldest is given up for it if it is a slow one."""
        with self._lock:
            if len(self._open) < MAX_CONNECTIONS:
                return True
            oldest, since_s = next(iter(self._open.items()))
            if time.monotonic() - since_s > SPARED_S:
                # Its thread ends then, and forgets it.
                _shut(oldest)
            return False

    def _serve(self, connection: socket.socket, client: Any) -> None:
        try:
            RequestHandler(connection, client, self._answers, self._hosts)
        except OSError as error:
            logger.debug("Monitor: a client was too slow, or is gone: %s", error)
        except Exception:
            # A defect of the monitor must not become one of the receiver, nor be lost.
            logger.exception("Monitor: a request failed")
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
        connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
