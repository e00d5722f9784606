"""A session of requests that asks as we decide: redirects, credentials, proxies, certificates."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url, get_netrc_auth
from urllib3.connection import HTTPConnection, HTTPSConnection

from receive import __version__
from receive.download.proxies import Proxies

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from receive.download.watch import Watch

_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_SHOWN = 100
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_NO_URL = "the server redirects to what is no URL"
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class RedirectError(Exception):
    """A redirect that is not followed; the message says why, and shows no credential."""


def printable(text: str) -> str:
    """Return what a server says of itself for a message: one line, not longer than it should be."""
    text = _UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def ca_bundle(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the bundle of certificates that an environment names; None if it names none."""
    return next((path for name in _CA_BUNDLES if (path := environment.get(name))), None)


class Session(requests.Session):
    """A session whose redirects are ours to follow, and whose connections are watched."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._proxies = Proxies.of()
        # The environment is read here and in `Proxies`: requests knows other rules.
        self.trust_env = False
        # Archives come as they are: what a server compresses on the way has another length and
        # ETag.
        self.headers["Accept-Encoding"] = "identity"
        self.headers["User-Agent"] = f"vis-receive/{__version__}"
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WatchedAdapter(watch))

    def get_redirect_target(self, _response: requests.Response) -> None:
        """Tell requests of no redirect: it would read its body to the end, into memory."""
        return

    @contextmanager
    def answer(
        self, url: str, headers: Mapping[str, str], timeout_s: float
    ) -> Iterator[requests.Response]:
        """Give the answer that is at the end of all redirects; its body has not been read.

        Parameters
        ----------
        url
            ``http`` or ``https``.  Its user and password go to no other host, and neither do those
            of ``.netrc``.
        headers
            Of the request.
        timeout_s
            For each connection, and each byte.

        Raises
        ------
        RedirectError
            A redirect leads to where nothing is fetched from, or there are too many.
        """
        first = url
        user = get_auth_from_url(url)
        auth = user if any(user) else get_netrc_auth(url)
        for _ in range(_MOST_REDIRECTS + 1):
            own = None if self.should_strip_auth(first, url) else auth  # type: ignore[no-untyped-call]
            try:
                response = self._ask(url, headers, own, timeout_s)
            except (requests.exceptions.InvalidURL, UnicodeError):
                if url is first:
                    raise
                raise RedirectError(_NO_URL) from None
            with response:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                url = _target(url, response.headers.get("Location"))
        raise RedirectError(f"the server redirects more than {_MOST_REDIRECTS} times")

    def _ask(
        self, url: str, headers: Mapping[str, str], auth: tuple[str, str] | None, timeout_s: float
    ) -> requests.Response:
        self._watch.restart()
        proxy = self._proxies.of_url(url)
        return self.get(
            url,
            headers=dict(headers),
            auth=auth,
            stream=True,
            timeout=(timeout_s, timeout_s),
            verify=ca_bundle() or True,
            proxies={} if proxy is None else {"http": proxy, "https": proxy},
        )


def _target(url: str, location: str | None) -> str:
    """Return where a redirect leads."""
    if not location:
        raise RedirectError("the server redirects to nowhere")
    try:
        # Headers come as Latin-1, and what stands in them is often UTF-8.
        location = location.encode("latin-1").decode("utf-8", "replace")
        target = urljoin(url, location)
        parts = urlsplit(target)
        _ = parts.port
    except ValueError:
        raise RedirectError(_NO_URL) from None
    scheme = parts.scheme.lower()
    if scheme not in {"http", "https"}:
        raise RedirectError(
            f"the server redirects to {printable(scheme) or 'no scheme'}:, which is not fetched; "
            "accepted: http, https"
        )
    if not parts.hostname:
        raise RedirectError("the server redirects to a URL without a host")
    if scheme == "http" and urlsplit(url).scheme.lower() == "https":
        raise RedirectError(
            "the server redirects from https to http, which everybody could read and change"
        )
    return target


class _WatchedAdapter(HTTPAdapter):
    """Makes connections that are watched from their beginning, before TLS and a proxy's answer."""

    def __init__(self, watch: Watch) -> None:
        self._watched = {
            "http": _pool_of(urllib3.HTTPConnectionPool, HTTPConnection, watch),
            "https": _pool_of(urllib3.HTTPSConnectionPool, HTTPSConnection, watch),
        }
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, **keywords)
        self.poolmanager.pool_classes_by_scheme = self._watched

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **keywords)
        if not proxy.lower().startswith("socks"):  # these make their connections in their own way
            manager.pool_classes_by_scheme = self._watched
        return manager


def _pool_of(pool: type, connection: type, watch: Watch) -> type:
    """Return a class of pools whose connections are watched."""

    def new_connection(self: Any) -> socket.socket:
        made: socket.socket = connection._new_conn(self)  # type: ignore[attr-defined]  # noqa: SLF001
        watch.connected(made)
        return made

    watched = type(connection.__name__, (connection,), {"_new_conn": new_connection})
    return type(pool.__name__, (pool,), {"ConnectionCls": watched})
