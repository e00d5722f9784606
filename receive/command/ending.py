"""Why a run and each of its scans ended, and what that means for the data.

The run and each scan have their own `EndedBy`: in a run ended by a signal, earlier scans may have
ended with their streams.  `ScanEnd` holds how much of a scan arrived and whether its sender ended
it; every report on a scan's end is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class EndedBy(StrEnum):
    """What ended a run or a scan; of several receivers' reasons the one listed last is reported."""

    STREAMS_ENDED = "streams-ended"
    """An end-of-stream heap arrived on every stream that carried data."""
    LOST_END = "lost-end"
    """Some streams ended, the others went silent: over UDP an end-of-stream heap may be lost."""
    NEXT_SCAN = "next-scan"
    """Another scan began."""
    MAX_DUMPS = "max-dumps"
    """`reception.max_dumps` integrations were received."""
    STOPPED = "stopped"
    """``POST /stop`` of the monitor."""
    SIGNAL = "signal"
    """SIGTERM or SIGINT."""
    IDLE = "idle"
    """Nothing arrived for `reception.idle_timeout`."""
    PEER_LOST = "peer-lost"
    """A TCP connection broke before the end of its stream and was not replaced."""
    NO_CONSUMER = "no-consumer"
    """All consumers failed."""
    ERROR = "error"
    """It could not start, or failed; the error says why."""


BY_SENDER = frozenset({EndedBy.NEXT_SCAN, EndedBy.IDLE, EndedBy.PEER_LOST})
"""If a stream did not end, these mean that the sender or the network failed; with the others the
receiver stopped waiting by itself."""


def most_telling(reasons: Iterable[str | None]) -> EndedBy | None:
    """Return the reason listed last in `EndedBy`; None if there is none."""
    order = list(EndedBy)
    return max((EndedBy(reason) for reason in reasons if reason), key=order.index, default=None)


def scan_ended_by(cause: EndedBy | None, ended: int, unended: int, broken: int) -> EndedBy:
    """Return what ended a scan.

    Parameters
    ----------
    cause
        Why the receiver stops waiting for it; None if its streams are over.
    ended, unended, broken
        Streams with data that ended, that did not end, and those of the latter whose connection
        broke.
    """
    if cause is EndedBy.MAX_DUMPS:
        return cause
    if ended and not unended:
        return EndedBy.STREAMS_ENDED
    if broken and cause in {None, EndedBy.IDLE}:
        return EndedBy.PEER_LOST
    return cause or EndedBy.LOST_END


@dataclass(frozen=True)
class ScanEnd:
    """How a scan ended.

    Attributes
    ----------
    by
        What ended it.
    ended, unended
        Streams with data that ended, and that did not end.
    came, model
        Integrations with any data, and integrations of the model.
    after
        Integrations of the model after the last one received; None if the model has none of the
        received times.
    """

    by: EndedBy
    ended: int
    unended: int
    came: int
    model: int
    after: int | None

    @classmethod
    def from_dict(cls, scan: Mapping[str, Any]) -> Self | None:
        """Return the end of a scan from its summary; None if the summary has none."""
        if not scan.get("ended_by"):
            return None
        return cls(
            by=EndedBy(scan["ended_by"]),
            ended=scan["streams_ended"],
            unended=scan["streams_not_ended"],
            came=scan["model_integrations_received"],
            model=scan["model_integrations"],
            after=scan["model_integrations_after"],
        )

    @property
    def is_incomplete(self) -> bool:
        """Whether data may be missing: the model has more, or the sender did not end the scan."""
        if self.by is EndedBy.MAX_DUMPS:
            return False
        return self.came < self.model or (self.unended > 0 and not self._only_ends_were_lost)

    @property
    def _only_ends_were_lost(self) -> bool:
        return self.by is EndedBy.LOST_END and self.ended > 0

    @property
    def left_out(self) -> int:
        """Integrations of the model not received because all streams broke."""
        if self.by not in BY_SENDER or self.ended or not self.unended:
            return 0
        return max(0, self.model - self.came) if self.after is None else self.after

    def text(self) -> str:
        """Describe how much of the scan was received and whether its sender ended it."""
        known = f"{self.came} of the model's {self.model} integrations"
        if self.after is None:
            known = f"{self.came} integrations at times that are not the model's {self.model}"
        streams = self.ended + self.unended
        which = f"{self.unended} of its {streams} streams" if self.ended else "its streams"
        if not self.unended or self._only_ends_were_lost:
            return known
        if self.by in BY_SENDER:
            return f"{known}; the sender did not end {which}"
        return f"{known}; ended ({self.by}) before the sender ended {which}"

    def line(self, scan: int) -> str:
        """Return the line for the log and for HISTORY."""
        text = f": {self.text()}" if self.is_incomplete else ""
        return f"scan {scan} ended_by={self.by}{text}"

    def as_dict(self) -> dict[str, Any]:
        """Return the keys that the summary of a scan gets from its end."""
        return {
            "ended_by": self.by,
            "incomplete": self.is_incomplete,
            "streams_ended": self.ended,
            "streams_not_ended": self.unended,
            "model_integrations": self.model,
            "model_integrations_received": self.came,
            "integrations_left_out": self.left_out,
        }


RUNNING: dict[str, None] = dict.fromkeys(ScanEnd(EndedBy.STREAMS_ENDED, 0, 0, 0, 0, None).as_dict())
"""Keys of `ScanEnd.as_dict` in the summary of a scan that has not ended, all None."""


def is_incomplete(scans: Sequence[ScanEnd | None]) -> bool:
    """Whether any scan is incomplete, or there is no scan."""
    return not scans or any(end is not None and end.is_incomplete for end in scans)


def verdict(
    scans: Sequence[ScanEnd | None], *, lost: bool, refused: Mapping[str, int] | None = None
) -> str:
    """Return the verdict on a run: "nothing was lost" only if nothing can have been lost.

    Parameters
    ----------
    scans
        The ends of its scans.
    lost
        Whether data are known to be missing.
    refused
        Heaps refused, by reason, without duplicates; their sender is unknown.
    """
    short = [(n, end) for n, end in enumerate(scans, 1) if end is not None and end.is_incomplete]
    if not scans and not lost:
        return "nothing came"
    if not short:
        if lost:
            return "DATA WERE LOST"
        if not refused:
            return "nothing was lost"
        reasons = ", ".join(f"{reason} {count}" for reason, count in refused.items())
        return f"nothing is missing, but {sum(refused.values())} heaps were refused ({reasons})"
    number, end = short[0]
    text = f"scan {number}: {end.text()}" if len(scans) > 1 else end.text()
    more = f" (and of {len(short) - 1} other scans not all)" if len(short) > 1 else ""
    return f"{'DATA WERE LOST: ' if lost else ''}{text}{more}"


def last_line(dumps: int, amount: str, by: EndedBy | None, said: str) -> str:
    """Return the last line that a run prints."""
    ended_by = f", ended_by={by}" if by is not None else ""
    return f"received {dumps} integrations, {amount}{ended_by}: {said}"
