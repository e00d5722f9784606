"""The consumer that writes Measurement Sets, on a disk that takes so many bytes a second."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from receive.consumers.ms.writer import MeasurementSetConsumer
from receive.measurement_set.write.growing import GrowingFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.config import Config
    from receive.model import TelescopeModel

RATE = "SLOW_DISK_BYTES_PER_S"
"""Environment: what the disk takes."""
FAST = "SLOW_DISK_IS_FAST"
"""Environment: a file; as soon as it is there the disk takes what comes."""
_SHORTEST_S = 0.001


class SlowDisk(MeasurementSetConsumer):
    """Writes through a throttle; for a process of its own, all of whose writing it slows down."""

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        super().__init__(config, tm)
        self._bytes_per_s = float(os.environ[RATE])
        self._fast = Path(os.environ[FAST])
        self._writing = threading.Lock()
        self._busy_until_s = 0.0
        write = GrowingFiles.write

        def throttled(files: GrowingFiles, column: str, offset: int, buffer: NDArray[Any]) -> None:
            write(files, column, offset, buffer)
            self._take_time(buffer.nbytes)

        GrowingFiles.write = throttled  # type: ignore[method-assign]

    def _take_time(self, written_bytes: int) -> None:
        if self._fast.exists():
            return
        with self._writing:
            begin_s = max(time.monotonic(), self._busy_until_s)
            self._busy_until_s = begin_s + written_bytes / self._bytes_per_s
            left_s = self._busy_until_s - time.monotonic()
        if left_s > _SHORTEST_S:
            # The time that this disk takes.
            threading.Event().wait(left_s)
