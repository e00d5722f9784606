"""Arrival of data: start, rate, silence, and the conclusions drawn from silence."""

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
"""Silence after which the progress line mentions it."""
LOST_END_S = 1.0
"""Shortest silence after which an end-of-stream heap counts as lost: a sender may be delayed."""


class Arrivals:
    """Tracks the arrival of data; used by the collector's thread only.

    Parameters
    ----------
    scans
        Scans of the run, which count the heaps.
    idle_timeout_s
        Silence after which the run is over; 0 is unlimited.
    dump_timeout_s
        How long the receiver waits for an incomplete integration.

    Attributes
    ----------
    began_s
        Monotonic time at which the receiver started.
    first_s, last_s
        Monotonic times of the first heap and of the last dump passed on; 0 before.
    moved_s
        Monotonic time of the last arrival, at first the start of the receiver.
    bytes_per_s
        Rate of records between the last two calls of `note`.
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
        self._warned_empty = False

    def begin(self, now_s: float) -> None:
        """Note the time from which packets are received."""
        self.began_s = self.moved_s = now_s

    @property
    def seconds(self) -> float:
        """Seconds from the first heap to the last dump."""
        return max(0.0, self.last_s - self.first_s)

    def are_over(self, now_s: float, window: Window, packets: Callable[[], int]) -> bool:
        """Return whether nothing arrived for `reception.idle_timeout`; update `moved_s`."""
        if window.progress_s > self.moved_s:
            self.first_s = self.first_s or now_s
            self.moved_s = now_s
        if not self.idle_timeout_s or now_s - self.moved_s <= self.idle_timeout_s:
            return False
        before, self._packets = self._packets, packets()
        if self._packets > before and not window.is_empty():
            # Packets still arrive, for a heap that takes longer than the timeout.
            self.moved_s = now_s
            return False
        return True

    def scan_is_over(self, now_s: float, window: Window, epoch: int) -> bool:
        """Return whether no more data are expected from this start of the sender (`epoch`)."""
        idle_s = now_s - self.moved_s
        if idle_s <= window.ended_s():
            return False
        # Check the ends first: data that arrived before them are then already in the window.
        over = window.is_over(epoch)
        if not window.is_empty(epoch):
            return False
        return over or (
            window.some_end_was_lost()
            and idle_s > max(self._dump_timeout_s, LOST_END_S, window.pace.quiet_s)
        )

    def silent_s(self, now_s: float) -> float:
        """Return the seconds since the last arrival."""
        return max(0.0, now_s - self.moved_s)

    def note(self, now_s: float) -> str:
        """Return the progress note: rate since the last call, missing heaps, silence."""
        current, received = self._scans.current, self._scans.payload_bytes
        self.bytes_per_s = (received - self._bytes) / max(now_s - self._looked_s, 1e-9)
        self._bytes, self._looked_s = received, now_s
        silent_s = self.silent_s(now_s)
        silence = f", nothing came for {silent_s:.0f} s" if silent_s > SILENCE_S else ""
        missing = current.missing if current else 0
        return f"{format_bytes(self.bytes_per_s)}/s, {missing} heaps missing{silence}"

    def look(self, state: SharedState) -> None:
        """Warn, once until data arrive, of streams that ended without data."""
        streams = state.streams
        empty = (streams["ended"] != 0) & (streams["data_in_epoch"] == 0)
        if self._scans.current is not None or not empty.any():
            self._warned_empty = False
        elif not self._warned_empty:
            self._warned_empty = True
            logger.warning(
                "%d of %d streams have ended without bringing any data: has the sender anything to "
                "send? Still waiting, until data come or reception.idle_timeout is over",
                empty.sum(),
                len(streams),
            )


def nothing_received(waited_s: float, state: SharedState, unreadable: str) -> NothingReceivedError:
    """Return the error that explains why no usable data arrived.

    Parameters
    ----------
    waited_s
        How long the receiver waited.
    state
        Counts refused heaps and the starts and ends of streams.
    unreadable
        Describes what arrived instead of SPEAD packets; empty if nothing did.
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
