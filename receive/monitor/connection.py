"""One request on one connection, which is then closed: spoken by aiohttp, no longer than allowed.

aiohttp has no limit for the time in which a request comes or its answer is taken, nor for the size
of all headers; those are here.  Its compiled parser refuses methods that it does not know and a
second Host header by itself, so that its Python one is used.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_parser import HttpRequestParserPy, RawRequestMessage
from yarl import URL

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
"""How long a body is waited for that nobody reads: to close while it is on its way would take the
answer from the client again."""
MAX_REQUEST_BYTES = 16384
_HOST, _NO_TARGET = b"host:", URL("/")


class Connection(web.RequestHandler):
    """Reads a request, sends the answer.

    Parameters
    ----------
    answers
        Who knows the answer.
    hosts
        By which names it may be asked.
    others
        All that are open, in the order in which they came, and since when; it enters itself.
    """

    def __init__(self, answers: Answers, hosts: Hosts, others: dict[Connection, float]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            web.Server(self._respond),
            loop=loop,
            logger=logger,
            access_log=None,  # type: ignore[arg-type]  # its documentation takes it
            lingering_time=LINGER_S,
        )
        self._parser = _Parser(self, loop, auto_decompress=False)
        self._answers = answers
        self._hosts = hosts
        self._others = others
        self._left_bytes = MAX_REQUEST_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        # The library forgets it where it has begun to close it.
        self._carrier: asyncio.Transport = transport  # type: ignore[assignment]
        self._came_to = str(transport.get_extra_info("sockname")[0])
        self._others[self] = self._loop.time()
        self._end = self._loop.call_later(REQUEST_S, self.give_up)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._end.cancel()
        self._others.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take no more than a request may have."""
        taken = data[: self._left_bytes]
        self._left_bytes -= len(taken)
        super().data_received(taken)
        if not self._left_bytes and not self._carrier.is_closing():
            self._carrier.pause_reading()

    def give_up(self) -> None:
        """Close it, whatever is on its way."""
        logger.debug("Monitor: a client was too slow, or it ends")
        self._carrier.abort()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self._end.cancel()
        self._end = self._loop.call_later(ANSWER_S, self.give_up)
        host, path = _parts_of(request.raw_path)
        asked = [host] if host else request.headers.getall("Host", [])
        if refusal := self._hosts.refusal(asked, self._came_to):
            return _response(plain(HTTPStatus.MISDIRECTED_REQUEST, refusal))
        return _response(self._answers.answer(request.method, path, request.headers.get))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request, in one line as everything else."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            # A defect of the monitor must not become one of the receiver, nor be lost.
            logger.error("Monitor: a request failed", exc_info=exc)
        else:
            logger.debug("Monitor: %s: %s", status, message)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        return _response(plain(HTTPStatus(status), HTTPStatus(status).phrase.lower()))


class _Parser(HttpRequestParserPy):
    def parse_message(self, lines: list[bytes]) -> RawRequestMessage:
        """Read a head; its target is left to us, since the library's request fails at some."""
        given = [line for line in lines if line[: len(_HOST)].lower() == _HOST]
        if len(given) > 1:
            # Together they are no host of anybody, and refused as such.
            one = _HOST + b", ".join(line[len(_HOST) :].strip() for line in given)
            lines = [lines[0], one, *(line for line in lines[1:] if line not in given)]
        return super().parse_message(lines)._replace(url=_NO_TARGET)


def _response(answer: Answer) -> web.Response:
    headers = {
        "Content-Type": answer.content_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Server": "vis-receive",
    }
    response = web.Response(
        status=answer.status, body=answer.body, headers=headers | dict(answer.headers)
    )
    response.force_close()
    return response


def _parts_of(target: str) -> tuple[str, str]:
    """Return the host of a request's target, which goes before any header, and its path."""
    try:
        parts = urlsplit(target)
    except ValueError:  # such as half an IPv6 address
        return "", target
    return parts.netloc, parts.path
