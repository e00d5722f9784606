"""Fetching a file over http or https: retried, resumed, bounded, and without telling credentials.

A server is not trusted: no answer of it costs more memory than a piece of its body, or more time
than was allowed.
"""

from __future__ import annotations

import email.utils
import logging
import os
import random
import re
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import requests
import urllib3

from receive.command.errors import ConfigError, NetworkError, OutputError
from receive.command.progress import Progress, format_amount, format_bytes, format_seconds
from receive.config.masking import masked_url
from receive.download.reasons import reason_of
from receive.download.session import RedirectError, Session, printable
from receive.download.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

RETRIES = 8
"""With the waits below this rides out a server that is away for a minute and a half."""
STALL_TIMEOUT_S = 30.0
TIMEOUT_S = 6 * 3600.0
"""Of everything: 100 GiB, which is what an archive may be, at 5 MB/s."""
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_LONGEST_ASKED_WAIT_S = 300.0
_PIECE_BYTES = 1 << 18
_WORTH_BYTES = 1 << 20
"""A connection that brought so much more counts as a success: the retries begin anew."""
_OK, _PARTIAL = 200, 206
_RANGE_NOT_SATISFIABLE = 416
_PROXY_CREDENTIALS = 407
_TEMPORARY_STATUS = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_MOST_DIGITS = 20
"""Of a number of bytes, of which 64 bits can count no more."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,20})-[0-9]{1,20}/([0-9]{1,20}|\*)", re.ASCII)
_PLAIN = frozenset({"", "identity"})
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS

# Their lines hold the path and the query, which may be a credential, and even tracebacks; what goes
# wrong they raise.
for _name in ("urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class RefusedError(NetworkError):
    """What will not come, however often it is asked for: it is not there, or not for us."""


class _TemporaryError(Exception):
    """An attempt that failed in a way that may be over soon."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass
class _State:
    """How far a download has come."""

    have_bytes: int = 0
    etag: str | None = None
    """A strong one: what is resumed must be the same to the byte."""
    total_bytes: int | None = None
    written_bytes: int = 0
    """Others than came where they were compressed on the way."""

    def restart(self) -> None:
        self.have_bytes, self.etag, self.total_bytes, self.written_bytes = 0, None, None, 0


def backoff_s(attempt: int, first_s: float = _FIRST_WAIT_S) -> float:
    """Return how long to wait after the failure of an attempt (1, 2, ...).

    Twice as long each time, up to half a minute, and a quarter more or less, so that pods that
    failed together do not come back together.
    """
    longest_s = min(first_s * 2.0 ** min(attempt - 1, 16), _LONGEST_WAIT_S)
    return longest_s * random.uniform(0.75, 1.25)  # noqa: S311 (jitter, not a secret)


@dataclass(frozen=True)
class _Request:
    """What is fetched, and what that may take; see `download`."""

    url: str
    what: str
    shown: str
    stall_timeout_s: float
    largest_bytes: int | None
    decoded: bool


def download(
    url: str,
    target: Path,
    *,
    what: str,
    shown: str | None = None,
    retries: int = RETRIES,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
    largest_bytes: int | None = None,
    decoded: bool = False,
) -> None:
    """Fetch `url` into the file `target`, which is made with mode 0600.

    Connections that fail, statuses that pass (5xx, 429, 408), bodies that end early and servers
    that stall are tried again; what came already is kept where the server can resume and its
    ETag says that the file is the same.

    Parameters
    ----------
    url
        ``http`` or ``https``.
    target
        Where it goes; an older file is replaced.
    what
        What is fetched, for the log: ``the model``.
    shown
        What the log and errors call the URL; by default the URL without credentials and query.
    retries
        How often it is tried again in a row without getting on.
    stall_timeout_s
        A connection that brings no answer, or next to nothing, for so long is given up.
    timeout_s
        All of it, with all attempts, must be over within so long.
    largest_bytes
        A larger file is refused; None for no limit but the space there.
    decoded
        Undo a Content-Encoding, as far as `largest_bytes`, which must be given.  Otherwise the
        file is kept as it comes: some servers give one to every .tar.gz.

    Raises
    ------
    NetworkError
        It cannot be had; the message names the status or the reason.  It is a RefusedError where
        trying again later would not help.
    ConfigError
        The URL, or that of the proxy, cannot be used.
    OutputError
        There is no space for it, or it is larger than `largest_bytes`.
    """
    shown = masked_url(url) if shown is None else shown
    asked = _Request(url, what, shown, stall_timeout_s, largest_bytes, decoded)
    state, failures, started_s = _State(), 0, time.monotonic()
    with (
        Watch(stall_timeout_s, timeout_s) as watch,
        Session(watch) as session,
        _opened(target) as file,
    ):
        while True:
            before_bytes = state.have_bytes
            try:
                with _errors_named(asked, watch):
                    _attempt(session, asked, file, state, watch)
                break
            except _TemporaryError as error:
                failures = 1 if state.have_bytes - before_bytes > _WORTH_BYTES else failures + 1
                if failures > retries:
                    raise NetworkError(
                        f"{shown}: {error}; given up after {failures} attempts"
                    ) from None
                wait_s = backoff_s(failures) if error.wait_s is None else error.wait_s
                if time.monotonic() + wait_s > watch.deadline_s:
                    raise NetworkError(f"{shown}: {error}; {_too_late(watch)}") from None
                logger.warning(
                    "%s: %s; attempt %d of %d follows in %s",
                    shown,
                    error,
                    failures + 1,
                    retries + 1,
                    format_seconds(wait_s) if wait_s >= 1 else f"{wait_s:.1f} s",
                )
            time.sleep(wait_s)
    amount = format_amount(state.have_bytes, time.monotonic() - started_s)
    logger.info("fetched %s: %s", what, amount)


