"""Names of hosts that come and go, as those of a cluster's pods do."""

from __future__ import annotations

import socket

import pytest

from emulator.send import addresses
from receive.errors import NetworkError

ENDPOINTS = (("obs-0.obs", 41000), ("obs-0.obs", 41001), ("obs-1.obs", 41002))


class Names:
    """A DNS in which each name is there for a part of the lookups only."""

    def __init__(self, **there: range) -> None:
        self._there = there
        self._asked = 0

    def getaddrinfo(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self._asked += 1
        if self._asked not in self._there[host.partition(".")[0].replace("-", "_")]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (f"192.0.2.{host[4]}", 0))]


@pytest.fixture
def names(monkeypatch):
    """Let lookups be answered by names of the test's own."""

    def use(**there: range) -> None:
        monkeypatch.setattr(addresses.socket, "getaddrinfo", Names(**there).getaddrinfo)
        monkeypatch.setattr(addresses, "_LOOK_S", 0.0)

    return use


def test_a_name_that_goes_while_another_is_waited_for_has_been_there(names):
    names(obs_0=range(3, 4), obs_1=range(6, 7))
    targets = addresses.resolve_targets(ENDPOINTS, wait_s=60.0)
    assert [(one.address, one.port) for one in targets] == [
        ("192.0.2.0", 41000),
        ("192.0.2.0", 41001),
        ("192.0.2.1", 41002),
    ]


def test_nobody_waits_who_was_not_told_to(names):
    names(obs_0=range(2, 9), obs_1=range(2, 9))
    with pytest.raises(NetworkError, match=r"obs-0\.obs to send to has no address"):
        addresses.resolve_targets(ENDPOINTS)
