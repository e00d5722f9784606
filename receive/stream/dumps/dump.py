"""One integration as handed on: a lease of a buffer, returned by its last user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from receive.stream.dumps.buffer_pool import BufferPool


@dataclass(eq=False, slots=True)
class Dump:
    """One integration as handed on, with a count of its users.

    `BufferPool.lease` counts the first user and `hold` each further one; every user calls `release`
    when done.  The buffer returns to the pool after the last.

    Attributes
    ----------
    block
        Its buffer in the pool.
    ticks
        Timestamp, units of 2^-32 s since the UNIX epoch.
    epoch
        Which start of the sender it belongs to.
    present
        bool (groups,): heaps that are complete.
    begun
        bool (groups,): heaps that have at least begun.
    scan_id
        Scan id in its heaps or their start heap; None if absent.
    model_index
        Index of the integration in the model; None if it is not in the model.
    complete
        Whether all of its heaps are present.
    """

    block: int
    ticks: int
    epoch: int
    present: NDArray[np.bool_]
    begun: NDArray[np.bool_]
    scan_id: int | None
    model_index: int | None
    complete: bool
    pool: BufferPool = field(repr=False)
    users: int = 1

    def hold(self) -> None:
        """Add a user."""
        with self.pool.lock:
            self.users += 1

    def release(self) -> None:
        """Remove a user; may be called from any thread."""
        with self.pool.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.pool.returned.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
