"""What a receiver asks of a network, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from receive.stream.network.kernel_drops import KernelDrops
from receive.stream.network.source_account import SourceAccount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.stream.table.state import SharedState


@dataclass(frozen=True)
class Listening:
    """Where and how to listen.

    Attributes
    ----------
    host
        Address, host name or interface; None is all interfaces.
    interface
        Of a multicast group, or of the card; None leaves it to the system.
    ports
        One a stream; 0 lets the system choose.
    buffer_bytes
        For packets that have not been read, of each stream.
    threads
        Network threads; 0 is one a stream.
    max_packet_bytes
        Largest packet to expect, where that is more than the transport's usual one.
    allowed
        From whom: the value of `reception.sources`.
    connect_timeout_s
        How long a connection may bring nothing while another one waits.
    dump_timeout_s
        How long an incomplete integration waits.
    """

    host: str | None
    interface: str | None
    ports: Sequence[int]
    buffer_bytes: int
    threads: int
    max_packet_bytes: int
    allowed: Sequence[str]
    connect_timeout_s: float
    dump_timeout_s: float


class Source(ABC):
    """Brings heaps of a network into the shared arrays.

    Parameters
    ----------
    listening
        Where and how to listen.

    Attributes
    ----------
    trusted
        Whether all that comes on a stream is of one sender: the stream is a connection.
    account
        What was not taken for whom it was from, and who shared a port.
    drops
        What the kernel dropped.
    host, ports
        What is bound, a port for each stream; nothing before `open`.
    """

    trusted: ClassVar[bool] = False

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.account = SourceAccount(listening.allowed, listening.ports)
        self.drops = KernelDrops()
        self.host = ""
        self.ports: list[int] = []

    @abstractmethod
    def open(self, state: SharedState) -> None:
        """Bind all ports, so that packets can wait for `start`.

        Raises
        ------
        VisReceiveError
            If one cannot be bound, or who may send cannot be limited as asked for.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin to receive.

        Raises
        ------
        NetworkError
            If the network cannot be used.
        """

    @abstractmethod
    def packets(self) -> int:
        """Return the packets received so far on the streams that are open now."""

    @abstractmethod
    def unreadable(self, *, over: bool) -> str:
        """Return what came instead of packets where not one has come; nothing if that is not so.

        Parameters
        ----------
        over
            Whether nothing is waited for any more.
        """

    @abstractmethod
    def ended(self) -> list[int]:
        """Return the streams whose sender has left since the last call; each listens again."""

    @abstractmethod
    def scan_ended(self) -> None:
        """Be told that a scan has ended: others may send the next one."""

    @abstractmethod
    def stop(self) -> None:
        """Stop receiving and close everything; may be called again."""
