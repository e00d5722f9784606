"""All consumers of a run: loaded, given what came, limited to their share of buffers, closed."""

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
        Its `reception.consumer`, and what is done with closed sets.
    pool
        Size of the pool, of which each has a share.

    Attributes
    ----------
    threads
        The consumers, in the order of the configuration.
    closed_sets
        What is done with the sets that they close.
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
        """Make the consumers and start their threads.

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
        """How many dumps may be handed on: as many as there are, unless the sender can wait."""
        return min(one.room for one in self.threads) if self._waits else self._pool.dumps

    def share_out(self, needed: int, now_s: float) -> None:
        """Let consumers hold the buffers that receiving, which needs some just now, can spare."""
        share = self._share.look(needed, now_s)
        for one in self.threads:
            one.max_dumps = share

    def offer(self, payload: Payload, dump: Dump, without_data: Callable[[], Payload]) -> None:
        """Give all consumers a payload; one without room gets it as if nothing had come."""
        for one in self.threads:
            if not one.offer(payload, dump):
                one.offer_empty(without_data())

    def offer_empty(self, payload: Payload) -> None:
        """Give all consumers an integration of which nothing came."""
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
        """Warn of those that have no room."""
        for one in self.threads:
            one.look(now_s)

    def close(self, stop: StopRequest, on_look: Callable[[], None]) -> None:
        """Close all, and then run what is to be done with the last sets.

        Parameters
        ----------
        stop
            A signal during that makes them drop what they cannot take soon.
        on_look
            Called again and again meanwhile.
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
        """What consumers failed with, and the command for closed sets after them."""
        errors = [one.error for one in self.threads if one.error is not None]
        failed = self.closed_sets.error()
        return errors if failed is None else [*errors, failed]
