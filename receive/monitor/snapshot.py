"""How a run stood at one moment, for those who ask in other threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from receive.account.outcome import Outcome


@dataclass(frozen=True)
class ConsumerCounts:
    """Integrations of one consumer.

    Attributes
    ----------
    taken
        It has done with them; those of which nothing came included.
    waiting
        With data, they wait for it or are with it.
    dropped, unconsumed, unwritten
        As in `Outcome`.
    failed
        Whether it has failed.
    """

    name: str
    taken: int
    waiting: int
    dropped: int
    unconsumed: int
    unwritten: int
    failed: bool


@dataclass(frozen=True)
class PoolCounts:
    """Buffers, one a dump: all of them, and how many are free, in the window, with consumers."""

    dumps: int
    free: int
    window: int
    lent: int


@dataclass(frozen=True)
class Snapshot:
    """How a run stood.  Nothing in it changes any more.

    Attributes
    ----------
    taken_s
        When, monotonic.
    outcome
        As if it had ended then, the scan that is being received included.
    scan, scan_id
        Number and id of the scan that is being received; None between two.
    dumps, empty_dumps
        Integrations of all scans, and those of them of which nothing came.
    received
        Heaps of all scans, by channel group.
    refused
        Heaps that were refused in and outside scans: by reason, by channel group.
    payload_bytes
        Of the heaps received.
    bytes_per_s
        Of the last second.
    silent_s
        How long no heap has come.
    """

    taken_s: float
    outcome: Outcome
    scan: int | None
    scan_id: int | None
    dumps: int
    empty_dumps: int
    received: Sequence[int]
    refused: Mapping[str, Sequence[int]]
    payload_bytes: int
    bytes_per_s: float
    silent_s: float
    pool: PoolCounts
    consumers: Sequence[ConsumerCounts]
