"""Fetching a file over http or https: retried, resumed, bounded, and without telling credentials.

Proxies and CA bundles are those of the environment: ``http_proxy``, ``https_proxy``, ``no_proxy``
(names, suffixes, CIDR ranges) in both cases, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``,
``SSL_CERT_FILE``.
"""

from __future__ import annotations

import email.utils
import logging
import os
import random
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import requests
import urllib3

from receive import __version__
from receive.download_reasons import reason_of
from receive.errors import ConfigError, NetworkError, OutputError
from receive.masking import masked_url
from receive.progress import Progress, format_amount, format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

RETRIES = 8
"""With the waits below this rides out a server that is away for a minute and a half."""
STALL_TIMEOUT_S = 30.0
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
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", re.ASCII)

# Their DEBUG lines hold the path and the query, which may be a credential.
for _name in ("urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.INFO)


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

    def restart(self) -> None:
        self.have_bytes, self.etag, self.total_bytes = 0, None, None


def backoff_s(attempt: int, first_s: float = _FIRST_WAIT_S) -> float:
    """Return how long to wait after the failure of an attempt (1, 2, ...).

    Twice as long each time, up to half a minute, and a quarter more or less, so that pods that
    failed together do not come back together.
    """
    longest_s = min(first_s * 2.0 ** min(attempt - 1, 16), _LONGEST_WAIT_S)
    return longest_s * random.uniform(0.75, 1.25)  # noqa: S311 (jitter, not a secret)


def download(
    url: str,
    target: Path,
    *,
    what: str,
    shown: str | None = None,
    retries: int = RETRIES,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    largest_bytes: int | None = None,
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
        A connection that brings no byte for so long is given up.
    largest_bytes
        A larger file is refused; None for no limit but the space there.

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
    state, failures, started_s = _State(), 0, time.monotonic()
    with _session() as session, _opened(target) as file:
        while True:
            before_bytes = state.have_bytes
            try:
                with _errors_named(shown, stall_timeout_s):
                    _attempt(session, url, file, state, what, shown, stall_timeout_s, largest_bytes)
                break
            except _TemporaryError as error:
                failures = 1 if state.have_bytes - before_bytes > _WORTH_BYTES else failures + 1
                if failures > retries:
                    raise NetworkError(
                        f"{shown}: {error}; given up after {failures} attempts"
                    ) from None
                wait_s = backoff_s(failures) if error.wait_s is None else error.wait_s
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


def _session() -> requests.Session:
    session = requests.Session()
    # Archives come as they are: what a server compresses on the way has another length and ETag.
    session.headers["Accept-Encoding"] = "identity"
    session.headers["User-Agent"] = f"vis-receive/{__version__}"
    return session


def _ca_bundle() -> str | None:
    """Return the bundle that requests would not look for, the one of OpenSSL's own variable."""
    own = any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    bundle = os.environ.get("SSL_CERT_FILE")
    return bundle if bundle and not own else None


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
    session: requests.Session,
    url: str,
    file: BinaryIO,
    state: _State,
    what: str,
    shown: str,
    stall_timeout_s: float,
    largest_bytes: int | None,
) -> None:
    headers = {}
    if state.have_bytes and state.etag:
        headers = {"Range": f"bytes={state.have_bytes}-", "If-Range": state.etag}
    timeout_s = (stall_timeout_s, stall_timeout_s)
    with session.get(
        url, headers=headers, stream=True, timeout=timeout_s, verify=_ca_bundle()
    ) as response:
        _check_status(response, shown, state)
        if not _resumes(response, state):
            state.restart()
            file.seek(0)
            file.truncate()
            etag = response.headers.get("ETag", "")
            state.etag = etag if etag.startswith('"') else None
            length = response.headers.get("Content-Length", "")
            state.total_bytes = int(length) if length.isdecimal() else None
        else:
            logger.info("%s: goes on after %s", shown, format_bytes(state.have_bytes))
        _check_room(file, state, shown, largest_bytes)
        _read(response, file, state, what, shown, largest_bytes)
    if state.total_bytes is not None and state.have_bytes != state.total_bytes:
        raise _TemporaryError(_truncated(state))


def _check_status(response: requests.Response, shown: str, state: _State) -> None:
    status = response.status_code
    if status in {_OK, _PARTIAL}:
        return
    named = f"the server answered {status} {response.reason}".rstrip()
    if status in _TEMPORARY_STATUS or status >= _SERVER_ERROR:
        raise _TemporaryError(named, wait_s=_asked_wait_s(response.headers.get("Retry-After")))
    if status == _RANGE_NOT_SATISFIABLE and state.have_bytes:
        state.restart()
        raise _TemporaryError(f"{named} to what was to be resumed")
    if status == _PROXY_CREDENTIALS:
        named = f"the proxy answered {status} {response.reason}: it wants other credentials"
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
        except (TypeError, ValueError):
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
    if largest_bytes is not None and state.total_bytes > largest_bytes:
        raise _too_large(shown, largest_bytes)
    system = os.fstatvfs(file.fileno())
    free_bytes = system.f_bavail * system.f_frsize
    needed_bytes = state.total_bytes - state.have_bytes
    if needed_bytes > free_bytes:
        raise OutputError(
            f"{shown}: {format_bytes(needed_bytes)} are to come, and there is room for "
            f"{format_bytes(free_bytes)} at {file.name}"
        )


def _too_large(shown: str, largest_bytes: int) -> OutputError:
    return OutputError(f"{shown}: is larger than {format_bytes(largest_bytes)}, so it is refused")


def _read(
    response: requests.Response,
    file: BinaryIO,
    state: _State,
    what: str,
    shown: str,
    largest_bytes: int | None,
) -> None:
    with Progress(f"fetching {what}", state.total_bytes, "B") as progress:
        progress.update(state.have_bytes)
        # Not iter_content: that would undo a Content-Encoding, which some servers give to .tar.gz.
        for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise OutputError(f"{file.name} cannot be written: {error.strerror}") from None
            state.have_bytes += len(piece)
            progress.update(len(piece))
            if largest_bytes is not None and state.have_bytes > largest_bytes:
                raise _too_large(shown, largest_bytes)


def _truncated(state: _State) -> str:
    total = f" of {format_bytes(state.total_bytes)}" if state.total_bytes is not None else ""
    return f"the body ended after {format_bytes(state.have_bytes)}{total}"


@contextmanager
def _errors_named(shown: str, stall_timeout_s: float) -> Iterator[None]:
    """Make ours of the errors of requests and urllib3, whose texts hold the URL and its query."""
    try:
        yield
    except (requests.exceptions.InvalidProxyURL, requests.exceptions.InvalidSchema):
        raise ConfigError(
            f"{shown}: the URL of the proxy in the environment cannot be used; accepted: "
            "http://host:port"
        ) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError):
        raise ConfigError(f"{shown}: is no URL that can be fetched") from None
    except requests.TooManyRedirects:
        raise RefusedError(f"{shown}: the server redirects without end") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        reason, temporary = reason_of(error, stall_timeout_s)
        if temporary:
            raise _TemporaryError(reason) from None
        raise RefusedError(f"{shown}: {reason}") from None
