"""The wish that a run end, as a signal handler may express it."""

from __future__ import annotations

import time

from receive.command.ending import EndedBy

_STEP_S = 0.05


class StopRequest:
    """Asks a run to end; may be set in a signal handler.

    A `threading.Event` must not be: its lock is not re-entrant, and a handler that runs in the
    thread that is just then waiting for the event waits for that lock for ever.
    """

    def __init__(self) -> None:
        self._asked = False
        self.asked_by = EndedBy.SIGNAL
        """Who was the last to ask for the end."""

    def set(self, by: EndedBy = EndedBy.SIGNAL) -> None:
        """Ask for the end."""
        self.asked_by = by
        self._asked = True

    def clear(self) -> None:
        """Forget that the end was asked for."""
        self._asked = False

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Wait until the end is asked for, or the time is over; return whether it was asked for.

        A signal is noticed within 50 ms.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._asked:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(left_s, _STEP_S))
        return self._asked
