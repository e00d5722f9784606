"""Rate limit of a repeated message: logged at once, then after 10, 20, 40 s and so on."""

from __future__ import annotations

FIRST_AGAIN_S = 10.0
"""Pause before the first repetition; each later pause is twice the one before."""


class RateLimit:
    """Decides whether one message, or one kind of message, is logged again."""

    def __init__(self) -> None:
        self._again_s = 0.0
        self._pause_s = FIRST_AGAIN_S

    def is_due(self, now_s: float) -> bool:
        """Return whether the message may be logged now; if so, double the pause before the next."""
        if now_s < self._again_s:
            return False
        self._again_s = now_s + self._pause_s
        self._pause_s *= 2
        return True
