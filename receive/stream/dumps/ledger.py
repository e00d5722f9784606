"""The ledger: counts the heaps of each scan that were expected, received, missing and refused.

For each scan and channel group ``expected = received + missing``.  Refused heaps are counted
separately, by reason; heaps that are missing and were not refused were lost by the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.ending import RUNNING, ScanEnd
from receive.icd.times import iso_from_mjd_s, mjd_s_from_ticks
from receive.stream.table.shared_types import MALFORMED, REASON_TEXT, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.command.ending import EndedBy
    from receive.stream.dumps.dump import Dump


@dataclass
class ScanLedger:
    """Counts of one scan, by channel group.

    Attributes
    ----------
    index
        1 for the first scan of a run.
    scan_id
        Scan id on the wire; 0 if none was received.
    dumps
        Integrations, including those without any heap.
    received
        int64 (groups,): heaps that arrived complete and in time.
    refused
        int64 (groups, reasons): heaps that were not placed.
    kernel_dropped
        int64 (groups,): packets that the kernel dropped of each group's socket; None where nobody
        counts them (TCP loses none).
    model_before, model_after
        Integrations of the model before the first and after the last that came, of which nothing
        is expected: the sender may begin and end where it likes.  None where the model holds none
        of the times.
    in_model
        Integrations of which something came at times that the model holds.
    end
        How it ended; None while it continues.
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
    model_before: int | None = None
    model_after: int | None = None
    in_model: int = 0
    end: ScanEnd | None = None
    kernel_before: NDArray[np.int64] | None = None
    kernel_dropped: NDArray[np.int64] | None = None
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

    def add_in_model(self, index: int, integrations: int) -> None:
        """Record that the dump is integration `index` of the model's `integrations`."""
        if self.model_before is None:
            self.model_before = index
        self.model_after = integrations - 1 - index
        self.in_model += 1

    def finish(self, by: EndedBy, ended: int, unended: int, integrations: int) -> None:
        """Record what ended the scan, and how many streams had an end heap and had none."""
        came = self.dumps - self.empty_dumps if self.model_after is None else self.in_model
        self.end = ScanEnd(
            by, ended, unended, min(came, integrations), integrations, self.model_after
        )

    def add_empty(self) -> None:
        """Count an integration without any heap."""
        self.dumps += 1
        self.empty_dumps += 1

    def update_refused(self, counters: NDArray[np.int64]) -> None:
        """Take over the counters of the network threads."""
        self.refused = counters - self.counters_before

    def update_kernel_dropped(self, counts: NDArray[np.int64] | None) -> None:
        """Take over the kernel's counts of this run, int64 (groups,)."""
        if counts is not None:
            before = 0 if self.kernel_before is None else self.kernel_before
            self.kernel_dropped = counts - before

    @property
    def expected(self) -> int:
        """Heaps of all channel groups in all integrations."""
        return self.dumps * len(self.received)

    @property
    def missing(self) -> int:
        """Heaps that did not arrive complete and in time."""
        return self.expected - int(self.received.sum())

    @property
    def payload_bytes(self) -> int:
        """Bytes of records received."""
        return int((self.received * self.group_data_bytes).sum())

    @property
    def kernel_dropped_total(self) -> int | None:
        """Packets that the kernel dropped; None if not available."""
        return None if self.kernel_dropped is None else int(self.kernel_dropped.sum())

    def refused_total(self, reason: Reason) -> int:
        """Return how many heaps were refused for a reason."""
        return int(self.refused[:, reason].sum())

    def refused_by_reason(self) -> dict[str, int]:
        """Return how many heaps were refused, by reason, duplicates left out."""
        return {
            text: self.refused_total(reason)
            for reason, text in REASON_TEXT.items()
            if reason is not Reason.DUPLICATE and self.refused_total(reason)
        }

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
            "model_integrations_before": self.model_before,
            "model_integrations_after": self.model_after,
            **(RUNNING if self.end is None else self.end.as_dict()),
            "heaps_expected": self.expected,
            "heaps_received": int(self.received.sum()),
            "heaps_missing": self.missing,
            "heaps_late": self.refused_total(Reason.LATE),
            "heaps_duplicate": self.refused_total(Reason.DUPLICATE),
            "heaps_no_buffer": self.refused_total(Reason.NO_BUFFER),
            "heaps_malformed": malformed,
            "kernel_dropped_packets": self.kernel_dropped_total,
            "payload_bytes": self.payload_bytes,
            "groups": [
                {
                    "group": group,
                    "expected": self.dumps,
                    "received": int(self.received[group]),
                    "missing": self.dumps - int(self.received[group]),
                    "kernel_dropped_packets": (
                        None if self.kernel_dropped is None else int(self.kernel_dropped[group])
                    ),
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
        """Return the ledger as text, for the log and HISTORY."""
        dropped = np.zeros_like(self.received)
        if self.kernel_dropped is not None:
            dropped = self.kernel_dropped
        head = f"scan {self.index} (scan id {self.scan_id}): {self.span()}"
        lines = ["; ".join([head, *self.refusals()])]
        if self.model_before or self.model_after:
            lines.append(
                f"of the model's integrations {self.model_before or 0} before the first and "
                f"{self.model_after or 0} after the last did not come"
            )
        if self.end is not None:
            lines.append(self.end.line(self.index))
        lines += [
            self._group_line(int(group))
            + (f"; kernel dropped {dropped[group]} packets" if dropped[group] else "")
            for group in np.flatnonzero((self.received != self.dumps) | (dropped > 0))
        ]
        return lines

    def span(self) -> str:
        """Return times and counts of integrations and heaps as text."""
        return (
            f"{self.dumps} integrations "
            f"{_iso(self.first_ticks)} to {_iso(self.last_ticks)}, heaps expected {self.expected} "
            f"= received {int(self.received.sum())} + missing {self.missing}"
        )

    def refusals(self) -> list[str]:
        """Return the refused heaps and dropped packets as text; an empty list if there are none."""
        refused = [
            f"{REASON_TEXT[r]} {self.refused_total(r)}" for r in Reason if self.refused_total(r)
        ]
        texts = [f"refused: {', '.join(refused)}"] if refused else []
        if self.kernel_dropped is not None:
            texts.append(f"kernel dropped {self.kernel_dropped_total} packets")
        return texts

    def _group_line(self, group: int) -> str:
        return (
            f"channel group {group}: expected {self.dumps}, received {self.received[group]}, "
            f"missing {self.dumps - self.received[group]}"
        )


def _iso(ticks: int) -> str:
    return iso_from_mjd_s(mjd_s_from_ticks(ticks)) if ticks else "-"
