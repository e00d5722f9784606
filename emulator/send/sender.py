"""A run: read and pack the next dump while the current one is on the wire, paced, until the end."""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from emulator.send.pacing import Pacer
from emulator.send.packetiser import DumpBuffer
from emulator.send.packing import RecordPacker
from emulator.send.transmitter import AbandonedError
from receive.command.errors import InputError
from receive.command.progress import format_bytes
from receive.icd.records import FD_MAX, vis_slots

if TYPE_CHECKING:
    from types import TracebackType

    from emulator.send.packetiser import Packetiser
    from emulator.send.plan import SendPlan
    from emulator.send.transmitter import Transmitter
    from receive.command.progress import Progress
    from receive.measurement_set.read.reader import SetReader
    from receive.model import Integration

logger = logging.getLogger(__name__)

STOP_PATIENCE_S = 10.0
"""How long, after a signal, the dump that is on the wire may take to end."""

_BUFFERS = 2  # one on the wire, one being packed


@dataclass
class Summary:
    """What a run did.

    Attributes
    ----------
    dumps, streams : int
        Dumps sent in full, and streams that carried them.
    sent_bytes : int
        Bytes of all packets, without the headers of IP and UDP or TCP.
    seconds : float
        From the first packet to the last one of a dump.
    signum : int
        Signal that stopped the run, 0 if none did.
    """

    streams: int
    dumps: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    signum: int = 0

    @property
    def rate_bytes_per_s(self) -> float:
        """Mean rate of the run."""
        return self.sent_bytes / self.seconds if self.seconds else 0.0

    def line(self) -> str:
        """Return the summary in one line."""
        rate = self.rate_bytes_per_s
        return (
            f"sent {self.dumps} dumps in {self.streams} streams: {self.sent_bytes} bytes in "
            f"{self.seconds:.3f} s, {rate:.0f} bytes/s ({format_bytes(rate)}/s)"
        )


