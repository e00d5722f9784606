"""The receiver at work: network threads, collector, consumers, from ready to closed."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from receive.account.outcome import Outcome
from receive.command.ending import EndedBy
from receive.command.port_ranges import port_ranges
from receive.command.progress import Progress
from receive.consumers.base import find_all, load
from receive.consumers.closed_sets import ClosedSets, ClosesSets
from receive.consumers.runner import ConsumerThread
from receive.host.prefault import Prefaulter
from receive.icd.times import ticks_from_mjd_s
from receive.model.telescope import MATCH_INTERVALS
from receive.pod.run_files import remove_ready, write_ready
from receive.run.arrivals import Arrivals, nothing_received
from receive.run.take_snapshot import take
from receive.stream.dumps.pool_share import ConsumerShare
from receive.stream.dumps.scans import Scans
from receive.stream.dumps.window import Window
from receive.stream.network.kinds import make_source
from receive.stream.table.refusals import Refusals
from receive.stream.table.state import SharedState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from receive.command.stop import StopRequest
    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.monitor.snapshot import Snapshot
    from receive.monitor.status import Status
    from receive.run.plan import Plan
    from receive.stream.dumps.dump import Dump

logger = logging.getLogger(__name__)

POLL_S = 0.01
POLL_SHORT_S = 0.001
"""Where most buffers are in use, and the rest would not last for `POLLS_OF_ROOM`."""
POLLS_OF_ROOM = 4
RATE_MEMORY = 0.9
"""What remains of an estimated rate from one look to the next, if it has fallen."""
CONNECTION_CHECK_S = 0.1
"""How often ended TCP connections are looked for."""
COUNTERS_CHECK_S = 1.0
"""How often the kernel's counters are read."""
JOIN_STEP_S = 0.1
LOST_END_S = 1.0
"""Silence, at least, after which the end of a stream counts as lost: senders may be held up."""