def _too_late(watch: Watch) -> str:
    return f"given up, since it takes more than {format_seconds(watch.timeout_s)} altogether"


@contextmanager
def _opened(target: Path) -> Iterator[BinaryIO]:
    try:
        target.unlink(missing_ok=True)
        file = os.fdopen(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    with file:
        yield file


def _attempt(
    session: Session, asked: _Request, file: BinaryIO, state: _State, watch: Watch
) -> None:
    headers = {}
    if state.have_bytes and state.etag:
        headers = {"Range": f"bytes={state.have_bytes}-", "If-Range": state.etag}
    with session.answer(asked.url, headers, asked.stall_timeout_s) as response:
        _check_status(response, asked.shown, state)
        decoder = _decoder(response, asked)
        if not _resumes(response, state):
            state.restart()
            file.seek(0)
            file.truncate()
            etag = response.headers.get("ETag", "")
            # What is decoded cannot be gone on with in its middle.
            state.etag = etag if etag.startswith('"') and decoder is None else None
            state.total_bytes = _length(response, asked.shown)
        else:
            logger.info("%s: goes on after %s", asked.shown, format_bytes(state.have_bytes))
        _check_room(file, state, asked.shown, asked.largest_bytes)
        _read(response, decoder, file, state, asked, watch)
    if state.total_bytes is not None and state.have_bytes != state.total_bytes:
        raise _TemporaryError(_truncated(state))


def _decoder(response: requests.Response, asked: _Request) -> zlib._Decompress | None:
    """Return what undoes the body's encoding; None if it is kept as it comes."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _PLAIN or (encoding in _COMPRESSED and not asked.decoded):
        return None
    if encoding not in _COMPRESSED:
        raise RefusedError(
            f"{asked.shown}: the server answers in the Content-Encoding {printable(encoding)}, "
            "which it was not asked for; accepted: identity, gzip, deflate"
        )
    return zlib.decompressobj(_GZIP_OR_ZLIB)


def _length(response: requests.Response, shown: str) -> int | None:
    """Return how many bytes the server says that come; None if it does not say."""
    text = response.headers.get("Content-Length", "").strip()
    coded = "Transfer-Encoding" in response.headers
    if coded or not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > _MOST_DIGITS:
        raise RefusedError(f"{shown}: the server tells a length of {len(text)} digits")
    return int(text)


def _check_status(response: requests.Response, shown: str, state: _State) -> None:
    status = response.status_code
    if status in {_OK, _PARTIAL}:
        return
    reason = printable(response.reason or "")
    named = f"the server answered {status} {reason}".rstrip()
    if status in _TEMPORARY_STATUS or status >= _SERVER_ERROR:
        raise _TemporaryError(named, wait_s=_asked_wait_s(response.headers.get("Retry-After")))
    if status == _RANGE_NOT_SATISFIABLE and state.have_bytes:
        state.restart()
        raise _TemporaryError(f"{named} to what was to be resumed")
    if status == _PROXY_CREDENTIALS:
        named = f"the proxy answered {status} {reason}: it wants other credentials"
    raise RefusedError(f"{shown}: {named}")


def _asked_wait_s(text: str | None) -> float | None:
    """Return how long a server wants to be left alone: seconds, or a date; None if it says not."""
    if text is None:
        return None
    if text.strip().isdecimal():
        asked_s = float(text)
    else:
        try:
            asked_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError, OSError):
            return None
    return min(max(asked_s, 0.0), _LONGEST_ASKED_WAIT_S)


def _resumes(response: requests.Response, state: _State) -> bool:
    """Tell whether the body goes on where the last one ended."""
    if response.status_code != _PARTIAL:
        return False
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = match is not None and int(match[1]) == state.have_bytes > 0
    same = same and response.headers.get("ETag", state.etag) == state.etag
    if match is not None and match[2] != "*" and state.total_bytes is not None:
        same = same and int(match[2]) == state.total_bytes
    if not same:
        state.restart()
        raise _TemporaryError("the server sent another part than it was asked for")
    return True


def _check_room(file: BinaryIO, state: _State, shown: str, largest_bytes: int | None) -> None:
    if state.total_bytes is None:
        return
    system = os.fstatvfs(file.fileno())
    free_bytes = system.f_bavail * system.f_frsize
    needed_bytes = state.total_bytes - state.have_bytes
    if needed_bytes > free_bytes:
        raise OutputError(
            f"{shown}: {format_bytes(needed_bytes)} are to come, and there is room for "
            f"{format_bytes(free_bytes)} at {file.name}"
        )
    if largest_bytes is not None and state.total_bytes > largest_bytes:
        raise _too_large(shown, largest_bytes)


def _too_large(shown: str, largest_bytes: int) -> OutputError:
    return OutputError(f"{shown}: is larger than {format_bytes(largest_bytes)}, so it is refused")


def _read(
    response: requests.Response,
    decoder: zlib._Decompress | None,
    file: BinaryIO,
    state: _State,
    asked: _Request,
    watch: Watch,
) -> None:
    with Progress(f"fetching {asked.what}", state.total_bytes, "B") as progress:
        progress.update(state.have_bytes)
        # Neither iter_content nor stream: the chunks of a body, and their sizes, are as large as
        # the server likes, and these would hold a whole one.  read1 gives what has come.
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=False):
            watch.brought(len(piece))
            state.have_bytes += len(piece)
            progress.update(len(piece))
            if decoder is not None:
                piece = _decoded(decoder, piece, state, asked)
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise OutputError(f"{file.name} cannot be written: {error.strerror}") from None
            state.written_bytes += len(piece)
            if asked.largest_bytes is not None and state.written_bytes > asked.largest_bytes:
                raise _too_large(asked.shown, asked.largest_bytes)
    if decoder is not None and not decoder.eof:
        raise _TemporaryError(_truncated(state))


def _decoded(decoder: zlib._Decompress, piece: bytes, state: _State, asked: _Request) -> bytes:
    """Return what a piece becomes, and not much more of it than may be."""
    assert asked.largest_bytes is not None  # noqa: S101 (as `download` wants it)
    try:
        return decoder.decompress(piece, asked.largest_bytes + 1 - state.written_bytes)
    except zlib.error:
        raise RefusedError(
            f"{asked.shown}: the body is not in the Content-Encoding that the server says"
        ) from None


def _truncated(state: _State) -> str:
    total = f" of {format_bytes(state.total_bytes)}" if state.total_bytes is not None else ""
    return f"the body ended after {format_bytes(state.have_bytes)}{total}"


@contextmanager
def _errors_named(asked: _Request, watch: Watch) -> Iterator[None]:
    """Make ours of the errors of requests and urllib3, whose texts hold the URL and its query."""
    shown = asked.shown
    try:
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            _check_watch(shown, watch)
            raise
        # A connection that was ended looks like a body that is whole.
        _check_watch(shown, watch)
    except RedirectError as error:
        raise RefusedError(f"{shown}: {error}") from None
    except (requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema):
        raise ConfigError(
            f"{shown}: the URL of the proxy in the environment cannot be used; accepted: "
            "http://host:port"
        ) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError):
        raise ConfigError(f"{shown}: is no URL that can be fetched") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        reason, temporary = reason_of(error, asked.stall_timeout_s)
        if temporary:
            raise _TemporaryError(reason) from None
        raise RefusedError(f"{shown}: {reason}") from None


def _check_watch(shown: str, watch: Watch) -> None:
    """Raise what the watch ended the connection for, if it did."""
    if watch.is_too_late:
        raise NetworkError(f"{shown}: {_too_late(watch)}")
    if watch.stalled is not None:
        raise _TemporaryError(watch.stalled)
