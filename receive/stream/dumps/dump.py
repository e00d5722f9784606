"""One integration as it was handed on: a lease of a buffer that gives itself back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from receive.stream.dumps.buffer_pool import BufferPool


@dataclass(eq=False, slots=True)
class Dump:
    """One integration as it was handed on.

    Whoever has one holds it: `BufferPool.lease` counts the first user, `hold` a further one, and
    each calls `release` when it has done with it.  The buffer returns to the pool after the last.

    Attributes
    ----------
    block
        Its buffer in the pool.
    ticks
        Timestamp, units of 2^-32 s since the UNIX epoch.
    epoch
        Which start of the sender it belongs to.
    present
        bool (groups,): which heaps came whole.
    begun
        bool (groups,): which heaps had at least begun.
    scan_id
        Scan id that its heaps or their start heap brought; None if none did.
    model_index
        Which of the model's integrations it is; None if it is none of them.
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
        """Count a further user."""
        with self.pool.lock:
            self.users += 1

    def release(self) -> None:
        """Count one user less; may be called from any thread."""
        with self.pool.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.pool.returned.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
