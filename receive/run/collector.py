"""The collector: one thread that polls for arrived dumps and passes them on, until the run ends."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from receive.command.ending import EndedBy
from receive.command.progress import Progress
from receive.run.arrivals import nothing_received
from receive.run.polling import Polling
from receive.stream.table.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.command.stop import StopRequest
    from receive.consumers.group import ConsumerGroup
    from receive.host.prefault import Prefaulter
    from receive.run.arrivals import Arrivals
    from receive.run.dispatch import Dispatch
    from receive.stream.dumps.scans import Scans
    from receive.stream.dumps.window import Window
    from receive.stream.network.source import Source
    from receive.stream.table.state import SharedState

logger = logging.getLogger(__name__)

CONNECTION_CHECK_S = 0.1
"""Interval at which ended TCP connections are looked for."""
COUNTERS_CHECK_S = 1.0
"""Interval at which the kernel's counters are read."""


class Collector:
    """Moves dumps from the window to the consumers, and does all periodic work.

    Parameters
    ----------
    state, source, window, scans, consumers, dispatch, arrivals, prefaulter
        Parts of the receiver.
    show
        Called in each round; updates the monitor.
    """

    def __init__(
        self,
        *,
        state: SharedState,
        source: Source,
        window: Window,
        scans: Scans,
        consumers: ConsumerGroup,
        dispatch: Dispatch,
        arrivals: Arrivals,
        prefaulter: Prefaulter,
        show: Callable[[], None],
    ) -> None:
        self._state = state
        self._source = source
        self._window = window
        self._scans = scans
        self._consumers = consumers
        self._dispatch = dispatch
        self._arrivals = arrivals
        self._prefaulter = prefaulter
        self._show = show
        self._polling = Polling(state.pool_size.dumps)
        self._refusals = Refusals(state, source.ports, lambda: source.unreadable(over=False))
        self._checked_s = 0.0
        self._counted_s = 0.0

    def collect(self, stop: StopRequest) -> EndedBy:
        """Receive until the run ends; return why it ended.

        Raises
        ------
        NothingReceivedError
            If nothing arrived before `reception.idle_timeout`.
        """
        self._arrivals.begin(time.monotonic())
        with Progress("receiving", None, "integrations") as progress:
            while not stop.wait(self._sleep_s()) and not self._consumers.all_failed:
                now_s = time.monotonic()
                self._tend(now_s, progress)
                if self._window.has_news(now_s) and (ended_by := self._look(now_s, progress)):
                    return ended_by
        return EndedBy.NO_CONSUMER if self._consumers.all_failed else stop.asked_by

    def flush(self) -> None:
        """Pass on the dumps left in the window after the network was closed."""
        for dump in self._window.flush(time.monotonic()):
            if not self._dispatch.take(dump):
                break

    def _sleep_s(self) -> float:
        return self._polling.sleep_s(self._state.get("taken"), len(self._window.pool))

    def _look(self, now_s: float, progress: Progress) -> EndedBy | None:
        """Pass on complete dumps; return why the run ends, None if it continues."""
        pool, dispatch, arrivals = self._window.pool, self._dispatch, self._arrivals
        self._prefaulter.look(self._state.pool_size.dumps - len(pool))
        self._consumers.share_out(pool.in_window, now_s)
        before = dispatch.dumps
        for dump in self._window.step(now_s, limit=self._consumers.room):
            if not dispatch.take(dump):
                return dispatch.ended_by
        if dispatch.dumps > before:
            arrivals.last_s = time.monotonic()
            progress.update(dispatch.dumps - before)
        if arrivals.are_over(now_s, self._window, self._source.packets):
            self._explain_idle(now_s)
            return EndedBy.IDLE
        if self._scans.current is not None and arrivals.scan_is_over(
            now_s, self._window, self._scans.epoch
        ):
            dispatch.end_scan(None)
            if dispatch.enough_scans:
                return dispatch.ended_by
        return None

    def _tend(self, now_s: float, progress: Progress) -> None:
        """Check connections, counters and warnings when they are due."""
        if now_s - self._checked_s > CONNECTION_CHECK_S:
            self._checked_s = now_s
            for stream in self._source.ended():
                logger.debug("Connection of stream %d ended", stream)
        if now_s - self._counted_s > COUNTERS_CHECK_S:
            self._counted_s = now_s
            self._scans.update()
            self._refusals.look(now_s)
            self._arrivals.look(self._state)
            self._source.account.look(now_s)
            self._consumers.look(now_s)
            progress.set_note(self._arrivals.note(now_s))
            progress.update(0)
        self._show()

    def _explain_idle(self, now_s: float) -> None:
        if self._dispatch.dumps or not self._window.is_empty():
            logger.warning(
                "Nothing came for reception.idle_timeout = %g s: stopping",
                self._arrivals.idle_timeout_s,
            )
            return
        unreadable = self._source.unreadable(over=True) or self._source.account.unfit()
        raise nothing_received(now_s - self._arrivals.began_s, self._state, unreadable)
