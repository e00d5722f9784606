"""Integrations that could not be written: their rows, and what is told of those without rows."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from receive.icd.payload import Payload

if TYPE_CHECKING:
    from receive.icd.payload import PayloadPart

MAX_WAITING = 10_000
"""So many integrations get rows when a disk takes data again: memory is bounded."""


class LostIntegrations:
    """What is lost of a scan, until a set takes its rows, or its HISTORY says that there are none.

    Attributes
    ----------
    waiting
        Payloads without data whose flagged rows are still to be written, in time order.
    """

    def __init__(self) -> None:
        self.waiting: deque[Payload] = deque()
        self._without_rows = 0
        self._scans: tuple[int, int] = (0, 0)
        self._absent: tuple[PayloadPart, ...] = ()

    def add(self, payload: Payload, scan: int) -> None:
        """Add an integration of a scan; nothing of its data is kept."""
        if len(self.waiting) < MAX_WAITING:
            self.waiting.append(self._without_data(payload))
        else:
            self.add_without_rows(1, scan)

    def add_without_rows(self, integrations: int, scan: int) -> None:
        """Add integrations that get no rows any more."""
        if integrations:
            self._scans = (self._scans[0] or scan, scan)
            self._without_rows += integrations

    def give_up(self, scan: int) -> None:
        """Note that a scan is over: what still waits gets no rows."""
        self.add_without_rows(len(self.waiting), scan)
        self.waiting.clear()

    def take_line(self) -> list[str]:
        """Return in one line what got no rows and has not been told; nothing if there is none."""
        if not self._without_rows:
            return []
        first, last = self._scans
        name = f"scan {first}" if first == last else f"scans {first} to {last}"
        line = f"{name}: {self._without_rows} integrations could not be kept, and are in no set"
        self._without_rows, self._scans = 0, (0, 0)
        return [line]

    def _without_data(self, payload: Payload) -> Payload:
        if len(self._absent) != len(payload.parts):
            self._absent = tuple(
                replace(
                    part,
                    records=np.broadcast_to(np.zeros((), part.records.dtype), part.records.shape),
                    present=False,
                )
                for part in payload.parts
            )
        return Payload(
            timestamp_count=payload.timestamp_count,
            timestamp_fraction=payload.timestamp_fraction,
            channel_id=payload.channel_id,
            channel_count=payload.channel_count,
            baseline_count=payload.baseline_count,
            parts=self._absent,
            scan_id=payload.scan_id,
            model_index=payload.model_index,
        )
