"""What is answered to a request: a status, a type and a text, whatever carries them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from receive import __version__
from receive.account.outcome import Outcome, summary
from receive.monitor.metrics import render
from receive.monitor.token import is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from receive.monitor.status import Status, View

    Header = Callable[[str], str | None]

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
KEPT_S = 0.5
"""How long an answer that costs something is given again: however many ask, it is made twice a
second at most."""
READ, STOP = ("GET", "HEAD"), ("POST",)
PATHS = """\
GET  /healthz  is it alive: 200, or 503 with the reason
GET  /readyz   can packets come: 200, or 503 with the reason
GET  /metrics  numbers for Prometheus
GET  /summary  how the run stands, JSON
POST /stop     end the observation as if its streams had ended
"""


@dataclass(frozen=True)
class Answer:
    """An answer to a request."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


def plain(status: HTTPStatus, text: str, **headers: str) -> Answer:
    """Return an answer of one line."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{text}\n".encode(), headers=named)


class Answers:
    """Answers requests about one run, in one thread.

    Parameters
    ----------
    status
        Of the run.
    token
        What those who end it must have; None if nobody need have one.
    """

    def __init__(self, status: Status, token: bytes | None) -> None:
        self._status = status
        self._token = token
        self._kept: dict[str, tuple[float, View, Answer]] = {}
        self._readers: dict[str, Callable[[], Answer]] = {
            "/": lambda: Answer(HTTPStatus.OK, PATHS.encode()),
            "/healthz": lambda: _told("ok", self._status.view().trouble),
            "/readyz": lambda: _told("ready", self._status.view().not_ready),
            "/metrics": lambda: self._keep("/metrics", _metrics),
            "/summary": lambda: self._keep("/summary", _summary),
        }

    def answer(self, method: str, path: str, header: Header) -> Answer:
        """Return the answer to a request.

        Parameters
        ----------
        method, path
            As they came; the path without query.
        header
            Returns the value of a header.
        """
        allowed = READ if path in self._readers else STOP if path == "/stop" else ()
        if not allowed:
            return plain(HTTPStatus.NOT_FOUND, "there is no such path; GET / lists them")
        if method not in allowed:
            return plain(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{path} takes {' or '.join(allowed)}",
                Allow=", ".join(allowed),
            )
        return self._readers[path]() if allowed is READ else self._stop(header)

    def _stop(self, header: Header) -> Answer:
        if self._token is not None and not is_allowed(self._token, header("Authorization")):
            return plain(
                HTTPStatus.UNAUTHORIZED,
                "Authorization: Bearer TOKEN is needed, with the token of monitor.token_file",
                WWW_Authenticate="Bearer",
            )
        if self._token is None and header("Origin") is not None:
            # Any page in a browser on this machine could send it, without asking anybody.
            return plain(
                HTTPStatus.FORBIDDEN, "not for web pages, unless monitor.token_file is given"
            )
        begun = self._status.ask_to_stop()
        return plain(HTTPStatus.ACCEPTED, "stopping" if begun else "the end has begun already")

    def _keep(self, path: str, make: Callable[[View], Answer]) -> Answer:
        now_s, view = time.monotonic(), self._status.view()
        made_s, of, answer = self._kept.get(path, (now_s - KEPT_S, view, None))
        same = of.state is view.state and of.snapshot is view.snapshot
        if answer is None or not same or now_s - made_s >= KEPT_S:
            answer = make(view)
            self._kept[path] = (now_s, view, answer)
        return answer


def _told(good: str, trouble: str | None) -> Answer:
    if trouble is None:
        return plain(HTTPStatus.OK, good)
    return plain(HTTPStatus.SERVICE_UNAVAILABLE, trouble)


def _metrics(view: View) -> Answer:
    return Answer(HTTPStatus.OK, render(view), CONTENT_TYPE_PLAIN_0_0_4)


def _summary(view: View) -> Answer:
    """Return the summary; scan by scan, so that no step of it takes long.

    A long list that is written in one call would keep the interpreter from the collector.
    """
    snapshot = view.snapshot
    outcome = Outcome() if snapshot is None else snapshot.outcome
    head: dict[str, Any] = {
        "state": view.state.value,
        "version": __version__,
        "started": view.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "rate_bytes_per_s": snapshot.bytes_per_s if snapshot and view.state == "receiving" else 0.0,
        "current_scan": None if snapshot is None else snapshot.scan,
    } | summary(outcome, scans=False)
    scans = ", ".join(json.dumps(scan.as_dict()) for scan in outcome.scans)
    return Answer(HTTPStatus.OK, f'{json.dumps(head)[:-1]}, "scans": [{scans}]}}\n'.encode(), JSON)
