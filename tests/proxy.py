"""A small forward proxy for tests, which tells what went through it."""

from __future__ import annotations

import base64
import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Proxy:
    """What a proxy did.

    Attributes
    ----------
    credentials
        ``user:password`` that it asks for, if any.
    """

    credentials: str = ""
    port: int = 0
    urls: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.urls.append(self.path)
        wanted = "Basic " + base64.b64encode(proxy.credentials.encode()).decode()
        if proxy.credentials and self.headers.get("Proxy-Authorization") != wanted:
            self.send_error(407)
            return
        parts = urlsplit(self.path)
        # Every name is this machine's: what is asked for by an address of it needs no proxy.
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=30)
        try:
            connection.request(self.command, parts.path or "/", headers={"Host": parts.netloc})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 (so the server looks for it)


@contextmanager
def proxying(credentials: str = "") -> Iterator[Proxy]:
    """Run a proxy as long as this lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.proxy = Proxy(credentials, server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.proxy  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
