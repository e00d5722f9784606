"""The outcome of a run: its ledgers, losses, failures, and the sets closed."""

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
    """The outcome of a run.

    Attributes
    ----------
    scans
        Ledgers of the scans.
    ended_by
        What ended the run; None while it continues.
    seconds
        From the first heap to the last dump.
    errors
        Errors of consumers, then of the command for closed sets.
    dropped
        Dumps dropped because a consumer had no room, by consumer.
    unconsumed
        Dumps that a consumer held or was still to receive when it failed or the run was told to
        stop, by consumer.
    unwritten
        Dumps that a consumer could not write, for example to a full disk, by consumer.
    refused_outside
        Heaps refused outside any scan, by reason, without duplicates.
    after_end
        Dumps that arrived after their scan was closed.
    kernel_dropped
        Packets dropped by the kernel at our sockets during the run, by stream; None if they are
        not counted.
    sources
        Packets refused because of their source, and the senders that shared a port.
    sets
        Measurement Sets closed.
    commands
        Results of the commands run for closed sets.
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
        """Whether any data did not arrive, were refused, or were not consumed.

        Data left out by a broken stream count as not arrived.
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
        """Heaps refused during the scans, by reason, without duplicates."""
        counts: Counter[str] = Counter()
        for scan in self.scans:
            counts.update(scan.refused_by_reason())
        return counts

    @property
    def ends(self) -> list[ScanEnd | None]:
        """The end of each scan."""
        return [scan.end for scan in self.scans]

    @property
    def incomplete(self) -> bool:
        """Whether the scans may have held more data than arrived."""
        return is_incomplete(self.ends)


def summary(outcome: Outcome, *, scans: bool = True) -> dict[str, Any]:
    """Return the summary of a run, ready for JSON, with or without the list of scans.

    The exit code is None: it is known only when the process ends.
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