class Receiver:
    """Receives one run: as many scans as asked for.

    Parameters
    ----------
    config
        The configuration.
    plan
        Sizes, made from it and the model.
    stop
        Set it to end the run: everything is closed properly.
    status
        Told how it stands, for those who ask; None if nobody can.
    """

    def __init__(
        self, config: Config, plan: Plan, stop: StopRequest, status: Status | None = None
    ) -> None:
        self._config = config
        self._plan = plan
        self._stop = stop
        self._status = status
        self._backpressure = bool(config["reception.backpressure"])
        self._dump_timeout_s = config.dump_timeout_s(plan.interval_s)
        self._max_scans = config["reception.max_scans"]
        self._max_dumps = config["reception.max_dumps"]
        self._idle_timeout_s = config["reception.idle_timeout"]
        self._source = make_source(config, list(plan.ports), self._dump_timeout_s)
        self._state = _shared_state(config, plan, trusted=self._source.trusted)
        self._share = ConsumerShare(plan.pool, len(config["reception.consumer"]))
        self._prefaulter = Prefaulter(self._state.memory, plan.layout.dump_bytes)
        self._scans = Scans(self._state, plan.model, plan.telescope, self._source.drops)
        self._arrivals = Arrivals(self._scans, config["reception.idle_timeout"])
        self._window: Window
        self._refusals: Refusals
        self._consumers: list[ConsumerThread] = []
        self._closed_sets = ClosedSets(
            config["consumer.command"], config["consumer.command_timeout"]
        )
        self._dumps = 0
        self._after_end = 0
        self._started_s = 0.0
        self._checked_s = 0.0
        self._counted_s = 0.0
        self._looked_s = 0.0
        self._taken = 0
        self._taken_per_s = 0.0
        self._ended_by: EndedBy | None = None

    def run(self, ready_files: Sequence[Path] = ()) -> Outcome:
        """Receive until the end of the observation, or until told to stop.

        Parameters
        ----------
        ready_files
            Written, with the ports as JSON, when packets can come.

        Returns
        -------
        Outcome
            The ledger and what went wrong with consumers.

        Raises
        ------
        VisReceiveError
            If it cannot begin, or nothing came before `reception.idle_timeout`.
        """
        with contextlib.ExitStack() as stack:
            self._source.open(self._state)
            stack.callback(self._source.stop)
            # Beside the loading of what is still needed.
            self._prefaulter.start()
            stack.callback(self._prefaulter.stop)
            stack.callback(self._closed_sets.finish, self._stop, self._show)
            stack.callback(self._close_consumers)
            self._load_consumers()
            self._window = Window(self._state, self._dump_timeout_s, self._source.packets)
            self._source.start()
            stack.callback(self._source.stop)
            if self._status is not None:
                self._status.receive()
                stack.callback(self._status.close)
            self._announce(ready_files)
            stack.callback(remove_ready, ready_files)
            self._refusals = Refusals(
                self._state, self._source.ports, lambda: self._source.unreadable(over=False)
            )
            stack.push(self._end_failed_scan)
            self._ended_by = self._collect()
            self._scans.update()
            self._source.stop()
            self._source.account.look(math.inf)
            for dump in self._window.flush(time.monotonic()):
                if not self._take(dump):
                    break
            if self._scans.current is not None:
                self._end_scan(self._ended_by)
        if self._status is not None:
            self._status.end(self._snapshot())
        return self.outcome()

    def _load_consumers(self) -> None:
        find_all(self._config)
        names = self._config["reception.consumer"]
        closing = False
        for name in names:
            made = load(name, self._config, self._plan.model)
            if isinstance(made, ClosesSets):
                closing = True
                made.on_closed = self._closed_sets.add
            self._consumers.append(
                ConsumerThread(name, made, self._share.look(0, time.monotonic()))
            )
        if self._config["consumer.command"] and not closing:
            logger.warning(
                "consumer.command is never run: no set is closed by reception.consumer = %s",
                ",".join(names),
            )

    def _announce(self, ready_files: Sequence[Path]) -> None:
        host, ports = self._source.host, self._source.ports
        logger.info(
            "Ready: %s %s, ports %s", self._config["reception.transport"], host, port_ranges(ports)
        )
        for ready_file in ready_files:
            write_ready(ready_file, self._plan.address(self._config, host, ports))

    def _collect(self) -> EndedBy:
        """Receive; return why no more is."""
        self._started_s = self._arrivals.moved_s = time.monotonic()
        with Progress("receiving", None, "integrations") as progress:
            while not self._stop.wait(self._poll_s()) and not self._all_failed():
                now_s = time.monotonic()
                self._tend(now_s, progress)
                if not self._window.has_news(now_s):
                    continue
                self._give_room(now_s)
                before = self._dumps
                for dump in self._window.step(now_s, limit=self._room()):
                    if not self._take(dump):
                        return self._enough()
                if self._dumps > before:
                    self._arrivals.last_s = time.monotonic()
                    progress.update(self._dumps - before)
                if self._arrivals.are_over(now_s, self._window, self._source.packets):
                    self._explain_idle(now_s - self._started_s)
                    return EndedBy.IDLE
                if self._scan_is_over(now_s - self._arrivals.moved_s):
                    self._end_scan(None)
                    if self._enough_scans():
                        return self._enough()
        return EndedBy.NO_CONSUMER if self._all_failed() else self._stop.asked_by

    def _enough(self) -> EndedBy:
        """Return why no more is received: the last of the scans asked for ended by that."""
        end = self._scans.finished[-1].end if self._enough_scans() else None
        return EndedBy.MAX_DUMPS if end is None or self._enough_dumps() else end.by

    def _poll_s(self) -> float:
        """Return how long the buffers that are free can wait for a look."""
        now_s, taken = time.monotonic(), self._state.get("taken")
        rate = (taken - self._taken) / max(now_s - self._looked_s, POLL_SHORT_S)
        self._looked_s, self._taken = now_s, taken
        self._taken_per_s = max(rate, RATE_MEMORY * self._taken_per_s)
        free, dumps = len(self._window.pool), self._plan.pool.dumps
        short = 2 * free < dumps and free <= 1 + POLLS_OF_ROOM * POLL_S * self._taken_per_s
        return POLL_SHORT_S if short else POLL_S

    def _tend(self, now_s: float, progress: Progress) -> None:
        """Look after connections and counters, whenever it is time to."""
        if now_s - self._checked_s > CONNECTION_CHECK_S:
            self._checked_s = now_s
            for stream in self._source.ended():
                logger.debug("Connection of stream %d ended", stream)
        if now_s - self._counted_s > COUNTERS_CHECK_S:
            self._counted_s = now_s
            self._scans.update()
            self._warn(now_s)
            progress.set_note(self._arrivals.note(now_s))
            progress.update(0)
        self._show()

    def _warn(self, now_s: float) -> None:
        """Tell the operator of what is refused and what consumers have no room for."""
        self._refusals.look(now_s)
        self._arrivals.look(self._state)
        self._source.account.look(now_s)
        for consumer in self._consumers:
            consumer.look(now_s)

    def _give_room(self, now_s: float) -> None:
        """Let consumers hold what is not needed to receive into."""
        pool = self._window.pool
        self._prefaulter.look(self._plan.pool.dumps - len(pool))
        share = self._share.look(pool.in_window, now_s)
        for consumer in self._consumers:
            consumer.max_dumps = share

    def _room(self) -> int:
        if not self._backpressure:
            return self._plan.pool.dumps
        return min(consumer.room for consumer in self._consumers)

    def _take(self, dump: Dump) -> bool:
        """Pass a dump on; False when it belongs to nothing that was asked for any more."""
        with dump:
            if self._enough_scans() or self._enough_dumps():
                self._after_end += dump.epoch == self._scans.epoch and not self._enough_dumps()
                return False
            if self._scans.begins_new(dump):
                if self._scans.current is not None:
                    self._end_scan(EndedBy.NEXT_SCAN, streams_go_on=dump.epoch == self._scans.epoch)
                    if self._enough_scans():
                        return False
                self._begin_scan(dump)
            for payload, has_data in self._scans.payloads(dump):
                if not has_data:
                    self._offer_empty(payload)
                    if self._enough_dumps():
                        return False
                    continue
                for consumer in self._consumers:
                    if not consumer.offer(payload, dump):
                        consumer.offer_empty(self._scans.empty_payload(dump))
        self._dumps = self._dumps_so_far()
        return not self._enough_dumps()

    def _offer_empty(self, payload: Payload) -> None:
        for consumer in self._consumers:
            consumer.offer_empty(payload)

    def _enough_dumps(self) -> bool:
        return bool(self._max_dumps) and self._dumps_so_far() >= self._max_dumps

    def _dumps_so_far(self) -> int:
        current = self._scans.current
        return sum(s.dumps for s in self._scans.finished) + (current.dumps if current else 0)

    def _enough_scans(self) -> bool:
        return bool(self._max_scans) and len(self._scans.finished) >= self._max_scans

    def _scan_is_over(self, idle_s: float) -> bool:
        if self._scans.current is None or idle_s <= self._window.ended_s():
            return False
        # In this order: what came before the ends of the streams is in the window by now.
        over = self._window.is_over(self._scans.epoch)
        if not self._window.is_empty(self._scans.epoch):
            return False
        return over or (
            self._window.some_end_was_lost()
            and idle_s > max(self._dump_timeout_s, LOST_END_S, self._window.pace.quiet_s)
        )

    def _begin_scan(self, dump: Dump) -> None:
        ledger = self._scans.begin(dump)
        for consumer in self._consumers:
            consumer.begin_scan(ledger)

    def _end_scan(self, cause: EndedBy | None, *, streams_go_on: bool = False) -> None:
        if not self._enough_dumps():
            for payload in self._scans.dropped_payloads():
                self._offer_empty(payload)
                if self._enough_dumps():
                    break
        ledger = self._scans.end(cause, streams_go_on=streams_go_on)
        if not self._enough_scans():
            self._source.scan_ended()
        for line in ledger.lines():
            logger.info("Ended %s", line)
        for consumer in self._consumers:
            consumer.end_scan(ledger)

    def _end_failed_scan(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the scan that a failure has interrupted, so that its account says so."""
        if error is None or self._scans.current is None:
            return
        self._ended_by = EndedBy.ERROR
        self._end_scan(EndedBy.ERROR)

    def _explain_idle(self, waited_s: float) -> None:
        if self._dumps or not self._window.is_empty():
            logger.warning(
                "Nothing came for reception.idle_timeout = %g s: stopping", self._idle_timeout_s
            )
            return
        self._ended_by = EndedBy.IDLE
        unreadable = self._source.unreadable(over=True) or self._source.account.unfit()
        raise nothing_received(waited_s, self._state, unreadable)

    def _all_failed(self) -> bool:
        """Whether nobody is left who takes what comes."""
        return all(consumer.error is not None for consumer in self._consumers)

    def _show(self) -> None:
        """Tell those who ask that this thread is at work, and once a second how it stands."""
        if self._status is not None and self._status.beat(time.monotonic()):
            self._status.show(self._snapshot())

    def _snapshot(self) -> Snapshot:
        return take(
            time.monotonic(),
            self.outcome(),
            self._scans,
            self._window.pool,
            self._consumers,
            self._arrivals,
        )

    def _close_consumers(self) -> None:
        for consumer in self._consumers:
            consumer.request_close()
        for consumer in self._consumers:
            while not consumer.join(JOIN_STEP_S):
                if self._stop.is_set() and self._stop.asked_by is EndedBy.SIGNAL:
                    for each in self._consumers:
                        each.hurry()
                self._show()

    def outcome(self) -> Outcome:
        """Return how the run stands, and in the end how it ended."""
        dropped = self._scans.kernel_drops.counts
        errors = [c.error for c in self._consumers if c.error is not None]
        failed = self._closed_sets.error()
        return Outcome(
            scans=self._scans.so_far(),
            ended_by=self._ended_by,
            seconds=self._arrivals.seconds,
            errors=errors if failed is None else [*errors, failed],
            dropped={c.name: c.dropped for c in self._consumers},
            unconsumed={c.name: c.unconsumed for c in self._consumers},
            unwritten={c.name: c.unwritten for c in self._consumers},
            refused_outside=self._scans.refused_outside(),
            after_end=self._after_end,
            kernel_dropped=None if dropped is None else dropped.tolist(),
            sources=self._source.account.as_dict() if self._source.ports else {},
            sets=list(self._closed_sets.paths),
            commands=self._closed_sets.as_dict(),
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
        first_channel_id=plan.layout.first_channel + config["transmission.channel_id_offset"],
        reject_unknown=config["reception.unknown_times"] == "reject",
        backpressure=bool(config["reception.backpressure"]),
        trusted=trusted,
    )
