"""Whose requests are answered: those that were meant for this monitor, by their Host header.

A page of somebody else's can let its own name resolve to an address of this machine (DNS
rebinding), and a browser then lets it read what is answered.  The header still holds that name.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from receive.config.values import ANY_HOST, bare_address, bare_name, is_host_name, parse_host

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = re.compile(r"(?P<host>\[[^\[\]\s]+\]|[^\[\]:@/\s]+)(:[0-9]{0,5})?", re.ASCII)
_LONGEST_SHOWN = 100


class Hosts:
    """The hosts that are this monitor's.

    Its own are: the address that a request came to, those of this machine's own loopback, what
    `monitor.bind_hostname` says, ``localhost`` and the machine's host name.

    Parameters
    ----------
    bound
        `monitor.bind_hostname`.
    more
        `monitor.hosts`.
    """

    def __init__(self, bound: str, more: Iterable[str]) -> None:
        given = [parse_host(item) for item in more]
        self._any = ANY_HOST in given
        self._below = tuple(item[1:] for item in given if item.startswith("*."))
        self._same = {
            bare_name(bound.strip("[]")),
            "localhost",
            bare_name(socket.gethostname()),
            *given,
        }

    def refusal(self, headers: Iterable[str], came_to: str) -> str | None:
        """Return why a request is not answered, in one line; None where it is.

        Parameters
        ----------
        headers
            All its Host headers, or the host of its target.  None is accepted: no browser sends
            such a request.
        came_to
            The address at which it arrived.
        """
        given = list(headers)
        if self._any or not given:
            return None
        if len(given) == 1 and self._is_own(given[0].strip(), came_to):
            return None
        named = ", ".join(given)[:_LONGEST_SHOWN].encode("unicode_escape").decode()
        return f"{named} is no host of this monitor; monitor.hosts may list further ones"

    def _is_own(self, header: str, came_to: str) -> bool:
        match = _HEADER.fullmatch(header)
        if match is None:
            return False
        address = bare_address(match["host"])
        if address is not None:
            own = address.is_loopback or address == bare_address(came_to)
            return own or (str(address) in self._same and not address.is_unspecified)
        name = bare_name(match["host"])
        return name in self._same or (is_host_name(name) and name.endswith(self._below))
