"""What tests see inside a receiver that runs in their own process; they reach into it only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from receive.stream.table.free_buffers import NONE
from receive.stream.table.shared_types import EntryState

if TYPE_CHECKING:
    import socket

    from receive.consumers.runner import ConsumerThread
    from receive.run.receiver import Receiver


class View:
    """The inside of a receiver: what its network threads and its collector know of each other."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    # --- the table that network threads fill

    @property
    def counters(self) -> Any:
        """Refused heaps, (groups, reasons)."""
        return self._receiver.state.counters

    @property
    def begun(self) -> Any:
        """Heaps that the network threads have looked at, of each stream; goes on changing."""
        return self._receiver.state.streams["begun"]

    @property
    def present(self) -> Any:
        """Which heaps are in which buffer, (buffers, groups); goes on changing."""
        return self._receiver.state.present[: self.pool_size]

    @property
    def head(self) -> int:
        """How many integrations have been begun."""
        return int(self._receiver.state.get("head"))

    @property
    def now_ms(self) -> int:
        """When the collector last looked."""
        return int(self._receiver.state.get("now_ms"))

    @property
    def epoch(self) -> int:
        """How often the times have begun anew."""
        return int(self._receiver.state.epoch)

    @property
    def waiting_epochs(self) -> list[int]:
        """Of each integration that waits, the epoch."""
        state = self._receiver.state
        epochs: list[int] = state.entry_epoch[state.entry_state == EntryState.LIVE].tolist()
        return epochs

    @property
    def settled_epoch(self) -> int:
        """The last epoch that is certain."""
        return int(self._receiver.state.settled_epoch)

    def has_ended(self, stream: int) -> bool:
        """Whether an end heap of a stream came."""
        return bool(self._receiver.state.streams["ended"][stream])

    # --- buffers, and what is handed on

    @property
    def pool_size(self) -> int:
        """How many buffers there are."""
        return self._receiver.state.pool_size.dumps

    @property
    def free(self) -> int:
        """How many buffers are free."""
        return len(self._receiver.window.pool)

    @property
    def lent(self) -> int:
        """How many buffers consumers have."""
        return self._receiver.window.pool.lent

    @property
    def quarantined(self) -> int:
        """How many buffers wait until nobody can write to them any more."""
        return len(self._receiver.window.pool._quarantine)

    @property
    def free_blocks(self) -> set[int]:
        """The blocks on the stack of free ones, each once."""
        state = self._receiver.state
        found: list[int] = []
        block = int(state.free_top[0])
        while block != NONE:
            found.append(block)
            assert len(found) <= len(state.free_below), "the stack is a ring"
            block = int(state.free_below[block])
        assert len(found) == len(set(found))
        return set(found)

    @property
    def window_is_empty(self) -> bool:
        """Whether nothing waits to be handed on."""
        return self._receiver.window.is_empty()

    @property
    def handed_on(self) -> int:
        """How many integrations were handed on."""
        return self._receiver.dispatch.dumps

    @property
    def received(self) -> int:
        """Heaps of the scan that is being received."""
        scan = self._receiver.scans.current
        assert scan is not None
        return int(scan.received.sum())

    # --- the network

    @property
    def packets(self) -> int:
        """How many packets came."""
        return self._receiver.source.packets()

    @property
    def sockets(self) -> list[socket.socket]:
        """All that datagrams can wait in."""
        source: Any = self._receiver.source
        ways_on = getattr(source.senders, "ways_on", [])
        return [*source._bound, *source.senders.beside, *ways_on]

    @property
    def kernel_drops(self) -> Any:
        """What the kernel has dropped, of each port; None where it does not say."""
        return self._receiver.scans.kernel_drops.read()

    def claim_kernel_drops(self, count: int) -> None:
        """Let it look as if the kernel had dropped so many packets; its counter wraps at 2^32."""
        self._receiver.scans.kernel_drops._seen = [2**32 - count]

    @property
    def account(self) -> dict[str, Any]:
        """What is told of the sources of packets."""
        return self._receiver.source.account.as_dict()

    @property
    def taken(self) -> dict[int, str]:
        """Whom packets of each stream are taken from, once that is decided."""
        taken = self._receiver.source.account.taken.copy()
        return {stream: str(name) for stream, name in taken.items()}

    @property
    def gates(self) -> list[Any]:
        """What decides on the packets of each port."""
        source: Any = self._receiver.source
        gates: list[Any] = source.senders._gates
        return gates

    @property
    def sender_is_watched(self) -> bool:
        """Whether control heaps of the first port's sender are known."""
        return bool(self.gates[0]._watch.controls)


def wait_until_over(thread: ConsumerThread) -> None:
    """Wait until a consumer's thread is gone, also one that the receiver has given up."""
    thread._thread.join()
