"""Who may ask the receiver's HTTP port, and who may stop it: tokens, hosts, web pages."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from receive.stream.network.sockets import interface_addresses
from tests.commands import options, run
from tests.integration.monitored import free_port

if TYPE_CHECKING:
    from pathlib import Path


TOKEN = "three-hidden-words"  # noqa: S105 (of this test)


def test_only_those_with_the_token_may_stop_it(monitored: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    running = monitored({"monitor.token_file": token_file})
    for given in (
        {},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": b"Bearer \xff\xfe".decode("latin-1")},
    ):
        status, text, headers = running.ask("/stop", "POST", given)
        assert status == 401
        assert headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in text
    assert running.status("/readyz") == 200
    assert running.ask("/stop", "POST", {"Authorization": f"Bearer {TOKEN}"})[0] == 202
    assert running.receiver.wait() == 0, running.receiver.log
    assert TOKEN not in running.receiver.log


def test_a_web_page_cannot_stop_it(monitored: Any) -> None:
    running = monitored()
    status, text, _ = running.ask("/stop", "POST", {"Origin": "http://evil.example"})
    assert (status, text) == (403, "not for web pages, unless monitor.token_file is given\n")
    assert running.status("/readyz") == 200


OWN_HOSTS = (
    *("127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "localhost", "LocalHost.", "localhost:9"),
    *(
        "receive-0.receive",
        "obs.example.org:8080",
        "a.b.pods.example",
        "192.0.2.77",
        "[2001:db8::7]:1",
    ),
    *(
        socket.gethostname(),
        f"{socket.gethostname()}:8080",
        "[::ffff:127.0.0.1]",
        "[2001:DB8:0::7]",
    ),
)
OTHER_HOSTS = (
    *(
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "obs.example.org.evil.example",
    ),
    *(
        "pods.example",
        "xpods.example",
        "evil.example/.pods.example",
        "evil@localhost",
        "192.0.2.78",
    ),
    *("localhost evil", "localhost:80:80", "[::1", "::1]", "[::]", "2130706433", "", "[]", "*"),
    *("\xe9.pods.example", "evil.example#.pods.example", "x" * 5000, "localhost:x", ":80", "."),
)


def test_only_its_own_hosts_are_answered(monitored: Any) -> None:
    """Else a page whose name resolves to this machine could read what it answers."""
    hosts = "receive-0.receive, obs.example.org, *.pods.example, 192.0.2.77, [2001:db8::7]"
    running = monitored({"monitor.hosts": hosts, "monitor.bind_hostname": ""})
    for host in OWN_HOSTS:
        assert running.ask("/healthz", headers={"Host": host})[0] == 200, host
    for host in OTHER_HOSTS:
        for path in ("/summary", "/healthz", "/", "/metrics", "/nowhere"):
            status, text, _ = running.ask(path, headers={"Host": host})
            assert status == 421, host
            assert text.count("\n") == 1
            assert "is no host of this monitor" in text
        assert running.ask("/stop", "POST", {"Host": host})[0] == 421
    for request, status in (
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
        (b"GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"200"),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"421"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"421"),
    ):
        with socket.create_connection(("127.0.0.1", running.port), 10) as raw:
            raw.sendall(request)
            assert raw.makefile("rb").read().split(b" ")[1] == status, request
    assert running.status("/readyz") == 200
    running.stop()


def test_the_address_that_a_request_came_to_is_its_own(monitored: Any) -> None:
    """As probes and Prometheus ask: by the address of the pod, whatever it is bound to."""
    own = next((one for name, one in interface_addresses().items() if name != "lo"), "127.0.0.1")
    running = monitored({"monitor.bind_hostname": "0.0.0.0"})  # noqa: S104 (what is tested)
    running.host = own
    assert running.ask("/readyz")[0] == 200
    assert running.ask("/readyz", headers={"Host": "evil.example"})[0] == 421
    running.stop()


def test_every_host_can_be_allowed(monitored: Any) -> None:
    running = monitored({"monitor.hosts": "*"})
    assert running.ask("/summary", headers={"Host": "behind.a.proxy"})[0] == 200
    running.stop()


@pytest.mark.parametrize("hosts", ["a b", "a:80", "http://a", "a,[::1", "*.*.a", "a/b", "*a"])
def test_a_host_that_can_be_none_is_refused(three_streams: Path, hosts: str) -> None:
    values = {"reception.datamodel": three_streams, "monitor.hosts": hosts}
    done = run("emu-recv", "--check", *options(values))
    assert done.returncode == 2, done.stderr
    assert "monitor.hosts" in done.stderr.splitlines()[-1]
    assert "a host is a name" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"x" * 5000, "is too large for a token"),
        (b"two words", "holds more than one token"),
        (b"\xc3\xa4", "holds more than one token"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_a_token_file_that_holds_none_is_refused(
    tmp_path: Path, three_streams: Path, content: bytes | None, why: str, flags: list[str]
) -> None:
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    values = {
        "reception.datamodel": three_streams,
        "reception.outputfilename": tmp_path / "received.ms",
        "monitor.port": free_port(),
        "monitor.token_file": token_file,
    }
    done = run("emu-recv", *flags, *options(values))
    assert done.returncode == 2, done.stderr
    assert f"monitor.token_file {token_file} {why}" in done.stderr.splitlines()[-1]