class StopRequest:
    """Stops a run on SIGINT or SIGTERM: after the current dump, at a second signal at once."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.signum = 0
        self._loop = asyncio.get_running_loop()
        self._transmitter: Transmitter | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(signum, self._stop, signum)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(signum)
        if self._timer is not None:
            self._timer.cancel()

    def ask(self) -> None:
        """Stop after the current dump, as if everything had been sent."""
        self.event.set()

    def abandons(self, transmitter: Transmitter) -> None:
        """Name the transmitter that is to leave what it sends when it takes too long to stop."""
        self._transmitter = transmitter

    def _stop(self, signum: signal.Signals) -> None:
        if self.signum:
            self._abandon()
            return
        logger.info("%s: stopping after this dump", signum.name)
        self.signum = signum
        self.event.set()
        self._timer = self._loop.call_later(STOP_PATIENCE_S, self._abandon)

    def _abandon(self) -> None:
        if self._transmitter is not None:
            self._transmitter.abandon()


class Sender:
    """Sends what a plan says from a set to a transmitter.

    Parameters
    ----------
    reader : SetReader
        The set.
    plan : SendPlan
        What to send of it.
    packetiser : Packetiser
        Makes the heaps.

    Attributes
    ----------
    summary : Summary
        What has been done so far.
    """

    def __init__(self, reader: SetReader, plan: SendPlan, packetiser: Packetiser) -> None:
        self._reader = reader
        self._plan = plan
        self._packetiser = packetiser
        model = reader.model()
        channels = slice(plan.start_chan, plan.start_chan + plan.num_chan)
        self._packer = RecordPacker(model.channel_width_hz[channels], vis_slots(model.corr_types))
        self._integration: Integration | None = None
        self._warned_of_centroids = False
        self._warned_of_weights = False
        self.summary = Summary(plan.streams)

    async def run(self, transmitter: Transmitter, stop: StopRequest, progress: Progress) -> Summary:
        """Send everything, or until `stop`; the streams are ended in either case.

        Raises
        ------
        NetworkError
            If a target cannot be reached or a connection is lost.
        InputError
            If the set cannot be read to the end.
        """
        summary = self.summary
        try:
            if await _open(transmitter, stop):
                stop.abandons(transmitter)
                self._announce(transmitter)
                await self._send(transmitter, stop, progress, summary)
        except AbandonedError:
            logger.warning("The dump on the wire did not end in time: it is left unfinished")
        finally:
            transmitter.close()
        summary.signum = stop.signum
        return summary

    def _announce(self, transmitter: Transmitter) -> None:
        plan = self._plan
        others = f" and {plan.streams - 1} others" if plan.streams > 1 else ""
        logger.info(
            "Sending %s to %s%s: %d dumps of %s in %d streams",
            self._reader.path,
            transmitter.targets[0],
            others,
            plan.schedule.dumps,
            format_bytes(plan.layout.payload_bytes),
            plan.streams,
        )

    async def _send(
        self, transmitter: Transmitter, stop: StopRequest, progress: Progress, summary: Summary
    ) -> None:
        loop = asyncio.get_running_loop()
        buffers = [
            DumpBuffer(self._packetiser)
            for _ in range(min(_BUFFERS, self._plan.schedule.integrations))
        ]
        start, end = (
            transmitter.batch(heaps)
            for heaps in (self._packetiser.start_heaps(), self._packetiser.end_heaps())
        )
        with ThreadPoolExecutor(1, thread_name_prefix="pack") as packing:
            # Before the streams begin: reading and compiling must not make the first dumps late.
            await loop.run_in_executor(packing, self._pack, 0, buffers[0])
            clock = _Clock(loop, summary)
            summary.sent_bytes += await transmitter.send(start)
            try:
                await self._send_dumps(transmitter, stop, progress, clock, buffers, packing)
            except InputError:
                await transmitter.send_end(end)
                raise
            summary.sent_bytes += await transmitter.send_end(end)

    async def _send_dumps(
        self,
        transmitter: Transmitter,
        stop: StopRequest,
        progress: Progress,
        clock: _Clock,
        buffers: list[DumpBuffer],
        packing: ThreadPoolExecutor,
    ) -> None:
        loop = asyncio.get_running_loop()
        schedule, summary = self._plan.schedule, clock.summary
        batches = [transmitter.batch(buffer.heaps) for buffer in buffers]
        pacer = Pacer(schedule)
        packed: asyncio.Future[None] = loop.create_future()
        packed.set_result(None)
        for integration in range(schedule.integrations):
            await packed
            turn, following = (number % len(buffers) for number in (integration, integration + 1))
            if integration + 1 < schedule.integrations:
                packed = loop.run_in_executor(
                    packing, self._pack, integration + 1, buffers[following]
                )
            first = integration * schedule.repeats
            for dump in range(first, first + schedule.repeats):
                if not await pacer.wait(dump, stop.event):
                    return
                buffers[turn].set_time(schedule.time_mjd_s(dump))
                summary.sent_bytes += await transmitter.send(batches[turn])
                summary.dumps += 1
                clock.read()
                progress.set_rate(summary.rate_bytes_per_s)
                progress.update()

    def _pack(self, integration: int, buffer: DumpBuffer) -> None:
        """Read an integration and fill in its records; in a thread of its own."""
        plan = self._plan
        self._integration = self._reader.integration(
            integration, plan.start_chan, plan.num_chan, into=self._integration
        )
        self._packer.pack(self._integration, buffer.records)
        if self._packer.centroids_clipped and not self._warned_of_centroids:
            self._warned_of_centroids = True
            logger.warning(
                "%s: TIME_CENTROID of some rows lies outside the integration; TCI holds half an "
                "integration to each side and was clipped",
                self._reader.path,
            )
        if self._packer.weights_clipped and not self._warned_of_weights:
            self._warned_of_weights = True
            logger.warning(
                "%s: WEIGHT_SPECTRUM of some records is not channel width x EXPOSURE x the "
                "fraction of data that was correlated (unity and 1/sigma^2 are not): the nearest "
                "fraction from 1/%d^2 to 1 travels",
                self._reader.path,
                FD_MAX,
            )


async def _open(transmitter: Transmitter, stop: StopRequest) -> bool:
    """Open a transmitter, which may take a while; return False if told to stop before it is."""
    opening = asyncio.ensure_future(transmitter.open())
    stopping = asyncio.ensure_future(stop.event.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not opening.done():
        opening.cancel()
        await asyncio.wait({opening})
        return False
    opening.result()
    return True


class _Clock:
    """Keeps the seconds of a summary."""

    def __init__(self, loop: asyncio.AbstractEventLoop, summary: Summary) -> None:
        self.summary = summary
        self._loop = loop
        self._started_s = loop.time()

    def read(self) -> None:
        self.summary.seconds = self._loop.time() - self._started_s
