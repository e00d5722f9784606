"""One request on the receiver's HTTP port gets one answer, whatever is sent with it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.monitored import Monitored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulated import SimulatedSets

GET = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
POST = GET.replace(b"GET", b"POST")
OTHER = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, simulated_set: SimulatedSets
) -> Iterator[Monitored]:
    ms = simulated_set(num_antennas=4, integrations=3, channels=8)
    started = Monitored(tmp_path_factory.mktemp("asked"), ms, {"reception.idle_timeout": 0})
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(GET + b"\r\n" + GET + b"\r\n", 200, id="a second request"),
        pytest.param(GET + b"\r\nnonsense", 200, id="nonsense after it"),
        pytest.param(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200, id="upgrade"),
        pytest.param(GET + b"Authorization: \xff\r\nX: \xc3\xa4\r\n\r\n", 200, id="bytes"),
        pytest.param(GET + (b"a: " + b"b" * 7000 + b"\r\n") * 2 + b"\r\n", 200, id="14 kB"),
        pytest.param(POST + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000, 405, id="a body"),
        pytest.param(POST + b"Content-Length: 9000\r\n\r\n", 405, id="a body that never comes"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405, id="chunks"),
        pytest.param(b"GET http://xn--/" + OTHER, 421, id="a host that can be none"),
        pytest.param(b"CONNECT xn--" + OTHER, 404, id="a tunnel"),
        pytest.param(b"OPTIONS *" + OTHER, 404, id="options of all"),
        pytest.param(GET + b"a: b\r\n" * 1000 + b"\r\n", 400, id="many headers"),
        pytest.param(GET + b"a: " + b"b" * 9000 + b"\r\n\r\n", 400, id="a long header"),
        pytest.param(GET + (b"a: " + b"b" * 7000 + b"\r\n") * 9, None, id="a head without end"),
    ],
)
def test_one_request_gets_one_answer(running: Monitored, sent: bytes, status: int | None) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 10) as raw:
        try:
            raw.sendall(sent)
            answer = raw.makefile("rb").read()
        except ConnectionError:
            answer = b""
    # One that takes too much is got rid of without one.
    if status is None:
        assert answer == b""
    else:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert int(head.split(b" ")[1]) == status, answer
        assert body.endswith(b"\n")
        assert body.count(b"\n") == 1, answer
    assert running.status("/readyz") == 200
    assert "Traceback" not in running.receiver.log
