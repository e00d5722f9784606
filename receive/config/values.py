"""Small languages in configuration values: spans of channels, endpoints, addresses.

Each reader raises ValueError with what it would accept, so that the keys can check their values
with it when they are read, and those who use a value can take it apart with the same code.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST_PORT = 65535
ANY, FIRST = "any", "first"
"""Words that say whom a stream is taken from; they stand alone."""
ANY_HOST = "*"
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_SPAN = re.compile(r"([0-9]{1,10}):([0-9]{1,10})", re.ASCII)
_SOURCE_NAME = re.compile(r"(?=.*[A-Za-z])[\w-]+(?:\.[\w-]+)*\.?", re.ASCII)
_ENDPOINT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w-]+)\]|(?P<name>[^\s:\[\]/,]+)):"
    r"(?P<first>[0-9]{1,6})(?:-(?P<last>[0-9]{1,6}))?",
    re.ASCII,
)


def parse_span(text: str) -> tuple[int, int]:
    """Return (first channel, number of channels) of a span ``start:count``.

    Raises
    ------
    ValueError
        Not two whole numbers, or no channels.
    """
    match = _SPAN.fullmatch(text)
    if match is None or int(match[2]) == 0:
        raise ValueError("a span is start:count, such as 0:16, with a count of 1 or more")
    return int(match[1]), int(match[2])


def parse_endpoint(text: str) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of one endpoint ``host:port`` or ``host:first-last``.

    IPv6 addresses stand in brackets, ``[::1]:41000-41003``; the pairs hold them without.

    Raises
    ------
    ValueError
        The text is no endpoint, or its ports are not from 1 to 65535 in rising order.
    """
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError("an endpoint is host:port or host:first-last, IPv6 addresses in brackets")
    host = match["v6"] or match["name"]
    if match["v6"] is not None:
        ipaddress.IPv6Address(host)
    first = int(match["first"])
    last = int(match["last"]) if match["last"] is not None else first
    if not 1 <= first <= last <= HIGHEST_PORT:
        raise ValueError(f"ports are from 1 to {HIGHEST_PORT}, the first not above the last")
    return [(host, port) for port in range(first, last + 1)]


def parse_endpoints(endpoints: Iterable[str]) -> list[tuple[str, int]]:
    """Return the (host, port) pairs of all `endpoints` in their order, one for each stream.

    Raises
    ------
    ValueError
        One of them is no endpoint.
    """
    return [pair for endpoint in endpoints for pair in parse_endpoint(endpoint)]


def parse_source(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | str:
    """Return the network that a source is, or the text where it is a word or a host name.

    Raises
    ------
    ValueError
        It is neither an address, nor a network, nor can be a name; or no sender has the address.
    """
    bare = text.removeprefix("[").removesuffix("]")
    try:
        # The interface of a link's own address is not in its packets.
        network = ipaddress.ip_network(re.sub(r"%[^/]+", "", bare), strict=False)
    except ValueError:
        if _SOURCE_NAME.fullmatch(text) is None:
            raise ValueError(
                "a source is an address, a network such as 10.0.0.0/24, or a host name"
            ) from None
        return text
    if network.is_multicast:
        raise ValueError("a source is whom it comes from, and no sender has a group's address")
    return network


def is_multicast(host: str | None) -> bool:
    """Tell whether `host` is the address of a multicast group; names and interfaces are not."""
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False


def parse_sha256(text: str) -> str:
    """Return a SHA-256 checksum in lower case.

    Raises
    ------
    ValueError
        Not 64 hexadecimal digits.
    """
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        raise ValueError("a SHA-256 checksum has 64 hexadecimal digits")
    return text.lower()


def is_host_name(text: str) -> bool:
    """Tell whether a text in lower case can be the name of a host."""
    return _HOST_NAME.fullmatch(text) is not None


def parse_host(text: str) -> str:
    """Return an item of `monitor.hosts` as it is compared.

    Raises
    ------
    ValueError
        Neither a name, nor an address, nor ``*.`` before a name, nor ``*``.
    """
    address = bare_address(text)
    if address is not None:
        return str(address)
    name = bare_name(text)
    if name != ANY_HOST and not is_host_name(name.removeprefix("*.")):
        raise ValueError(
            "a host is a name, *.DOMAIN for all names below it, an address, or * for any; "
            "no port, no path"
        )
    return name


def bare_name(text: str) -> str:
    """Return a host's name as it is compared: in lower case, without the dot at its end."""
    return text.lower().removesuffix(".")


def bare_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, without brackets and zone; that of IPv4 where IPv6 carries one."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
