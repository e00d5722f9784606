"""What cannot be received on or planned for: one clear line and its exit code."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.errors import ConfigError, NetworkError
from tests.integration.senders import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely


@pytest.mark.parametrize(
    ("transport", "kind"), [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)]
)
def test_a_port_in_use(receive: Receive, transport: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        running = receive(Observation(), reception__transport=transport, reception__port_start=port)
        with pytest.raises(NetworkError, match=f"port {port} of 127.0.0.1 is in use") as caught:
            running.finish()
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reception__bind_hostname": "192.0.2.7"}, "192.0.2.7 is not an address of this machine"),
        ({"reception__bind_hostname": "no-such-host.invalid"}, "neither an address, nor a host"),
        (
            {
                "reception__bind_hostname": "239.1.2.3",
                "reception__interface_address": "192.0.2.7",
            },
            "the multicast group 239.1.2.3 cannot be joined on 192.0.2.7",
        ),
    ],
)
def test_an_address_that_is_not_ours(receive: Receive, options: dict[str, Any], says: str) -> None:
    running = receive(Observation(), **options)
    with pytest.raises(NetworkError, match=says) as caught:
        running.finish()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"transmission__channels_per_stream": 9}, "is more than the 8 channels"),
        ({"reception__num_ports": 3}, "reception.num_ports = 3 contradicts 8 channels"),
        ({"reception__channels": "2:4"}, "does not begin and end between streams of 4"),
        ({"reception__channels": "4:8"}, "ends past the model's 8 channels"),
        (
            {"reception__process_count": 3},
            "reception.process_count = 3 is more than the 2 streams",
        ),
        ({"reception__buffer_memory": 20_000}, "it takes at least 4: give"),
    ],
)
def test_a_plan_that_cannot_work(receive: Receive, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        receive(Observation(per_stream=4), **options)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_nothing_is_left_bound_after_an_error(receive: Receive) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        running = receive(Observation(per_stream=4), reception__port_start=port - 1)
        with pytest.raises(NetworkError):
            running.finish()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port - 1))
