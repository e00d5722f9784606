"""Why a connection failed, in a few words: what requests and urllib3 say holds the URL's query."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER_ERROR = 500
_VERIFY = re.compile(r"CERTIFICATE_VERIFY_FAILED\]?(?: certificate verify failed: ([^(]+))?")
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})([ \w]{0,100})")


def reason_of(error: BaseException, stall_timeout_s: float) -> tuple[str, bool]:
    """Return what happened, without the URL, and whether it may be over soon.

    Parameters
    ----------
    error
        Of requests, urllib3 or the system.
    stall_timeout_s
        How long was waited for a connection, and for a byte.
    """
    return _lasting(error) or (_passing(error, stall_timeout_s), True)


def _lasting(error: BaseException) -> tuple[str, bool] | None:
    if type(error) is OSError and error.errno is None:  # as requests says it
        return "the CA bundle that the environment names is not there", False
    if any(isinstance(one, UnicodeError) for one in _chain(error)):
        return "the name of the server is none that can be looked up", False
    for text in map(str, _chain(error)):
        if verify := _VERIFY.search(text):
            why = (verify[1] or "verification failed").strip()
            return f"the server's certificate is not trusted ({why}); see REQUESTS_CA_BUNDLE", False
        if tunnel := _TUNNEL.search(text):
            return f"the proxy answered {tunnel[1]}{tunnel[2]}", int(tunnel[1]) >= _SERVER_ERROR
    return None


def _passing(error: BaseException, stall_timeout_s: float) -> str:
    chain = list(_chain(error))
    names = {type(one).__name__ for one in chain}
    proxy = "ProxyError" in names
    through = " through the proxy" if proxy else ""
    by_name = (
        (
            {"NameResolutionError", "gaierror"},
            f"the name of the {'proxy' if proxy else 'server'} is not known",
        ),
        (
            {"ConnectTimeout", "ConnectTimeoutError"},
            f"no connection{through} within {stall_timeout_s:g} s",
        ),
        (
            {"ReadTimeout", "ReadTimeoutError", "TimeoutError"},
            f"not a byte came for {stall_timeout_s:g} s",
        ),
        ({"IncompleteRead"}, "the connection ended before the body did"),
    )
    for kinds, text in by_name:
        if names & kinds:
            return text
    for one in chain:
        if isinstance(one, OSError) and one.errno is not None and one.errno in errno.errorcode:
            return f"{os.strerror(one.errno)}{through}"
    return f"the connection failed{through} ({type(chain[-1]).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of, the outermost first."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        todo += [inner for inner in more if isinstance(inner, BaseException)]
