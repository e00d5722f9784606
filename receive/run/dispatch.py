"""Passes dumps to the consumers, scan by scan, up to the limits configured."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from receive.command.ending import EndedBy

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.consumers.group import ConsumerGroup
    from receive.icd.payload import Payload
    from receive.stream.dumps.dump import Dump
    from receive.stream.dumps.scans import Scans

logger = logging.getLogger(__name__)


class Dispatch:
    """Passes dumps to the consumers.

    Parameters
    ----------
    scans
        Assigns dumps to scans and makes payloads.
    consumers
        Receive the payloads.
    max_scans, max_dumps
        Limits; 0 is unlimited.
    on_scan_ended
        Called at the end of each scan that another may follow.

    Attributes
    ----------
    dumps
        Integrations so far, including empty ones.
    after_end
        Dumps that arrived after their scan was closed.
    """

    def __init__(
        self,
        scans: Scans,
        consumers: ConsumerGroup,
        max_scans: int,
        max_dumps: int,
        on_scan_ended: Callable[[], None],
    ) -> None:
        self._scans = scans
        self._consumers = consumers
        self._max_scans = max_scans
        self._max_dumps = max_dumps
        self._on_scan_ended = on_scan_ended
        self.dumps = 0
        self.after_end = 0

    @property
    def enough_scans(self) -> bool:
        """Whether `max_scans` scans have ended."""
        return bool(self._max_scans) and len(self._scans.finished) >= self._max_scans

    @property
    def enough_dumps(self) -> bool:
        """Whether `max_dumps` integrations were passed on."""
        return bool(self._max_dumps) and self._scans.dumps >= self._max_dumps

    @property
    def enough(self) -> bool:
        """Whether a limit is reached."""
        return self.enough_scans or self.enough_dumps

    @property
    def ended_by(self) -> EndedBy:
        """Why a run that reached a limit ends: `max_dumps`, or the end of its last scan."""
        end = self._scans.finished[-1].end if self.enough_scans else None
        return EndedBy.MAX_DUMPS if end is None or self.enough_dumps else end.by

    def take(self, dump: Dump) -> bool:
        """Pass a dump on; return whether more are wanted."""
        with dump:
            if self.enough:
                self.after_end += dump.epoch == self._scans.epoch and not self.enough_dumps
                return False
            if self._scans.begins_new(dump):
                if self._scans.current is not None:
                    same_start = dump.epoch == self._scans.epoch
                    self.end_scan(EndedBy.NEXT_SCAN, streams_go_on=same_start)
                    if self.enough_scans:
                        return False
                self._consumers.begin_scan(self._scans.begin(dump))
            for payload, has_data in self._scans.payloads(dump):
                if has_data:
                    self._consumers.offer(payload, dump, lambda: self._scans.empty_payload(dump))
                elif not self._take_empty(payload):
                    return False
        self.dumps = self._scans.dumps
        return not self.enough_dumps

    def _take_empty(self, payload: Payload) -> bool:
        self._consumers.offer_empty(payload)
        return not self.enough_dumps

    def end_scan(self, cause: EndedBy | None, *, streams_go_on: bool = False) -> None:
        """End the current scan; see `Scans.end` for the parameters."""
        if not self.enough_dumps:
            for payload in self._scans.dropped_payloads():
                if not self._take_empty(payload):
                    break
        ledger = self._scans.end(cause, streams_go_on=streams_go_on)
        if not self.enough_scans:
            self._on_scan_ended()
        for line in ledger.lines():
            logger.info("%s", line)
        self._consumers.end_scan(ledger)
