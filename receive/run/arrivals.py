"""What comes in: since when, at what rate, how long nothing has, and what that may mean."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from receive.command.errors import NothingReceivedError
from receive.command.progress import format_bytes
from receive.stream.table.refusals import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.stream.dumps.scans import Scans
    from receive.stream.dumps.window import Window
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

SILENCE_S = 2.0
"""Silence that is worth a word in the progress."""
LOST_END_S = 1.0
"""Silence, at least, after which the end of a stream counts as lost: senders may be held up."""


class Arrivals:
    """Follows what comes in, for the collector's thread only.

    Parameters
    ----------
    scans
        Whose heaps.
    idle_timeout_s
        How long nothing comes when it is over; 0 for ever.
    dump_timeout_s
        How long an incomplete integration waits.

    Attributes
    ----------
    began_s
        When the receiver began to look, monotonic.
    first_s, last_s
        When the first heap came and the last dump was handed on, monotonic; 0 before.
    moved_s
        When something last came, or the receiver began.
    bytes_per_s
        Rate of records between the last two looks.
    """

    def __init__(self, scans: Scans, idle_timeout_s: float, dump_timeout_s: float) -> None:
        self._scans = scans
        self.idle_timeout_s = idle_timeout_s
        self._dump_timeout_s = dump_timeout_s
        self._packets = 0
        self.began_s = 0.0
        self.first_s = 0.0
        self.last_s = 0.0
        self.moved_s = 0.0
        self.bytes_per_s = 0.0
        self._looked_s = 0.0
        self._bytes = 0
        self._told = False

    def begin(self, now_s: float) -> None:
        """Note that packets can come from now on."""
        self.began_s = self.moved_s = now_s

    @property
    def seconds(self) -> float:
        """From the first heap to the last dump."""
        return max(0.0, self.last_s - self.first_s)

    def are_over(self, now_s: float, window: Window, packets: Callable[[], int]) -> bool:
        """Whether nothing has come for `reception.idle_timeout`; notes when something did."""
        if window.progress_s > self.moved_s:
            self.first_s = self.first_s or now_s
            self.moved_s = now_s
        if not self.idle_timeout_s or now_s - self.moved_s <= self.idle_timeout_s:
            return False
        before, self._packets = self._packets, packets()
        if self._packets > before and not window.is_empty():
            # A heap so large that it takes longer than the timeout is still growing.
            self.moved_s = now_s
            return False
        return True

    def scan_is_over(self, now_s: float, window: Window, epoch: int) -> bool:
        """Whether nothing more is to be expected of a start of the sender."""
        idle_s = now_s - self.moved_s
        if idle_s <= window.ended_s():
            return False
        # In this order: what came before the ends of the streams is in the window by now.
        over = window.is_over(epoch)
        if not window.is_empty(epoch):
            return False
        return over or (
            window.some_end_was_lost()
            and idle_s > max(self._dump_timeout_s, LOST_END_S, window.pace.quiet_s)
        )

    def silent_s(self, now_s: float) -> float:
        """Return how long nothing has come."""
        return max(0.0, now_s - self.moved_s)

    def note(self, now_s: float) -> str:
        """Return the rate since the last call, what is missing, and how long nothing has come."""
        current, received = self._scans.current, self._scans.payload_bytes
        self.bytes_per_s = (received - self._bytes) / max(now_s - self._looked_s, 1e-9)
        self._bytes, self._looked_s = received, now_s
        silent_s = self.silent_s(now_s)
        silence = f", nothing came for {silent_s:.0f} s" if silent_s > SILENCE_S else ""
        missing = current.missing if current else 0
        return f"{format_bytes(self.bytes_per_s)}/s, {missing} heaps missing{silence}"

    def look(self, state: SharedState) -> None:
        """Warn, once until data come, of streams that have ended without any."""
        streams = state.streams
        empty = (streams["ended"] != 0) & (streams["data_in_epoch"] == 0)
        if self._scans.current is not None or not empty.any():
            self._told = False
        elif not self._told:
            self._told = True
            logger.warning(
                "%d of %d streams have ended without bringing any data: has the sender anything to "
                "send? Still waiting, until data come or reception.idle_timeout is over",
                empty.sum(),
                len(streams),
            )


def nothing_received(waited_s: float, state: SharedState, unreadable: str) -> NothingReceivedError:
    """Return the error that says why nothing that could be used has come.

    Parameters
    ----------
    waited_s
        How long was waited.
    state
        Counts of what was refused, and of what began.
    unreadable
        What came instead of packets, nothing if that is not so.
    """
    totals = state.counters.sum(axis=0)
    streams = state.streams
    nothing_usable = f"nothing that could be used arrived in {waited_s:.1f} s"
    if totals.any():
        return NothingReceivedError(
            f"{nothing_usable}: {totals.sum()} heaps "
            f"came and were refused ({in_words(totals)}; the warnings above say why)"
        )
    if streams["starts"].any() or streams["ended"].any():
        return NothingReceivedError(
            f"{nothing_usable}: heaps came that begin or end a stream, and none with data: has the "
            f"sender anything to send?"
        )
    if unreadable:
        return NothingReceivedError(f"{nothing_usable}: {unreadable}")
    return NothingReceivedError(
        f"nothing arrived in {waited_s:.1f} s: is the sender's target this address and port, "
        f"and does no firewall intervene?"
    )
