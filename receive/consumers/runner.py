"""Runs each consumer in a thread, so that it blocks neither the network nor other consumers."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from receive.command.errors import ConsumerError, VisReceiveError
from receive.command.rate_limit import RateLimit
from receive.consumers.base import ScanBeginConsumer, ScanConsumer
from receive.icd.payload import Payload, PayloadPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.stream.dumps.dump import Dump
    from receive.stream.dumps.ledger import ScanLedger

logger = logging.getLogger(__name__)

STALLED_S = 60.0
"""At the end, a consumer that has not returned for this long is abandoned."""
NICENESS = 5
"""Added to the niceness of a consumer's thread."""
MAX_EMPTY = 10_000
"""Payloads without data that may wait for a consumer; bounds the memory."""
STOP_S = 5.0
"""Time for the queue after a request to stop; payloads that still wait then are dropped."""


@dataclass(frozen=True)
class _Item:
    payload: Payload | None = None
    dump: Dump | None = None
    ledger: ScanLedger | None = None
    begins: bool = False


class ConsumerThread:
    """Runs one consumer in a thread with an event loop of its own.

    Parameters
    ----------
    name
        Name of the consumer in the configuration.
    consumer
        The consumer.
    max_dumps
        Dumps with data that it may hold, queued or in use; may be changed at any time.
    """

    def __init__(self, name: str, consumer: Any, max_dumps: int) -> None:
        self.name = name
        self.dropped = 0
        self.left_out = 0
        self.consumed = 0
        self.unconsumed = 0
        self.error: VisReceiveError | None = None
        self._consumer = consumer
        self.max_dumps = max_dumps
        self._lock = threading.Lock()
        self._waiting = 0
        self._waiting_empty = 0
        self._closing = False
        self._hurry_from_s = math.inf
        self._in_scan = False
        self._told = 0
        self._limit = RateLimit()
        self._moved_s = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._queue: deque[_Item | None] = deque()
        self._wake = asyncio.Event()
        self._asleep = False
        # A daemon, so that a consumer that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"consumer {name}", daemon=True)
        self._thread.start()

    @property
    def room(self) -> int:
        """How many more dumps it can take; not reduced once it has failed."""
        return self.max_dumps if self.error else self.max_dumps - self._waiting

    @property
    def waiting(self) -> int:
        """Number of dumps with data that it holds, queued or in use."""
        return self._waiting

    def offer(self, payload: Payload, dump: Dump) -> bool:
        """Queue a payload, and hold the dump that it is a view of.

        Returns
        -------
        bool
            False if it has no room or has failed; the dump is then not taken.
        """
        with self._lock:
            if self.error is not None:
                self.unconsumed += 1
                return False
            if self._waiting >= self.max_dumps:
                self.dropped += 1
                return False
            self._waiting += 1
        dump.hold()
        self._put(_Item(payload=payload, dump=dump))
        return True

    def offer_empty(self, payload: Payload) -> None:
        """Queue an integration without data: none arrived, or there was no room for it."""
        with self._lock:
            if self.error is not None:
                return
            if self._waiting_empty >= MAX_EMPTY:
                self.left_out += 1
                return
            self._waiting_empty += 1
        self._put(_Item(payload=payload))

    def look(self, now_s: float) -> None:
        """Warn of integrations for which it had no room, if the rate limit permits."""
        lacking = self.dropped + self.left_out
        if lacking == self._told or not self._limit.is_due(now_s):
            return
        left_out = f" ({self.left_out} without data were left out)" if self.left_out else ""
        logger.warning(
            "Consumer %s had no room for %d integrations so far, which it gets without data%s: it "
            "is slower than the sender, and its part of reception.buffer_memory is used up; over "
            "TCP reception.backpressure makes the sender wait instead",
            self.name,
            self.dropped,
            left_out,
        )
        self._told = lacking

    def begin_scan(self, ledger: ScanLedger) -> None:
        """Queue the beginning of a scan."""
        self._put(_Item(ledger=ledger, begins=True))

    def end_scan(self, ledger: ScanLedger) -> None:
        """Queue the end of a scan."""
        self._put(_Item(ledger=ledger))

    def request_close(self) -> None:
        """Queue a request to close."""
        if not self._closing:
            self._closing = True
            self._put(None)

    def hurry(self) -> None:
        """Let it drop, and count, payloads that still wait `STOP_S` from now."""
        if self._hurry_from_s == math.inf:
            self._hurry_from_s = time.monotonic() + STOP_S

    @property
    def unwritten(self) -> int:
        """Integrations with data that the consumer took and could not write."""
        return int(getattr(self._consumer, "unwritten", 0))

    def join(self, timeout_s: float, stalled_s: float = STALLED_S) -> bool:
        """Wait for it to close.

        Parameters
        ----------
        timeout_s
            How long to wait in this call.
        stalled_s
            How long it may take for one payload before it is abandoned.

        Returns
        -------
        bool
            Whether there is nothing more to wait for.
        """
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            return True
        if time.monotonic() - self._moved_s > stalled_s:
            self.error = self.error or ConsumerError(
                f"consumer {self.name} has not returned for {stalled_s:.0f} s; "
                f"{self._waiting} integrations were not consumed"
            )
            self.unconsumed += self._waiting
            return True
        return False

    def _put(self, item: _Item | None) -> None:
        self._moved_s = self._moved_s if self._waiting > 1 else time.monotonic()
        self._queue.append(item)
        # Waking a thread is the slowest step here: only if it is asleep.
        with self._lock:
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _next(self) -> _Item | None:
        while not self._queue:
            with self._lock:
                self._asleep = not self._queue
                if self._asleep:
                    self._wake.clear()
            if self._asleep:
                await self._wake.wait()
        return self._queue.popleft()

    def _run(self) -> None:
        # With too few cores, consumers yield to the network threads: whole dumps are dropped then,
        # in an orderly way, and no packets.
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        while (item := await self._next()) is not None:
            try:
                if self.error is None and not self._is_late(item):
                    await self._take(item)
                elif item.dump is not None:
                    self.unconsumed += 1
            except BaseException as error:  # noqa: BLE001 -- a user's class may even call sys.exit
                self.unconsumed += item.dump is not None
                self._fail(error)
            finally:
                self._done(item)
        if self.unconsumed and self.error is None:
            logger.warning(
                "Consumer %s was told to stop: %d integrations that waited for it are dropped",
                self.name,
                self.unconsumed,
            )
        try:
            close = getattr(self._consumer, "close", None)
            if close is not None:
                await close()
        except BaseException as error:  # noqa: BLE001 -- a user's class may even call sys.exit
            self._fail(error)

    def _is_late(self, item: _Item) -> bool:
        """Whether an item is dropped since the time to stop is over: all but the end of a scan."""
        if time.monotonic() < self._hurry_from_s:
            return False
        return item.payload is not None or item.begins or not self._in_scan

    async def _take(self, item: _Item) -> None:
        if item.ledger is not None:
            self._in_scan = item.begins
            if item.begins and isinstance(self._consumer, ScanBeginConsumer):
                await self._consumer.scan_began(item.ledger)
            if not item.begins and isinstance(self._consumer, ScanConsumer):
                await self._consumer.scan_ended(item.ledger)
            return
        if item.payload is None:
            return
        if getattr(self._consumer, "per_heap", False):
            for heap in heaps_of(item.payload):
                await self._consumer.consume(heap)
        else:
            await self._consumer.consume(item.payload)
        self.consumed += 1

    def _done(self, item: _Item) -> None:
        with self._lock:
            self._moved_s = time.monotonic()
            if item.dump is not None:
                self._waiting -= 1
            elif item.payload is not None:
                self._waiting_empty -= 1
        if item.dump is not None:
            item.dump.release()

    def _fail(self, error: BaseException) -> None:
        # The log has one line per error, whatever the message.
        text = " ".join(str(error).split())
        if self.error is not None:
            logger.error("Consumer %s failed again: %s", self.name, text)
            return
        logger.debug("Consumer %s failed", self.name, exc_info=error)
        if isinstance(error, VisReceiveError):
            self.error = error
        else:
            self.error = ConsumerError(
                f"consumer {self.name} failed: {type(error).__name__}: {text}"
            )
        logger.error("%s", self.error)


def heaps_of(payload: Payload) -> Iterator[Payload]:
    """Yield a payload for each heap of a dump that is present."""
    for part in payload.parts:
        if part.present:
            yield Payload(
                timestamp_count=payload.timestamp_count,
                timestamp_fraction=payload.timestamp_fraction,
                channel_id=payload.channel_id + part.first_channel,
                channel_count=part.channel_count,
                baseline_count=payload.baseline_count,
                parts=[PayloadPart(0, part.channel_count, part.records, present=True)],
                scan_id=payload.scan_id,
                hardware_id=payload.hardware_id,
                polarisation_id=payload.polarisation_id,
                phase_bin_id=payload.phase_bin_id,
                phase_bin_count=payload.phase_bin_count,
                model_index=payload.model_index,
            )
