"""Warnings about refused heaps, while receiving.

If sender and receiver are configured differently no dump is ever filled, and nothing else would
show why.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from receive.command.rate_limit import RateLimit
from receive.stream.table.shared_types import REASON_TEXT, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)


class Refusals:
    """Warns of each reason for which heaps are refused; rate-limited.

    Parameters
    ----------
    state
        The shared arrays.
    ports
        Port of each stream.
    unreadable
        Returns a description of data that are no SPEAD packets, else an empty string.
    """

    def __init__(self, state: SharedState, ports: list[int], unreadable: Callable[[], str]) -> None:
        self._state = state
        self._ports = ports
        self._unreadable = unreadable
        self._unreadable_limit = RateLimit()
        self._told = np.zeros(len(Reason), np.int64)
        self._limits = {reason: RateLimit() for reason in Reason}

    def look(self, now_s: float) -> None:
        """Warn of heaps refused since the last warning, if the rate limit permits."""
        self._look_for_unreadable(now_s)
        totals = self._state.counters.sum(axis=0)
        for reason in Reason:
            if reason is Reason.DUPLICATE or totals[reason] <= self._told[reason]:
                continue
            if not self._limits[reason].is_due(now_s):
                continue
            logger.warning(
                "%d heaps refused: %s: %s",
                totals[reason] - self._told[reason],
                REASON_TEXT[reason],
                self._why(reason),
            )
            self._told[reason] = totals[reason]

    def _look_for_unreadable(self, now_s: float) -> None:
        said = self._unreadable()
        if said and self._unreadable_limit.is_due(now_s):
            logger.warning("Nothing can be received: %s", said)

    def _why(self, reason: Reason) -> str:
        layout, streams = self._state.layout, self._state.streams
        match reason:
            case Reason.SIZE:
                stream = int(np.argmax(streams["refused_bytes"] != 0))
                return (
                    f"on port {self._ports[stream]} they hold {streams['refused_bytes'][stream]} "
                    f"bytes of data where {layout.group_channels(stream)} channels x "
                    f"{layout.baseline_count} baselines x {layout.record_bytes} = "
                    f"{layout.data_bytes(stream)} were expected: do "
                    f"transmission.channels_per_stream, reception.telescope and "
                    f"reception.datamodel match the sender's?"
                )
            case Reason.CHANNEL:
                stream = int(np.argmax(self._state.counters[:, reason]))
                first = self._state.get("first_channel_id")
                return (
                    f"channel id {streams['refused_channel_id'][stream]} came to port "
                    f"{self._ports[stream]}, and the streams expected begin at {first} and every "
                    f"{layout.channels_per_stream} up to {first + layout.channel_count - 1}: do "
                    f"reception.channels, transmission.channels_per_stream and "
                    f"transmission.channel_id_offset match the sender's?"
                )
            case Reason.BASELINES:
                return (
                    f"they hold {streams['refused_baselines'].max()} baselines, the model "
                    f"{layout.baseline_count}: is reception.datamodel that of the sender?"
                )
            case _:
                return _WHY[reason]


_WHY = {
    Reason.LATE: "their integration had been handed on; reception.dump_timeout and "
    "reception.ring_heaps say how long one waits",
    Reason.NO_BUFFER: "the consumers are slower than the sender and reception.buffer_memory is "
    "used up; over TCP reception.backpressure makes the sender wait instead",
    Reason.ITEMS: "they lack the time or the data item: another protocol or item set on the port?",
    Reason.BAD_TIME: "their time is far from all others, or not the model's with "
    "reception.unknown_times = reject",
    Reason.UNPLACEABLE: "the packet of them that came first does not say what they are; "
    "transmission.repeat_pointers lets packets come in any order",
}


def in_words(totals: NDArray[np.int64] | Mapping[int, int]) -> str:
    """Return the counts by reason as text, without those that are 0."""
    return ", ".join(f"{REASON_TEXT[r]} {totals[r]}" for r in Reason if totals[r])
