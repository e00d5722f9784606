"""Who sent what was not taken, and who shares a port: counted, named, and told rarely.

The thread that reads strangers' packets writes here (`senders`), the collector reads.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from receive.command.port_ranges import port_ranges
from receive.command.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receive.host.peer import Peer

logger = logging.getLogger(__name__)

MOST_NAMED = 100
"""Strangers that are counted by name; however many there are, they take no memory."""
_SHOWN = 3


class SourceAccount:
    """Counts what was not taken for its source, for a whole run.

    Parameters
    ----------
    sources
        The value of reception.sources.
    ports
        Port of each stream; to be replaced by those that the system has chosen.
    """

    def __init__(self, sources: Sequence[str], ports: Sequence[int]) -> None:
        self._sources = in_words(sources)
        self.ports = list(ports)
        self._packets = [0] * len(ports)
        self._dropped = [0] * len(ports)
        self._connections = [0] * len(ports)
        self._strangers: dict[Peer, int] = {}
        self._unfit: dict[int, tuple[Peer, str]] = {}
        self._began: dict[int, Peer] = {}
        self._second: dict[int, tuple[Peer, Peer]] = {}
        self.taken: dict[int, Peer] = {}
        """Whom a stream is locked to."""
        self.gave_way = 0
        """Connections that were dropped for another one that waited."""
        self._tell_refused = _Growth()
        self._tell_second = _Growth()
        self._tell_unfit = _Growth()

    # For the thread that reads.

    def refuse(self, stream: int, source: Peer, *, packets: int = 0, connections: int = 0) -> None:
        """Count what a stranger sent to a stream."""
        if not packets + connections:
            return
        self._packets[stream] += packets
        self._connections[stream] += connections
        known = self._strangers.get(source)
        if known is None and len(self._strangers) >= MOST_NAMED:
            return
        self._strangers[source] = (known or 0) + packets + connections

    def drop(self, stream: int, packets: int) -> None:
        """Tell how many packets of strangers to a stream the kernel dropped so far."""
        self._dropped[stream] = packets

    def does_not_fit(self, stream: int, source: Peer, why: str) -> None:
        """Note that a stream which waits for its sender was sent what it cannot begin with."""
        self._unfit[stream] = source, why

    def began(self, stream: int, source: Peer) -> None:
        """Note that a stream which waits for its sender was sent its beginning."""
        self._began[stream] = source

    def second(self, stream: int, first: Peer, other: Peer) -> None:
        """Note that another sender uses the port of a stream whose sender is at work."""
        if stream not in self._second:
            self._second[stream] = first, other
            logger.debug("Port %d: %s and %s", self.ports[stream], first, other)

    # For the collector.

    @property
    def refused_packets(self) -> int:
        """Packets that were not taken for their source."""
        return sum(self._packets) + sum(self._dropped)

    @property
    def refused_connections(self) -> int:
        """Connections that were closed for their source."""
        return sum(self._connections)

    def look(self, now_s: float) -> None:
        """Tell the operator what is new, if it is time to."""
        self._tell_second(now_s, len(self._second), self._two_senders)
        self._tell_refused(now_s, self.refused_packets + self.refused_connections, self._refused)
        unfit = len(self._unfit) if not self.taken else 0
        self._tell_unfit(now_s, unfit, lambda _: f"Nothing can be received: {self.unfit()}")

    def unfit(self) -> str:
        """Return what came from whom where no stream could begin; nothing if that is not so."""
        if self.taken:
            return ""
        if self._unfit:
            stream, (source, why) = next(iter(self._unfit.copy().items()))
            port = self.ports[stream]
            return f"what {source} sends to port {port} is no heap to begin with: {why}"
        if self._began:
            stream, began = next(iter(self._began.copy().items()))
            return f"{began} began the stream of port {self.ports[stream]}, and sent no data"
        if not self.refused_packets + self.refused_connections:
            return ""
        ports = self._touched()
        return (
            f"all that came to port {port_ranges(ports)} was from {self._named()}, and "
            f"reception.sources is {self._sources}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, for programs."""
        return {
            "refused_packets": self.refused_packets,
            "refused_connections": self.refused_connections,
            "connections_given_up": self.gave_way,
            "strangers": {str(source): count for source, count in self._by_count()},
            "second_senders": [
                {"port": self.ports[stream], "senders": [str(first), str(other)]}
                for stream, (first, other) in sorted(self._second.copy().items())
            ],
        }

    def _two_senders(self, _more: int) -> str:
        second = sorted(self._second.copy().items())
        stream, (first, other) = second[0]
        ports = [self.ports[one] for one, _ in second]
        also = f" (the same on {port_ranges(ports)})" if len(ports) > 1 else ""
        return (
            f"Two senders on port {self.ports[stream]}: {first} and {other}{also}; "
            f"reception.sources says whom to take"
        )

    def _refused(self, more: int) -> str:
        what = "packets" if self.refused_packets else "connections"
        whom = f"reception.sources is {self._sources}"
        if taken := self.taken.copy():
            stream, source = next(iter(taken.items()))
            whom += f", and port {self.ports[stream]} takes {source}"
        return (
            f"{more} {what} to port {port_ranges(self._touched())} were not taken: they are from "
            f"{self._named()}; {whom}"
        )

    def _touched(self) -> list[int]:
        counts = zip(self.ports, self._packets, self._dropped, self._connections, strict=True)
        return [port for port, *refused in counts if any(refused)]

    def _named(self) -> str:
        named = self._by_count()
        shown = ", ".join(str(source) for source, _ in named[:_SHOWN])
        more = "" if len(named) <= _SHOWN else f" and {len(named) - _SHOWN} more"
        return f"{shown or 'others'}{more}"

    def _by_count(self) -> list[tuple[Peer, int]]:
        return sorted(self._strangers.copy().items(), key=lambda one: (-one[1], one[0]))


def in_words(sources: Sequence[str]) -> str:
    """Return the value of reception.sources, the first ones of many."""
    more = len(sources) - _SHOWN
    return ",".join(sources[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


class _Growth:
    """Warns when a number has grown; rate-limited."""

    def __init__(self) -> None:
        self._told = 0
        self._limit = RateLimit()

    def __call__(self, now_s: float, number: int, text: Callable[[int], str]) -> None:
        if number > self._told and self._limit.is_due(now_s):
            logger.warning("%s", text(number - self._told))
            self._told = number
