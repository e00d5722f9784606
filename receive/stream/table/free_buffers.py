"""The buffers that are free: a stack without a lock, so that the last one returned goes first.

What was just read by a consumer is still in the processor's cache.  A network thread takes a
buffer while it claims an entry, hence one thread at a time; the collector alone returns them.
"""

from __future__ import annotations

from numba import njit

from receive.stream.table.atomics import compare_and_swap, fence

NONE = -1


@njit(nogil=True)
def take(top, below):
    """Return the block that was returned last, -1 if there is none.

    No other thread may take at the same time: then a block that was the top and is the top again
    has the same one below it, for only who takes could have changed that.
    """
    while True:
        fence()
        block = top[0]
        if block == NONE or compare_and_swap(top, 0, block, below[block]):
            return block


@njit(nogil=True, cache=True)
def give(top, below, present, block):
    """Return a block into which nobody writes any more."""
    present[block] = 0
    while True:
        fence()
        old = top[0]
        below[block] = old
        if compare_and_swap(top, 0, old, block):
            return
