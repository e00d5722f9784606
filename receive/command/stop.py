"""A request to end a run, which a signal handler may set."""

from __future__ import annotations

import time

from receive.command.ending import EndedBy

_STEP_S = 0.05


class StopRequest:
    """A request to end a run; may be set in a signal handler.

    A `threading.Event` may not: its lock is not re-entrant, so a handler that interrupts a thread
    waiting for the event can deadlock.
    """

    def __init__(self) -> None:
        self._asked = False
        self.asked_by = EndedBy.SIGNAL
        """Source of the latest request."""

    def set(self, by: EndedBy = EndedBy.SIGNAL) -> None:
        """Request the end of the run."""
        self.asked_by = by
        self._asked = True

    def clear(self) -> None:
        """Withdraw the request."""
        self._asked = False

    def is_set(self) -> bool:
        """Whether the end was requested."""
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Wait for a request or the timeout; return whether the end was requested.

        A request is noticed within 50 ms.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._asked:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(left_s, _STEP_S))
        return self._asked
