"""One request on one connection, which is then closed: HTTP/1.0, and no longer than allowed."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from receive.monitor.answers import plain

if TYPE_CHECKING:
    from receive.monitor.answers import Answer, Answers
    from receive.monitor.hosts import Hosts

logger = logging.getLogger(__name__)

REQUEST_S = 3.0
"""In which a request must have come, however slowly it drips."""
ANSWER_S = 10.0
"""In which its answer must have been taken."""
LINGER_S = 0.5
MAX_HEAD_BYTES = 16384
_STEP_BYTES = 4096


class RequestHandler(BaseHTTPRequestHandler):
    """Reads a request, sends the answer.

    Parameters
    ----------
    connection
        Closed by the caller.
    client
        Where it comes from.
    answers
        Who knows the answer.
    hosts
        By which names it may be asked.
    """

    def __init__(
        self, connection: socket.socket, client: Any, answers: Answers, hosts: Hosts
    ) -> None:
        self._answers = answers
        self._hosts = hosts
        # The library's name for whom it serves, which is nobody here.
        super().__init__(connection, client, None)  # type: ignore[arg-type]

    def setup(self) -> None:
        """Read the whole head, before anything looks at it."""
        self.connection = self.request
        self.rfile = io.BytesIO(_head_of(self.connection))
        self.wfile = self._written = io.BytesIO()

    def handle(self) -> None:
        """Answer the request, if one came."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(_STEP_BYTES * 2)
        if not self.raw_requestline:
            return
        # It answers what is no request itself.
        if not self.parse_request():
            return
        host, path = _parts_of(self.path)
        asked = [host] if host else self.headers.get_all("Host", [])
        came_to = str(self.connection.getsockname()[0])
        if refusal := self._hosts.refusal(asked, came_to):
            self._send(plain(HTTPStatus.MISDIRECTED_REQUEST, refusal))
        else:
            self._send(self._answers.answer(self.command, path, self.headers.get))

    def finish(self) -> None:
        """Send what was written, and let the client close first if it does so soon."""
        answer = self._written.getvalue()
        if not answer:
            return
        self.connection.settimeout(ANSWER_S)
        self.connection.sendall(answer)
        self.connection.shutdown(socket.SHUT_WR)
        # To close while a body is on its way would take the answer from the client again.
        with contextlib.suppress(TimeoutError):
            _read_to_end(self.connection, time.monotonic() + LINGER_S)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request, in one line as everything else."""
        status = HTTPStatus(code)
        logger.debug("Monitor: %s %s %s", code, message, explain)
        self._send(plain(status, status.phrase.lower()))

    def _send(self, answer: Answer) -> None:
        # What is no request has no version either; its answer has a head all the same.
        self.request_version = self.protocol_version
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        """Return what the answers say of the server."""
        return "vis-receive"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Log requests where only those see them who ask for it."""
        logger.debug("Monitor: %s", (format % args).encode("unicode_escape").decode())


def _parts_of(target: str) -> tuple[str, str]:
    """Return the host of a request's target, which goes before any header, and its path."""
    try:
        parts = urlsplit(target)
    except ValueError:  # such as half an IPv6 address
        return "", target
    return parts.netloc, parts.path


def _head_of(connection: socket.socket) -> bytes:
    """Return the first lines of a request, up to the empty one."""
    deadline_s = time.monotonic() + REQUEST_S
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        part = _receive(connection, deadline_s)
        head += part
        if not part or len(head) > MAX_HEAD_BYTES:
            break
    return head


def _read_to_end(connection: socket.socket, deadline_s: float) -> None:
    left = MAX_HEAD_BYTES
    while left > 0 and (part := _receive(connection, deadline_s)):
        left -= len(part)


def _receive(connection: socket.socket, deadline_s: float) -> bytes:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    connection.settimeout(left_s)
    return connection.recv(_STEP_BYTES)
