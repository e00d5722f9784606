"""How long the collector may sleep between two polls."""

from __future__ import annotations

import time

POLL_S = 0.01
POLL_SHORT_S = 0.001
"""Used when most buffers are in use and the free ones would not last for `POLLS_OF_ROOM` polls."""
POLLS_OF_ROOM = 4
RATE_MEMORY = 0.9
"""Factor by which the estimated rate may fall from one poll to the next."""


class Polling:
    """Tracks the rate at which buffers are taken.

    Parameters
    ----------
    dumps
        Buffers in the pool.
    """

    def __init__(self, dumps: int) -> None:
        self._dumps = dumps
        self._looked_s = 0.0
        self._taken = 0
        self._taken_per_s = 0.0

    def sleep_s(self, taken: int, free: int) -> float:
        """Return the time until the next poll.

        Parameters
        ----------
        taken
            Buffers taken since the start of the run.
        free
            Buffers free now.
        """
        now_s = time.monotonic()
        rate = (taken - self._taken) / max(now_s - self._looked_s, POLL_SHORT_S)
        self._looked_s, self._taken = now_s, taken
        self._taken_per_s = max(rate, RATE_MEMORY * self._taken_per_s)
        short = 2 * free < self._dumps and free <= 1 + POLLS_OF_ROOM * POLL_S * self._taken_per_s
        return POLL_SHORT_S if short else POLL_S
