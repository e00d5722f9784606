"""A web server that answers byte by byte what a test says, and hostile answers for it."""

from __future__ import annotations

import gzip
import itertools
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator

DIGITS = b"9" * 5000
OK = b"HTTP/1.1 200 OK\r\n"
FOUND = b"HTTP/1.1 302 Found\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_MOST_PIECES = 1 << 14
_DRIP_S = 0.05


@dataclass
class Hostile:
    """A server at work.

    Attributes
    ----------
    answers
        What it answers, by path: pieces, one after the other.
    requests
        What it was asked, as it came.
    ended
        Set when it should.
    """

    answers: dict[str, Callable[[Hostile], Iterable[bytes]]] = field(default_factory=dict)
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        """Return the URL of an answer."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def dripped(self, piece: bytes) -> Iterator[bytes]:
        """Give a piece again and again, a little slower than would be worth waiting for."""
        while not self.ended.wait(_DRIP_S):
            yield piece


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        hostile: Hostile = self.server.hostile  # type: ignore[attr-defined]
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        hostile.requests.append(head)
        answer = hostile.answers.get(head.split(b" ")[1].decode().lstrip("/").partition("?")[0])
        pieces = answer(hostile) if answer else [b"HTTP/1.1 404 Not Found\r\n\r\n"]
        try:
            for piece in itertools.islice(pieces, _MOST_PIECES):
                self.wfile.write(piece)
                if hostile.ended.is_set():
                    break
        except OSError:
            pass  # it has heard enough


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(
    answers: dict[str, Callable[[Hostile], Iterable[bytes]]] | None = None,
) -> Iterator[Hostile]:
    """Serve answers as long as this lasts."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        hostile = Hostile(answers or {}, server.server_address[1])
        server.hostile = hostile  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hostile
        finally:
            hostile.ended.set()
            server.shutdown()
            thread.join()


def fixed(*pieces: bytes) -> Callable[[Hostile], Iterable[bytes]]:
    """Return an answer of these pieces."""
    return lambda _: pieces


def redirect(location: bytes, rest: bytes = b"Content-Length: 0\r\n\r\n") -> bytes:
    """Return a redirect."""
    return FOUND + b"Location: " + location + b"\r\n" + rest


def endless(head: bytes, piece: bytes) -> Callable[[Hostile], Iterable[bytes]]:
    """Return an answer that goes on as long as anybody listens, up to gigabytes."""
    return lambda _: itertools.chain([head], itertools.repeat(piece))


def drip(head: bytes, piece: bytes) -> Callable[[Hostile], Iterable[bytes]]:
    """Return an answer that goes on for ever, slowly."""
    return lambda hostile: itertools.chain([head], hostile.dripped(piece))


LINE = b"x" * (1 << 17)
MEGABYTE = bytes(1 << 20)

