"""A web site of telescope models with the faults that real ones have; it runs in a pod.

Only the standard library: the tests put this file into the image ``receive`` and run it there.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path("/usr/share/vis-receive/sample.tar.gz")
BOMB_BYTES = 80 << 20
PIECES = 8
PAUSE_S = 0.5
TRIES = 2


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path: ``/FAULT/anything.tar.gz``."""

    protocol_version = "HTTP/1.1"
    asked_at_busy = 0

    def do_GET(self) -> None:
        """Answer a request."""
        self.close_connection = True
        fault = self.path.strip("/").partition("/")[0]
        answer = ANSWERS.get(fault)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def send_all(self, body: bytes) -> None:
        """Send a body as it is."""
        self.begin(len(body))
        self.wfile.write(body)

    def send_slowly(self, body: bytes) -> None:
        """Send a body bit by bit."""
        self.begin(len(body))
        size = -(-len(body) // PIECES)
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(PAUSE_S)

    def send_half(self, body: bytes, *, stalls: bool) -> None:
        """Announce a body and send half of it."""
        self.begin(len(body))
        self.wfile.write(body[: len(body) // 2])
        if stalls:
            threading.Event().wait()

    def send_when_asked_again(self, body: bytes) -> None:
        """Be busy, at first."""
        Handler.asked_at_busy += 1
        if Handler.asked_at_busy <= TRIES:
            self.send_error(503)
        else:
            self.send_all(body)

    def begin(self, length: int) -> None:
        """Send what stands before a body."""
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a .tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def link() -> bytes:
    """Return an archive with a link out of it."""
    info = tarfile.TarInfo("sim-vis.ms/table.dat")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return archive((info, b""))


def bomb() -> bytes:
    """Return a small archive of a large file."""
    info = tarfile.TarInfo("sim-vis.ms/table.f0")
    info.size = BOMB_BYTES
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        stream.write(info.tobuf())
        for _ in range(BOMB_BYTES >> 20):
            stream.write(bytes(1 << 20))
        stream.write(bytes(1024))
    return packed.getvalue()


GOOD = SAMPLE.read_bytes()
BOMB = bomb()
ANSWERS: dict[str, Callable[[Handler], None]] = {
    "good": lambda handler: handler.send_all(GOOD),
    "slow": lambda handler: handler.send_slowly(GOOD),
    "busy": lambda handler: handler.send_when_asked_again(GOOD),
    "stalls": lambda handler: handler.send_half(GOOD, stalls=True),
    "ends-early": lambda handler: handler.send_half(GOOD, stalls=False),
    "truncated": lambda handler: handler.send_all(GOOD[: len(GOOD) // 2]),
    "page": lambda handler: handler.send_all(b"<html><title>Please log in</title></html>"),
    "bomb": lambda handler: handler.send_all(BOMB),
    "escape": lambda handler: handler.send_all(
        archive((tarfile.TarInfo("../../etc/cron.d/evil"), b"* * * * * root true\n"))
    ),
    "link": lambda handler: handler.send_all(link()),
}


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
