"""Why a run and each of its scans ended: a word for programs, and what it means for the data.

A run and a scan each have an `EndedBy` of their own: of three scans of a run that a signal ends two
may have ended with their streams.  How much of a scan came, and whether its sender said that there
is no more, is its `ScanEnd`; everything that is told of it is told from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class EndedBy(StrEnum):
    """What ended a run or a scan; the further down, the more it tells of several receivers."""

    STREAMS_ENDED = "streams-ended"
    """Every stream that brought data brought its end."""
    LOST_END = "lost-end"
    """Some streams brought their ends, the others nothing any more: over UDP an end may be lost."""
    NEXT_SCAN = "next-scan"
    """Another scan began."""
    MAX_DUMPS = "max-dumps"
    """As many integrations as `reception.max_dumps` asks for have come."""
    STOPPED = "stopped"
    """``POST /stop`` of the monitor."""
    SIGNAL = "signal"
    """SIGTERM or SIGINT."""
    IDLE = "idle"
    """Nothing came for `reception.idle_timeout`."""
    PEER_LOST = "peer-lost"
    """A TCP connection broke before its stream's end, and no other took its place."""
    NO_CONSUMER = "no-consumer"
    """Every consumer had failed."""
    ERROR = "error"
    """It could not begin, or failed: the error says why."""


BY_SENDER = frozenset({EndedBy.NEXT_SCAN, EndedBy.IDLE, EndedBy.PEER_LOST})
"""With a stream that did not end, the sender or its way here broke; otherwise we did not wait."""


def most_telling(reasons: Iterable[str | None]) -> EndedBy | None:
    """Return which of several receivers' reasons tells most; None if there is none."""
    order = list(EndedBy)
    return max((EndedBy(reason) for reason in reasons if reason), key=order.index, default=None)


def scan_ended_by(cause: EndedBy | None, ended: int, unended: int, broken: int) -> EndedBy:
    """Return what ended a scan.

    Parameters
    ----------
    cause
        Why it is not waited for any longer; None if its streams are over.
    ended, unended, broken
        Streams of those that brought data which brought their end, which did not, and of them
        those whose connection broke.
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
        Streams of those that brought data which brought their end, and which did not.
    came, model
        Integrations of which something came, and those that the model has.
    after
        Integrations of the model after the last that came; None where it holds none of the times.
    """

    by: EndedBy
    ended: int
    unended: int
    came: int
    model: int
    after: int | None

    @classmethod
    def from_dict(cls, scan: Mapping[str, Any]) -> Self | None:
        """Return how a scan of a summary ended; None if that does not tell."""
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
        """Whether there may be more of it: by the model, or since its sender did not end it."""
        if self.by is EndedBy.MAX_DUMPS:
            return False
        return self.came < self.model or (self.unended > 0 and not self._only_ends_were_lost)

    @property
    def _only_ends_were_lost(self) -> bool:
        return self.by is EndedBy.LOST_END and self.ended > 0

    @property
    def left_out(self) -> int:
        """Integrations of the model that streams which broke, all of them, did not bring."""
        if self.by not in BY_SENDER or self.ended or not self.unended:
            return 0
        return max(0, self.model - self.came) if self.after is None else self.after

    def text(self) -> str:
        """Return in words what there may be more of."""
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
        """Return it for people and programs: log and HISTORY."""
        text = f": {self.text()}" if self.is_incomplete else ""
        return f"scan {scan} ended_by={self.by}{text}"

    def as_dict(self) -> dict[str, Any]:
        """Return it for a summary, beside what that holds of the scan."""
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
"""What a summary has of a scan that goes on."""


def is_incomplete(scans: Sequence[ScanEnd | None]) -> bool:
    """Whether there may be more of a run's scans than came, or there is no scan."""
    return not scans or any(end is not None and end.is_incomplete for end in scans)


def verdict(
    scans: Sequence[ScanEnd | None], *, lost: bool, refused: Mapping[str, int] | None = None
) -> str:
    """Return the last words on a run: that nothing was lost only if nothing can have been.

    Parameters
    ----------
    scans
        How its scans ended.
    lost
        Whether anything is known to be missing.
    refused
        Heaps that were refused, by reason, duplicates left out: whose they were nobody knows.
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
    """Return the last line of a run, for people and programs."""
    ended_by = f", ended_by={by}" if by is not None else ""
    return f"received {dumps} integrations, {amount}{ended_by}: {said}"
