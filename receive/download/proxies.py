"""Which proxy a URL is reached through: what the environment says, by the rules of Go.

rclone goes by these rules, so the fetcher does too, and one ``no_proxy`` means one thing.  They are
those of ``golang.org/x/net/http/httpproxy``, with two spellings more, of which Go makes names that
match nothing: blanks between entries, and an IPv6 address in brackets without a port.  `Proxies`
gives other programs a value in which these are spelt as Go reads them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import idna

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("http", "https")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SEPARATORS = re.compile(r"[\s,]+")
_WITH_PORT = re.compile(r"\[([^\[\]]*)\]:([^:\[\]]*)|([^:\[\]]*):([^:\[\]]*)")
_BRACKETS = re.compile(r"\[([^\[\]]*:[^\[\]]*)\]")
_BITS_OF_IPV4_IN_IPV6 = 96

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Entry:
    """One entry of ``no_proxy``.

    Attributes
    ----------
    first, last
        Of the addresses; None for a name.
    suffix
        Of names, with the dot at its beginning.
    itself
        Whether the name without the dot is meant too.
    port
        The one that is meant; empty for all.
    text
        As Go reads it.
    """

    text: str
    first: Address | None = None
    last: Address | None = None
    suffix: str = ""
    itself: bool = False
    port: str = ""

    def has(self, host: str, address: Address | None, port: str) -> bool:
        if self.port and self.port != port:
            return False
        if self.first is None or self.last is None:
            by_name = host.endswith(self.suffix) or (self.itself and host == self.suffix[1:])
            return address is None and by_name
        if address is None or address.version != self.first.version:
            return False
        return int(self.first) <= int(address) <= int(self.last)


@dataclass(frozen=True)
class Proxies:
    """The proxies of an environment, and what is reached without one.

    Attributes
    ----------
    http, https
        URLs of the proxies for URLs of these schemes; None for none.
    no_proxy
        Comma-separated: names, which mean their subdomains too; ``.name`` and ``*.name``, the
        subdomains alone; addresses; networks; all but networks with ``:port``; or ``*``.
    """

    http: str | None = None
    https: str | None = None
    no_proxy: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Proxies:
        """Return those of an environment: small letters first, also where they are empty."""
        every = _value(environment, "all_proxy")
        return cls(
            _value(environment, "http_proxy", every) or None,
            _value(environment, "https_proxy", every) or None,
            _value(environment, "no_proxy"),
        )

    def of_url(self, url: str) -> str | None:
        """Return the proxy for a URL of http or https; None where there is none.

        Raises
        ------
        ValueError
            It is no URL.
        """
        parts = urlsplit(url)
        proxy = {"http": self.http, "https": self.https}.get(parts.scheme)
        if proxy is None:
            return None
        port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else str(parts.port)
        return None if self.is_direct(parts.hostname or "", port) else proxy

    def is_direct(self, host: str, port: str) -> bool:
        """Tell whether a host is reached without a proxy; this machine always is."""
        host = _ascii(host).lower().strip()
        try:
            # Go leaves the zone of an address out.
            address = _plain(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            address = None
        if host == "localhost" or (address is not None and address.is_loopback):
            return True
        entries = _entries(self.no_proxy)
        return entries is None or any(entry.has(host, address, port) for entry in entries)

    def environment(self) -> dict[str, str]:
        """Return the variables that give another program the same proxies, in both cases."""
        proxies = {"http_proxy": self.http, "https_proxy": self.https}
        given = {name: url for name, url in proxies.items() if url is not None}
        if given:
            entries = _entries(self.no_proxy)
            no_proxy = "*" if entries is None else ",".join(entry.text for entry in entries)
            given["no_proxy"] = no_proxy
        return given | {name.upper(): value for name, value in given.items()}


def _value(environment: Mapping[str, str], name: str, default: str = "") -> str:
    return environment.get(name, environment.get(name.upper(), default)).strip()


def _entries(no_proxy: str) -> list[_Entry] | None:
    """Return the entries of a value; None if it means everything."""
    texts = [text.lower() for text in _SEPARATORS.split(no_proxy) if text]
    if "*" in texts:
        return None
    return [entry for text in texts if (entry := _entry(text)) is not None]


def _entry(text: str) -> _Entry | None:
    network = _network(text)
    if network is not None:
        return _Entry(text, *network)
    if bare := _BRACKETS.fullmatch(text):
        text = bare[1]
    host, port = text, ""
    if match := _WITH_PORT.fullmatch(text):
        host, port = (match[1], match[2]) if match[3] is None else (match[3], match[4])
    if not host:
        return None
    if "%" not in host:
        try:
            address = _plain(ipaddress.ip_address(host))
        except ValueError:
            pass
        else:
            return _Entry(text, address, address, port=port)
    host = host[1:] if host.startswith("*.") else host
    itself = not host.startswith(".")
    suffix = "." + _ascii(host.removeprefix("."))
    return _Entry(text, suffix=suffix, itself=itself, port=port)


def _network(text: str) -> tuple[Address, Address] | None:
    """Return the first and last address of ``address/bits``."""
    address, _, bits = text.partition("/")
    # Python would take masks and zones as well.
    if not (bits.isascii() and bits.isdecimal()) or "%" in address or len(bits) > len("0000128"):
        return None
    try:
        network = ipaddress.ip_network((address, int(bits)), strict=False)
    except ValueError:
        return None
    first, last = network.network_address, network.broadcast_address
    if network.version == 6 and network.prefixlen < _BITS_OF_IPV4_IN_IPV6:  # noqa: PLR2004
        return first, last
    return _plain(first), _plain(last)


def _plain(address: Address) -> Address:
    """Return the IPv4 address that one of IPv6 stands for, or the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _ascii(host: str) -> str:
    """Return a name as it is looked up; what is no name as it is."""
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return host
