"""Names of hosts that come and go, as those of a cluster's pods do."""

from __future__ import annotations

import socket

import pytest

from emulator.send import addresses
from receive.command.errors import ConfigError, NetworkError

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


@pytest.mark.parametrize(
    ("hosts", "sent_to"),
    [
        ({"a": ["127.0.0.1", "::1"], "b": ["127.0.0.2"]}, ["127.0.0.1", "127.0.0.2"]),
        ({"a": ["127.0.0.1", "::1"], "b": ["::1"]}, ["::1", "::1"]),
        ({"a": ["127.0.0.1", "::1"], "b": ["::1", "127.0.0.3"]}, ["127.0.0.1", "127.0.0.3"]),
        # Nobody has a way to 255.255.255.255 without asking for broadcasts.
        ({"a": ["255.255.255.255", "::1"], "b": ["127.0.0.2", "::1"]}, ["::1", "::1"]),
    ],
)
def test_all_hosts_are_sent_to_in_one_family(monkeypatch, hosts, sent_to):
    monkeypatch.setattr(addresses, "addresses_of", hosts.get)
    targets = addresses.resolve_targets(tuple((host, 41000) for host in hosts))
    assert [one.address for one in targets] == sent_to


def test_hosts_without_a_common_family_are_named(monkeypatch):
    hosts = {"a": ["127.0.0.1"], "b": ["::1"], "c": ["127.0.0.1", "::1"]}
    monkeypatch.setattr(addresses, "addresses_of", hosts.get)
    with pytest.raises(ConfigError, match=r"a has the address 127\.0\.0\.1 and b the address ::1"):
        addresses.resolve_targets(tuple((host, 41000) for host in hosts))
