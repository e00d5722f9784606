"""The receiver: network, collector and consumers, from ready to closed."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from receive.account.outcome import Outcome
from receive.command.ending import EndedBy
from receive.command.errors import NothingReceivedError
from receive.command.port_ranges import port_ranges
from receive.consumers.group import ConsumerGroup
from receive.host.prefault import Prefaulter
from receive.icd.times import ticks_from_mjd_s
from receive.model.telescope import MATCH_INTERVALS
from receive.pod.run_files import remove_ready, write_ready
from receive.run.arrivals import Arrivals
from receive.run.collector import Collector
from receive.run.dispatch import Dispatch
from receive.run.take_snapshot import take
from receive.stream.dumps.scans import Scans
from receive.stream.dumps.window import Window
from receive.stream.network.kinds import make_source
from receive.stream.table.state import SharedState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from receive.command.stop import StopRequest
    from receive.config import Config
    from receive.monitor.snapshot import Snapshot
    from receive.monitor.status import Status
    from receive.run.plan import Plan

logger = logging.getLogger(__name__)


class Receiver:
    """Receives one run, which may have several scans.

    Parameters
    ----------
    config
        The configuration.
    plan
        Sizes, made from the configuration and the model.
    stop
        Set it to end the run; everything is closed properly.
    status
        Gets snapshots for the monitor; None without a monitor.

    Attributes
    ----------
    source, state, window, scans, consumers, dispatch
        Its parts; `window` exists once the consumers are loaded.
    """

    def __init__(
        self, config: Config, plan: Plan, stop: StopRequest, status: Status | None = None
    ) -> None:
        self._config = config
        self._plan = plan
        self._stop = stop
        self._status = status
        self._dump_timeout_s = config.dump_timeout_s(plan.interval_s)
        self.source = make_source(config, plan.ports, self._dump_timeout_s)
        self.state = _shared_state(config, plan, trusted=self.source.trusted)
        self.window: Window
        self.scans = Scans(self.state, plan.model, plan.telescope, self.source.drops)
        self.consumers = ConsumerGroup(config, plan.pool)
        self.dispatch = Dispatch(
            self.scans,
            self.consumers,
            config.reception.max_scans,
            config.reception.max_dumps,
            self.source.scan_ended,
        )
        self._prefaulter = Prefaulter(self.state.memory, plan.layout.dump_bytes)
        self._arrivals = Arrivals(self.scans, config.reception.idle_timeout, self._dump_timeout_s)
        self._ended_by: EndedBy | None = None

    def run(self, ready_files: Sequence[Path] = ()) -> Outcome:
        """Receive until the end of the observation, or until told to stop.

        Parameters
        ----------
        ready_files
            JSON files with the ports, written when the receiver is ready for packets.

        Raises
        ------
        VisReceiveError
            If it cannot start, or nothing arrived before `reception.idle_timeout`.
        """
        with contextlib.ExitStack() as stack:
            self.source.open(self.state)
            stack.callback(self.source.stop)
            # Runs while the consumers are loaded.
            self._prefaulter.start()
            stack.callback(self._prefaulter.stop)
            stack.callback(self.consumers.close, self._stop, self._show)
            self.consumers.load(self._plan.model)
            self.window = Window(self.state, self._dump_timeout_s, self.source.packets)
            self.source.start()
            stack.callback(self.source.stop)
            if self._status is not None:
                self._status.receive()
                stack.callback(self._status.close)
            collector = self._collector()
            self._announce(ready_files)
            stack.callback(remove_ready, ready_files)
            stack.push(self._end_failed)
            self._ended_by = collector.collect(self._stop)
            # While the sockets are open: the kernel counts drops per socket.
            self.scans.update()
            self.source.stop()
            self.source.account.look(math.inf)
            collector.flush()
            if self.scans.current is not None:
                self.dispatch.end_scan(self._ended_by)
        if self._status is not None:
            self._status.end(self._snapshot())
        return self.outcome()

    def _collector(self) -> Collector:
        return Collector(
            state=self.state,
            source=self.source,
            window=self.window,
            scans=self.scans,
            consumers=self.consumers,
            dispatch=self.dispatch,
            arrivals=self._arrivals,
            prefaulter=self._prefaulter,
            show=self._show,
        )

    def _announce(self, ready_files: Sequence[Path]) -> None:
        host, ports = self.source.host, self.source.ports
        logger.info(
            "Ready: %s %s, ports %s", self._config.reception.transport, host, port_ranges(ports)
        )
        for ready_file in ready_files:
            write_ready(ready_file, self._plan.address(self._config, host, ports))

    def _end_failed(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """On an error, record why the run ended and end the current scan."""
        if error is None:
            return
        idle = isinstance(error, NothingReceivedError)
        self._ended_by = EndedBy.IDLE if idle else EndedBy.ERROR
        if self.scans.current is not None:
            self.dispatch.end_scan(self._ended_by)

    def _show(self) -> None:
        """Report to the monitor that this thread is alive, and once a second a snapshot."""
        if self._status is not None and self._status.beat(time.monotonic()):
            self._status.show(self._snapshot())

    def _snapshot(self) -> Snapshot:
        return take(
            time.monotonic(),
            self.outcome(),
            self.scans,
            self.window.pool,
            self.consumers.threads,
            self._arrivals,
        )

    def outcome(self) -> Outcome:
        """Return the outcome so far; at the end, the final one."""
        dropped = self.scans.kernel_drops.counts
        threads = self.consumers.threads
        return Outcome(
            scans=self.scans.so_far(),
            ended_by=self._ended_by,
            seconds=self._arrivals.seconds,
            errors=self.consumers.errors,
            dropped={one.name: one.dropped for one in threads},
            unconsumed={one.name: one.unconsumed for one in threads},
            unwritten={one.name: one.unwritten for one in threads},
            refused_outside=self.scans.refused_outside(),
            after_end=self.dispatch.after_end,
            kernel_dropped=None if dropped is None else dropped.tolist(),
            sources=self.source.account.as_dict() if self.source.ports else {},
            sets=list(self.consumers.closed_sets.paths),
            commands=self.consumers.closed_sets.as_dict(),
        )


def _shared_state(config: Config, plan: Plan, *, trusted: bool) -> SharedState:
    model = plan.model
    return SharedState(
        plan.layout,
        plan.pool,
        model_time=ticks_from_mjd_s(model.times_mjd_s),
        model_tolerance=(model.intervals_s * MATCH_INTERVALS * 2**32).astype("int64"),
        interval_ticks=round(plan.interval_s * 2**32),
        span_ticks=round(max(plan.pool.window, 2) * plan.interval_s * 2**32),
        first_channel_id=plan.layout.first_channel + config.transmission.channel_id_offset,
        reject_unknown=config.reception.unknown_times == "reject",
        backpressure=config.reception.backpressure,
        trusted=trusted,
    )
