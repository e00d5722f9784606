"""All consumers of a run: loads them, passes payloads on, limits their buffers, closes them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from receive.command.ending import EndedBy
from receive.consumers.base import find_all, load
from receive.consumers.closed_sets import ClosedSets, ClosesSets
from receive.consumers.runner import ConsumerThread
from receive.stream.dumps.pool_share import ConsumerShare

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.command.errors import VisReceiveError
    from receive.command.stop import StopRequest
    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel
    from receive.stream.dumps.dump import Dump
    from receive.stream.dumps.ledger import ScanLedger
    from receive.stream.table.layout import PoolSize

logger = logging.getLogger(__name__)

JOIN_STEP_S = 0.1


class ConsumerGroup:
    """The consumers that a configuration names, each in a thread of its own.

    Parameters
    ----------
    config
        Names the consumers, and the command for closed sets.
    pool
        Size of the pool that they share.

    Attributes
    ----------
    threads
        The consumers, in the order of the configuration.
    closed_sets
        The sets that they closed, and the commands run for them.
    """

    def __init__(self, config: Config, pool: PoolSize) -> None:
        self._config = config
        self._pool = pool
        self._names = config.reception.consumer
        self._waits = config.reception.backpressure
        self._share = ConsumerShare(pool, len(self._names))
        self.threads: list[ConsumerThread] = []
        self.closed_sets = ClosedSets(config.consumer.command, config.consumer.command_timeout)

    def load(self, model: TelescopeModel) -> None:
        """Construct the consumers and start their threads.

        Raises
        ------
        VisReceiveError
            If one cannot be found, or cannot begin.
        """
        find_all(self._config)
        closing = False
        for name in self._names:
            made = load(name, self._config, model)
            if isinstance(made, ClosesSets):
                closing = True
                made.on_closed = self.closed_sets.add
            share = self._share.look(0, time.monotonic())
            self.threads.append(ConsumerThread(name, made, share))
        if self._config.consumer.command and not closing:
            logger.warning(
                "consumer.command is never run: no set is closed by reception.consumer = %s",
                ",".join(self._names),
            )

    @property
    def all_failed(self) -> bool:
        """Whether nobody is left who takes what comes."""
        return all(one.error is not None for one in self.threads)

    @property
    def room(self) -> int:
        """How many dumps may be handed on: limited by consumers only if the sender can wait."""
        return min(one.room for one in self.threads) if self._waits else self._pool.dumps

    def share_out(self, needed: int, now_s: float) -> None:
        """Set how many dumps a consumer may hold; `needed` buffers are in use by receiving."""
        share = self._share.look(needed, now_s)
        for one in self.threads:
            one.max_dumps = share

    def offer(self, payload: Payload, dump: Dump, without_data: Callable[[], Payload]) -> None:
        """Offer all consumers a payload; one without room gets it without data."""
        for one in self.threads:
            if not one.offer(payload, dump):
                one.offer_empty(without_data())

    def offer_empty(self, payload: Payload) -> None:
        """Offer all consumers an integration without data."""
        for one in self.threads:
            one.offer_empty(payload)

    def begin_scan(self, ledger: ScanLedger) -> None:
        """Tell all that a scan begins."""
        for one in self.threads:
            one.begin_scan(ledger)

    def end_scan(self, ledger: ScanLedger) -> None:
        """Tell all that a scan is over."""
        for one in self.threads:
            one.end_scan(ledger)

    def look(self, now_s: float) -> None:
        """Warn of consumers without room."""
        for one in self.threads:
            one.look(now_s)

    def close(self, stop: StopRequest, on_look: Callable[[], None]) -> None:
        """Close all consumers, then wait for the commands of closed sets.

        Parameters
        ----------
        stop
            A signal meanwhile makes consumers drop payloads that wait longer than `STOP_S`.
        on_look
            Called repeatedly meanwhile.
        """
        for one in self.threads:
            one.request_close()
        for one in self.threads:
            while not one.join(JOIN_STEP_S):
                if stop.is_set() and stop.asked_by is EndedBy.SIGNAL:
                    for each in self.threads:
                        each.hurry()
                on_look()
        self.closed_sets.finish(stop, on_look)

    @property
    def errors(self) -> list[VisReceiveError]:
        """Errors of the consumers, then that of the commands for closed sets."""
        errors = [one.error for one in self.threads if one.error is not None]
        failed = self.closed_sets.error()
        return errors if failed is None else [*errors, failed]
