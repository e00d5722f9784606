"""A web server for tests, with the faults that real ones have."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes
    ----------
    status
        Answered instead of the file, unless it is 0.
    sent_bytes
        So much of the body is sent, of the length that was announced.
    stalls
        Then nothing comes any more, but the connection stays.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent_bytes: int | None = None
    stalls: bool = False


@dataclass
class Site:
    """What is served, and what was asked for; over TLS with a certificate and its key."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    ranges: bool = True
    etag: str = '"one"'
    always: Fault | None = None
    port: int = 0
    address: str = "127.0.0.1"
    certificate: tuple[Path, Path] | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str, user: str = "") -> str:
        """Return the URL of a file."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{user}{self.address}:{self.port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        site.requests.append((self.path, dict(self.headers)))
        self.close_connection = True
        fault = site.faults.pop(0) if site.faults else site.always or Fault()
        if fault.status:
            self._answer(fault.status, fault.body, fault.headers)
            return
        body = site.files.get(self.path.partition("?")[0].lstrip("/"))
        if body is None:
            self._answer(404, b"nothing here", {})
            return
        asked = self.headers.get("Range")
        headers = {"ETag": site.etag} if site.etag else {}
        if asked and site.ranges and self.headers.get("If-Range") == site.etag:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            self._answer(206, body[first:], headers | dict(fault.headers), fault)
        else:
            self._answer(200, body, headers | dict(fault.headers), fault)

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        fault = fault or Fault()
        self.wfile.write(body[: fault.sent_bytes])
        self.wfile.flush()
        if fault.stalls:
            site: Site = self.server.site  # type: ignore[attr-defined]
            site.stalled.set()
            site.ended.wait(PATIENCE_S)


@contextmanager
def serving(site: Site, port: int = 0) -> Iterator[Site]:
    """Serve a site as long as this lasts."""
    server = ThreadingHTTPServer((site.address, port), _Handler)
    server.daemon_threads = True
    if site.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*site.certificate)
        # Who does not trust it is dealt with in a thread of its own.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.site = site  # type: ignore[attr-defined]
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
