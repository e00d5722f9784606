"""How a run ended: its ledgers, what was lost, what failed, which sets were closed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from receive.command.ending import is_incomplete

if TYPE_CHECKING:
    from pathlib import Path

    from receive.command.ending import EndedBy, ScanEnd
    from receive.command.errors import VisReceiveError
    from receive.stream.dumps.ledger import ScanLedger


@dataclass
class Outcome:
    """How a run ended.

    Attributes
    ----------
    scans
        Ledgers of its scans.
    ended_by
        What ended it; None while it goes on.
    seconds
        From the first heap to the last dump.
    errors
        What consumers failed with, and the command for closed sets after them.
    dropped
        By consumer, dumps for which it had no room.
    unconsumed
        By consumer, dumps that it had taken, or would have been given, when it failed or the run
        was told to stop.
    unwritten
        By consumer, dumps that it could not write, as when its disk was full.
    refused_outside
        Heaps that were refused before or after all scans, duplicates left out; by reason.
    after_end
        Dumps of a scan that came when it had been closed.
    kernel_dropped
        Packets that the kernel dropped of our sockets in the whole run, by stream; None where
        nobody counts them.
    sources
        What was not taken for its source, and who shared a port.
    sets
        Measurement Sets that were closed.
    commands
        How the commands for them ended.
    """

    scans: list[ScanLedger] = field(default_factory=list)
    ended_by: EndedBy | None = None
    seconds: float = 0.0
    errors: list[VisReceiveError] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    unconsumed: dict[str, int] = field(default_factory=dict)
    unwritten: dict[str, int] = field(default_factory=dict)
    refused_outside: dict[str, int] = field(default_factory=dict)
    after_end: int = 0
    kernel_dropped: list[int] | None = None
    sources: dict[str, Any] = field(default_factory=dict)
    sets: list[Path] = field(default_factory=list)
    commands: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether anything did not come, was refused, or was not consumed.

        Of what did not come, that which streams that broke left out counts as well.
        """
        return (
            any(scan.missing for scan in self.scans)
            or any(end is not None and end.left_out for end in self.ends)
            or any(self.dropped.values())
            or any(self.unconsumed.values())
            or any(self.unwritten.values())
            or any(self.refused_outside.values())
            or self.after_end > 0
        )

    @property
    def refused(self) -> dict[str, int]:
        """Heaps that were refused in its scans, duplicates left out; by reason."""
        counts: Counter[str] = Counter()
        for scan in self.scans:
            counts.update(scan.refused_by_reason())
        return counts

    @property
    def ends(self) -> list[ScanEnd | None]:
        """How its scans ended."""
        return [scan.end for scan in self.scans]

    @property
    def incomplete(self) -> bool:
        """Whether there may be more of its scans than came."""
        return is_incomplete(self.ends)


def summary(outcome: Outcome, *, scans: bool = True) -> dict[str, Any]:
    """Return what a run received, for programs; with or without its scans one by one.

    The exit code is not known before the process has done with all.
    """
    dropped = outcome.kernel_dropped
    return {
        "ended_by": outcome.ended_by,
        "exit_code": None,
        "error": str(outcome.errors[0]) if outcome.errors else None,
        "lost": outcome.lost,
        "incomplete": outcome.incomplete,
        "seconds": outcome.seconds,
        "payload_bytes": sum(scan.payload_bytes for scan in outcome.scans),
        "integrations_after_end": outcome.after_end,
        "kernel_dropped_packets": None if dropped is None else sum(dropped),
        "heaps_refused_outside_scans": outcome.refused_outside,
        "sources": outcome.sources,
        "consumers": {
            "dropped": outcome.dropped,
            "unconsumed": outcome.unconsumed,
            "unwritten": outcome.unwritten,
            "errors": [str(error) for error in outcome.errors],
        },
        "sets": [str(path) for path in outcome.sets],
        "commands": outcome.commands,
    } | ({"scans": [scan.as_dict() for scan in outcome.scans]} if scans else {})
