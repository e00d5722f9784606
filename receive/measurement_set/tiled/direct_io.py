"""Large writes past the kernel's cache, on disks that are fast.

What a long observation writes nobody reads for a while, and a fast disk takes it sooner than the
processor copies it into the cache.  A slow one does not: there the cache, which takes a burst, is
the better place.  So it begins with direct writes, and goes on with them only while they are fast.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

log = logging.getLogger(__name__)

BLOCK_BYTES = 4096
"""Place in the file, address in memory and length are multiples of this."""
LEAST_BYTES = 1 << 20
"""What is smaller goes through the cache."""
SLOW_BYTES_PER_S = 250e6
TRIAL_BYTES = 128 << 20
"""The speed is judged after each so many bytes."""
FILE_SYSTEMS = frozenset({"ext4", "xfs"})
"""Of local disks, made for direct writes into holes; ext4 was tried.  Over a network each write
would wait for the server."""


class ShiftedBuffer:
    """Memory that lies as in a file: address and offset have the same remainder of a block."""

    def __init__(self, count: int, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._bytes = count * self._dtype.itemsize
        whole = np.zeros(self._bytes + 2 * BLOCK_BYTES, np.uint8)
        self._memory = whole[-whole.ctypes.data % BLOCK_BYTES :]

    def at(self, offset: int) -> NDArray[Any]:
        """Return an array that can be written to an offset; all of them share the memory."""
        begin = offset % BLOCK_BYTES
        return self._memory[begin : begin + self._bytes].view(self._dtype)


class DirectWrites:
    """Writes pieces of files, directly where that can be and is fast.

    Parameters
    ----------
    folder : Path
        On the disk in question.
    wanted : bool
        False: everything goes through the cache.
    """

    def __init__(self, folder: Path, *, wanted: bool) -> None:
        self._on = wanted and file_system(folder) in FILE_SYSTEMS
        self._lock = threading.Lock()
        self._descriptors: dict[int, int] = {}
        self._bytes = 0
        self._seconds = 0.0

    def add(self, descriptor: int, path: Path) -> None:
        """Be ready to write directly into a file that is open for writing."""
        if self._on:
            try:
                flags = os.O_WRONLY | os.O_CLOEXEC | os.O_DIRECT
                self._descriptors[descriptor] = os.open(path, flags)
            except OSError as error:
                self._stop(str(error))

    def close(self) -> None:
        """Close what `add` opened."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def write(self, descriptor: int, buffer: NDArray[Any], offset: int) -> None:
        """Write an array to an offset of a file."""
        view = buffer.data.cast("B")
        direct = self._descriptors.get(descriptor) if self._on else None
        fits = (buffer.ctypes.data - offset) % BLOCK_BYTES == 0
        if direct is None or not fits or view.nbytes < LEAST_BYTES:
            write_all(descriptor, view, offset)
            return
        begin = -offset % BLOCK_BYTES
        end = (offset + view.nbytes) // BLOCK_BYTES * BLOCK_BYTES - offset
        # The blocks that are shared with a neighbour.
        write_all(descriptor, view[:begin], offset)
        write_all(descriptor, view[end:], offset + end)
        began_s = time.perf_counter()
        done = self._try(direct, view[begin:end], offset + begin)
        self._judge(done, time.perf_counter() - began_s)
        if done < end - begin:
            # Through the cache; if the disk is full, this says so.
            write_all(descriptor, view[begin + done : end], offset + begin + done)

    def _try(self, direct: int, view: memoryview, offset: int) -> int:
        """Return how many bytes were written directly."""
        try:
            return os.pwrite(direct, view, offset)
        except OSError as error:
            if error.errno == errno.EIO:
                # The cache would take it, and nobody would hear that the disk did not.
                raise
            self._stop(str(error))
            return 0

    def _judge(self, done: int, seconds: float) -> None:
        with self._lock:
            self._bytes += done
            self._seconds += seconds
            if self._bytes < TRIAL_BYTES:
                return
            rate = self._bytes / max(self._seconds, 1e-9)
            self._bytes, self._seconds = 0, 0.0
        if rate < SLOW_BYTES_PER_S:
            self._stop(f"{rate / 1e6:.0f} MB/s")

    def _stop(self, why: str) -> None:
        self._on = False
        log.debug("No more writes past the kernel's cache: %s", why)


def write_all(descriptor: int, buffer: Any, offset: int) -> None:
    """Write a buffer at an offset, however many system calls it takes."""
    view = memoryview(buffer).cast("B")
    while view.nbytes:
        done = os.pwrite(descriptor, view, offset)
        view = view[done:]
        offset += done


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on, such as ``ext4``; "" if unknown."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.split()[0]
    return ""
