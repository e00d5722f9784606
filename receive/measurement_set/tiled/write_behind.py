"""Keeps the kernel's cache small behind files that grow.

What a long observation writes nobody reads for a while.  Left to itself the kernel fills all memory
with it, and finding ever more memory costs: in a virtual machine the copy to the cache took up to
five times as long for memory that its host had not found yet.  So the kernel is told to begin
writing early, and to forget what it has written.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

STEP_BYTES = 64 << 20
"""The kernel is told after so many bytes of a file."""
PAGE_BYTES = 4096


@dataclass
class _Progress:
    told: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Where each of the last three times ended: what is then not yet on the disk stays, so each
    stretch is named three times."""
    running: Future[None] | None = None


class WriteBehind:
    """Tells the kernel, in a thread of its own: that waits where the disk is slow."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._files: dict[int, _Progress] = {}

    def wrote(self, descriptor: int, end: int) -> None:
        """Note that a file is written up to a byte, and will not be changed before it."""
        file = self._files.setdefault(descriptor, _Progress())
        if end - file.told[-1] < STEP_BYTES or (file.running and not file.running.done()):
            return
        begin, end = file.told[0], end // PAGE_BYTES * PAGE_BYTES
        file.told = [*file.told[1:], end]
        file.running = self._thread.submit(_forget, descriptor, begin, end - begin)

    def close(self) -> None:
        """End before the files are closed."""
        self._thread.shutdown(cancel_futures=True)


def _forget(descriptor: int, begin: int, length: int) -> None:
    # It is advice: where a file system does not take it, nothing is lost.
    with contextlib.suppress(OSError):
        os.posix_fadvise(descriptor, begin, length, os.POSIX_FADV_DONTNEED)
