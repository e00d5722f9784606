"""Consumers for tests: they keep what they are given, raise, or do not return until told to."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from receive.icd.payload import Payload


@dataclass(frozen=True)
class Taken:
    """A copy of a payload."""

    ticks: int
    scan_id: int
    channel_id: int
    model_index: int | None
    present: tuple[bool, ...]
    visibilities: NDArray[np.complex64]
    fd: NDArray[np.uint8]
    tci: NDArray[np.int8]
    flags: NDArray[np.bool_]
    payload: Payload


class Recorder:
    """Keeps copies of all payloads; waits at `gate` before each of them."""

    made: ClassVar[list[Any]] = []

    def __init__(self, config: Any, tm: Any) -> None:
        self.config, self.tm = config, tm
        self.taken: list[Taken] = []
        self.ended: list[Any] = []
        self.closed = False
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._news = threading.Condition()
        Recorder.made.append(self)

    async def consume(self, payload: Payload) -> None:
        self.entered.set()
        self.gate.wait()
        taken = Taken(
            payload.ticks,
            payload.scan_id,
            payload.channel_id,
            payload.model_index,
            tuple(part.present for part in payload.parts),
            payload.visibilities.copy(),
            payload.correlated_data_fraction.copy(),
            payload.time_centroid_indices.copy(),
            payload.flags.copy(),
            payload,
        )
        with self._news:
            self.taken.append(taken)
            self._news.notify_all()

    async def scan_ended(self, ledger: Any) -> None:
        with self._news:
            self.ended.append(ledger)
            self._news.notify_all()

    async def close(self) -> None:
        self.closed = True

    def wait_for(self, dumps: int, timeout_s: float = 20.0) -> list[Taken]:
        """Return what was taken as soon as there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.taken) >= dumps, timeout_s), (
                f"{len(self.taken)} integrations came, {dumps} were expected"
            )
            return list(self.taken)


class HeapRecorder(Recorder):
    per_heap = True


class SecondRecorder(Recorder):
    pass


class Raising:
    def __init__(self, config: Any, tm: Any) -> None:
        self.seen = 0

    async def consume(self, payload: Payload) -> None:
        self.seen += 1
        if self.seen == 3:
            raise ValueError("the third was too much")


class Exiting:
    """Ends the program, as a thoughtless script does."""

    def __init__(self, config: Any, tm: Any) -> None:
        pass

    async def consume(self, payload: Payload) -> None:
        sys.exit(3)


class Cancelling(Exiting):
    async def consume(self, payload: Payload) -> None:
        raise asyncio.CancelledError


class NotAsync(Exiting):
    def consume(self, payload: Payload) -> None:  # type: ignore[override]
        pass


class CannotBeMade:
    def __init__(self, config: Any, tm: Any) -> None:
        raise RuntimeError("no such device")

    async def consume(self, payload: Payload) -> None:
        pass


class NoMethod:
    def __init__(self, config: Any, tm: Any) -> None:
        pass
