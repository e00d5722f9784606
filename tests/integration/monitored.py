"""A receiver with a monitor, and how its port is asked."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from tests.commands import start_receiver
from tests.exposition import read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.exposition import Family

STREAMS = {"transmission.channels_per_stream": 4}
INTEGRATIONS = 12
"""Of the set `three_streams`."""


def free_port(count: int = 1) -> int:
    """Return the first of so many ports that nobody listens on; the system names the first."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for other in range(port + 1, port + count):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", other))
            except (OSError, OverflowError):
                continue
        return port


class Monitored:
    """A receiver with a monitor."""

    def __init__(self, folder: Path, ms: Path, values: Mapping[str, Any], **how: Any) -> None:
        self.port = free_port(3)
        self.host = "127.0.0.1"
        self.receiver = start_receiver(
            folder, ms, STREAMS | {"monitor.port": self.port} | dict(values), **how
        )

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> tuple[int, str, Mapping[str, str]]:
        """Return status, body and headers."""
        connection = HTTPConnection(self.host, self.port + port, timeout=30)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def status(self, path: str) -> int | None:
        """Return the status; None while nobody listens."""
        try:
            return self.ask(path)[0]
        except (ConnectionError, HTTPException):
            return None

    def metrics(self) -> dict[str, Family]:
        status, page, headers = self.ask("/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return read(page)

    def summary(self) -> dict[str, Any]:
        status, text, headers = self.ask("/summary")
        assert status == 200
        assert headers["Content-Type"] == "application/json"
        content: dict[str, Any] = json.loads(text)
        return content

    def stop(self) -> None:
        assert self.ask("/stop", "POST")[0] == 202
        assert self.receiver.wait() == 0, self.receiver.log


def total(family: Family) -> float:
    return sum(family.samples.values())
