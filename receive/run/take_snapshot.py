"""Takes a snapshot of a receiver, in the collector's thread, which owns the state read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.monitor.snapshot import ConsumerCounts, PoolCounts, Snapshot
from receive.stream.table.shared_types import REASON_TEXT, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.account.outcome import Outcome
    from receive.consumers.runner import ConsumerThread
    from receive.run.arrivals import Arrivals
    from receive.stream.dumps.buffer_pool import BufferPool
    from receive.stream.dumps.scans import Scans


def take(
    now_s: float,
    outcome: Outcome,
    scans: Scans,
    pool: BufferPool,
    consumers: Sequence[ConsumerThread],
    arrivals: Arrivals,
) -> Snapshot:
    """Return a snapshot of the run.

    Apart from the list of scans, its cost does not depend on their number.
    """
    totals, current = scans.totals(), scans.current
    return Snapshot(
        taken_s=now_s,
        outcome=outcome,
        scan=None if current is None else current.index,
        scan_id=None if current is None else current.scan_id,
        dumps=totals.dumps,
        empty_dumps=totals.empty_dumps,
        received=totals.received.tolist(),
        refused={REASON_TEXT[r]: totals.refused[:, r].tolist() for r in Reason},
        payload_bytes=totals.payload_bytes,
        bytes_per_s=arrivals.bytes_per_s,
        silent_s=arrivals.silent_s(now_s),
        pool=PoolCounts(pool.state.pool_size.dumps, len(pool), pool.in_window, pool.lent),
        consumers=[
            ConsumerCounts(
                name=one.name,
                taken=one.consumed,
                waiting=one.waiting,
                dropped=one.dropped,
                unconsumed=one.unconsumed,
                unwritten=one.unwritten,
                failed=one.error is not None,
            )
            for one in consumers
        ],
    )
