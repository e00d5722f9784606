"""The ledger: every heap that was expected is either received or missing, and why.

For each scan and channel group ``expected = received + missing``.  Heaps that arrived and were
refused are counted beside that, by reason; what is missing and was not refused, the network lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.icd.times import iso_from_mjd_s, mjd_s_from_ticks
from receive.stream.state import MALFORMED, REASON_TEXT, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.stream.dump import Dump


@dataclass
class ScanLedger:
    """Counts of one scan, by channel group.

    Attributes
    ----------
    index
        1 for the first scan of a run.
    scan_id
        As it came on the wire; 0 where it never came.
    dumps
        Integrations, those of which nothing came included.
    received
        int64 (groups,): heaps that came whole and in time.
    refused
        int64 (groups, reasons): heaps that were not placed.
    payload_bytes
        Bytes of records received.
    """

    index: int
    scan_id: int
    group_data_bytes: NDArray[np.int64]
    counters_before: NDArray[np.int64]
    dumps: int = 0
    empty_dumps: int = 0
    first_ticks: int = 0
    last_ticks: int = 0
    ended_streams: int = 0
    received: NDArray[np.int64] = field(init=False)
    refused: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.received = np.zeros(len(self.group_data_bytes), np.int64)
        self.refused = np.zeros_like(self.counters_before)

    def add(self, dump: Dump) -> None:
        """Count a dump that was handed on."""
        self.dumps += 1
        self.received += dump.present
        self.first_ticks = self.first_ticks or dump.ticks
        self.last_ticks = dump.ticks

    def add_empty(self) -> None:
        """Count an integration of which nothing came."""
        self.dumps += 1
        self.empty_dumps += 1

    def update_refused(self, counters: NDArray[np.int64]) -> None:
        """Take over the counters of the network threads."""
        self.refused = counters - self.counters_before

    @property
    def expected(self) -> int:
        """Heaps of all channel groups in all integrations."""
        return self.dumps * len(self.received)

    @property
    def missing(self) -> int:
        """Heaps that did not come whole and in time."""
        return self.expected - int(self.received.sum())

    @property
    def payload_bytes(self) -> int:
        """Bytes of records received."""
        return int((self.received * self.group_data_bytes).sum())

    def refused_total(self, reason: Reason) -> int:
        """Return how many heaps were refused for a reason."""
        return int(self.refused[:, reason].sum())

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger for a summary file."""
        malformed = {REASON_TEXT[r]: self.refused_total(r) for r in MALFORMED}
        return {
            "scan": self.index,
            "scan_id": self.scan_id,
            "integrations": self.dumps,
            "integrations_empty": self.empty_dumps,
            "first_time": _iso(self.first_ticks),
            "last_time": _iso(self.last_ticks),
            "heaps_expected": self.expected,
            "heaps_received": int(self.received.sum()),
            "heaps_missing": self.missing,
            "heaps_late": self.refused_total(Reason.LATE),
            "heaps_duplicate": self.refused_total(Reason.DUPLICATE),
            "heaps_no_buffer": self.refused_total(Reason.NO_BUFFER),
            "heaps_malformed": malformed,
            "payload_bytes": self.payload_bytes,
            "groups": [
                {
                    "group": group,
                    "expected": self.dumps,
                    "received": int(self.received[group]),
                    "missing": self.dumps - int(self.received[group]),
                    "refused": {
                        REASON_TEXT[r]: int(self.refused[group, r])
                        for r in Reason
                        if self.refused[group, r]
                    },
                }
                for group in range(len(self.received))
            ],
        }

    def lines(self) -> list[str]:
        """Return the ledger for people: log and HISTORY."""
        refused = [
            f"{REASON_TEXT[r]} {self.refused_total(r)}" for r in Reason if self.refused_total(r)
        ]
        lines = [
            f"scan {self.index} (scan id {self.scan_id}): {self.dumps} integrations "
            f"{_iso(self.first_ticks)} to {_iso(self.last_ticks)}, heaps expected {self.expected} "
            f"= received {int(self.received.sum())} + missing {self.missing}"
            + (f"; refused: {', '.join(refused)}" if refused else "")
        ]
        lines += [
            f"channel group {group}: expected {self.dumps}, received {self.received[group]}, "
            f"missing {self.dumps - self.received[group]}"
            for group in np.flatnonzero(self.received != self.dumps)
        ]
        return lines


def _iso(ticks: int) -> str:
    return iso_from_mjd_s(mjd_s_from_ticks(ticks)) if ticks else "-"
