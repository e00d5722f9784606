"""Free buffers: a lock-free stack, so that the buffer returned last is reused first.

That one is still in the processor's cache.  A network thread takes a buffer while it claims an
entry, so one thread at a time; only the collector returns them.
"""

from __future__ import annotations

from numba import njit

from receive.stream.table.atomics import compare_and_swap, fence

NONE = -1


@njit(nogil=True)
def take(top, below):
    """Pop the block that was returned last; -1 if there is none.

    Only one thread may take at a time, which excludes the ABA problem: while a block stays or
    becomes the top again, the block below it cannot have changed.
    """
    while True:
        fence()
        block = top[0]
        if block == NONE or compare_and_swap(top, 0, block, below[block]):
            return block


@njit(nogil=True, cache=True)
def give(top, below, present, block):
    """Push a block into which no thread writes any more."""
    present[block] = 0
    while True:
        fence()
        old = top[0]
        below[block] = old
        if compare_and_swap(top, 0, old, block):
            return