ANSWERS: dict[str, tuple[Callable[[Hostile], Iterable[bytes]], str]] = {
    "digits in the length": (
        fixed(OK + b"Content-Length: " + DIGITS + b"\r\n\r\nx"),
        "a length of 5000 digits",
    ),
    "two lengths": (fixed(OK + b"Content-Length: 5, " + DIGITS + b"\r\n\r\nhello"), ""),
    "negative length": (fixed(OK + b"Content-Length: -5\r\n\r\nhello"), "is no archive"),
    "digits in the range": (
        fixed(b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-" + DIGITS + b"/" + DIGITS + b"\r\n\r\nx"),
        "sent another part",
    ),
    "digits in the status": (fixed(b"HTTP/1.1 " + DIGITS + b" OK\r\n\r\n"), ""),
    "digits to come again": (
        fixed(b"HTTP/1.1 503 No\r\nRetry-After: " + DIGITS + b"\r\n\r\n"),
        "answered 503",
    ),
    "a year to come again": (
        fixed(b"HTTP/1.1 503 No\r\nRetry-After: Wed, 21 Oct 9999999999 07:28:00 GMT\r\n\r\n"),
        "answered 503",
    ),
    "a reason of many lines": (
        fixed(b"HTTP/1.1 404 a\x85b\x0bc\x1b[2Jd" + b"e" * 5000 + b"\r\n\r\n"),
        "answered 404 a b c [2Jdeee",
    ),
    "no status": (fixed(b"hello\r\n\r\n"), ""),
    "nothing": (fixed(b""), ""),
    "endless status": (endless(b"HTTP/1.1 200 ", LINE), ""),
    "endless header": (endless(OK + b"X: ", LINE), ""),
    "endless headers": (endless(OK, b"X: y\r\n" * 20_000), ""),
    "endless continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), ""),
    "slow header": (drip(OK + b"X: ", b"y"), "no answer came in"),
    "slow continue": (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "no answer came in"),
    "slow body": (drip(OK + b"Content-Length: 99999999\r\n\r\n", b"\x1f"), "came in"),
    "slow body without length": (drip(OK + b"\r\n", b"\x1f"), "came in"),
    "slow chunks": (drip(CHUNKED, b"1\r\nx\r\n"), "came in"),
    "slow end of chunks": (drip(CHUNKED + b"0\r\n", b"X: y\r\n"), "no answer came in"),
    "too long altogether": (
        drip(OK + b"\r\n", bytes(1 << 12)),
        "it takes more than",
    ),
    "endless body": (endless(OK + b"\r\n", MEGABYTE), "is larger than"),
    "endless chunk size": (endless(CHUNKED, LINE), ""),
    "endless end of chunks": (endless(CHUNKED + b"0\r\nX: ", LINE), ""),
    "a chunk of gigabytes": (endless(CHUNKED + b"ffffffffff\r\n", MEGABYTE), "is larger than"),
    "digits in the chunk size": (endless(CHUNKED + DIGITS + b"\r\n", MEGABYTE), "is larger than"),
    "negative chunk size": (endless(CHUNKED + b"-5\r\n", MEGABYTE), ""),
    "no chunk size": (fixed(CHUNKED + b"hello\r\n"), ""),
    "another encoding": (
        fixed(OK + b"Content-Encoding: br\r\n\r\nhello"),
        "answers in the Content-Encoding br",
    ),
    "redirect with a body": (
        endless(redirect(b"/none", b"Content-Length: 9999999999\r\n\r\n"), MEGABYTE),
        "answered 404",
    ),
    "redirect with a bomb": (
        fixed(
            redirect(b"/none", b"Content-Encoding: gzip\r\n\r\n"),
            *[gzip.compress(bytes(64 << 20))] * 4,
        ),
        "answered 404",
    ),
    "redirect to nowhere": (fixed(FOUND + b"\r\n"), "redirects to nowhere"),
    "redirect to itself": (
        fixed(redirect(b"/redirect%20to%20itself")),
        "redirects more than 10 times",
    ),
    **{
        f"redirect to {scheme}": (
            fixed(redirect(f"{scheme}:{rest}".encode())),
            f"redirects to {scheme}:, which is not fetched",
        )
        for scheme, rest in {
            "file": "///etc/passwd",
            "ftp": "//127.0.0.1/x",
            "gopher": "//127.0.0.1/x",
            "data": "text/plain,hello",
            "javascript": "alert(1)",
            "socks5": "//127.0.0.1:1/",
        }.items()
    },
    **{
        f"redirect to no name {number}": (
            fixed(redirect(b"http://" + name + b"/")),
            "is none that can be looked up",
        )
        for number, name in enumerate([b"a" * 300, b"a..b"])
    },
    **{
        f"redirect to no URL {number}": (fixed(redirect(location)), "redirects to")
        for number, location in enumerate(
            [
                b"http://[/",
                b"http://[::1",
                b"http://127.0.0.1:99999/",
                b"http://127.0.0.1:" + DIGITS + b"/",
                b"http://*/",
                b"http://\xff\xfe/",
                b"//:80/",
            ]
        )
    },
}
"""Answers that a fetch must get over, each with what is said of it."""


def random_answer(dice: random.Random) -> tuple[bytes, ...]:
    """Return an answer made of what servers and attackers say, in any order and number."""
    number = dice.choice([b"0", b"1", b"-1", b"5", b"1e9", b"", b"\xb2", b"18446744073709551616",
                          DIGITS, b"0x10", b" 7", b"bytes"])  # fmt: skip
    word = dice.choice(
        [b"", b"x", b"gzip", b"chunked", b"identity", b"\x85\x0b", b"*", b'"', b"%zz"]
    )
    headers = [
        b"Content-Length: " + number,
        b"Content-Length: 5",
        b"Content-Range: bytes " + number + b"-" + number + b"/" + number,
        b"Transfer-Encoding: " + word,
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: " + word,
        b"Content-Encoding: gzip",
        b"Location: " + dice.choice([b"/0", word, number, b"http://" + word, word + b"://x"]),
        b"ETag: " + word,
        b'ETag: "one"',
        b"Retry-After: " + number,
        b"Set-Cookie: a=" + word + b"; Max-Age=" + number + b"; Domain=" + word,
        b"Set-Cookie: a=b; Expires=" + word + number,
        b"Content-Type: text/" + word + b"; charset=" + word,
        b"Connection: " + word,
        word + b": " + word,
        b" " + word,
        b"\x00: \x00",
    ]  # fmt: skip
    status = dice.choice([b"200", b"206", b"301", b"302", b"307", b"404", b"407", b"416", b"503",
                          b"100", b"204", b"304", b"999", b"42", number, word])  # fmt: skip
    version = dice.choice(
        [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9", b"ICY", word]
    )
    lines = [version + b" " + status + b" " + word, *dice.choices(headers, k=dice.randint(0, 5))]
    body = dice.choice(
        [
            *(b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello", number + b"\r\n"),
            *(b"ff", gzip.compress(b"hello"), b"\x1f\x8b\x08\x00", b"PK\x03\x04" + number),
        ]
    )
    return (b"\r\n".join(lines) + b"\r\n\r\n", body)
