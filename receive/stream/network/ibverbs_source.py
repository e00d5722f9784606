"""SPEAD2 in packets straight from the network card."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from receive.stream.network.ibverbs import IbverbsPort, open_ibverbs
from receive.stream.network.spead import SpeadSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import spead2.recv

    from receive.stream.network.sockets import Endpoint


class IbverbsSource(SpeadSource):
    """Datagrams to a queue of the card for each stream; their senders are not looked at."""

    usual_packet_bytes: ClassVar[int] = 9200
    _bound: Sequence[IbverbsPort]

    def _bind(self, endpoint: Endpoint) -> Sequence[IbverbsPort]:
        return open_ibverbs(endpoint, self.listening.ports, self.listening.buffer_bytes)

    def _add_reader(self, made: spead2.recv.ChunkRingStream, stream: int) -> None:
        self._bound[stream].attach(made, self._max_packet_bytes)

    def unreadable(self, *, over: bool) -> str:
        """Return nothing: on a card every look counts as a batch."""
        return ""
