"""Faults in the pages of the buffer pool before the network threads use them.

The first use of a page is a fault, in which the kernel allocates and clears memory: a millisecond
or more for a huge page.  A network thread that takes a fault does not read its socket meanwhile.
So a separate thread touches the pool ahead of them; buffers are first used in index order.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AHEAD_BYTES = 256 << 20
"""Touched beyond the buffers in use."""
STEP_BYTES = 4 << 20
_MADV_POPULATE_WRITE = 23
_NICENESS = 19
"""Lowest priority: the thread takes only idle time, so that no other thread waits for it."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Prefaulter:
    """Touches the buffers of a pool that may soon be needed.

    Parameters
    ----------
    memory
        The pool, as bytes.
    buffer_bytes
        Size of one buffer.
    """

    def __init__(self, memory: NDArray[np.uint8], buffer_bytes: int) -> None:
        self._memory = memory
        self._address = memory.ctypes.data
        self._buffer_bytes = buffer_bytes
        self._end = len(memory)
        self._touched = 0
        self._wanted = 0
        self._stopping = False
        self._more = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefault", daemon=True)

    @property
    def touched_bytes(self) -> int:
        """Bytes of the pool touched so far."""
        return self._touched

    def start(self) -> None:
        """Start the thread with the first buffers."""
        self._thread.start()
        self.look(0)

    def look(self, in_use: int) -> None:
        """Note how many buffers are in use, and touch as far ahead of them as `AHEAD_BYTES`."""
        wanted = min(self._end, in_use * self._buffer_bytes + AHEAD_BYTES)
        if wanted > self._wanted:
            self._wanted = wanted
            self._more.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._more.set()
        self._thread.join()

    def _run(self) -> None:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
        while not self._stopping and self._touched < self._end:
            self._more.wait()
            self._more.clear()
            while self._touched < self._wanted and not self._stopping:
                if not self._touch(min(STEP_BYTES, self._end - self._touched)):
                    return

    def _touch(self, count: int) -> bool:
        begin = (self._address + self._touched) // _PAGE_BYTES * _PAGE_BYTES
        end = self._address + self._touched + count
        # Before Linux 5.14 this advice does not exist: network threads take the faults.
        if _libc.madvise(begin, end - begin, _MADV_POPULATE_WRITE):
            return False
        self._touched += count
        return True
