"""How fast integrations come, and how long nothing comes before something is over."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY = 0.8
"""What remains of the longest gap from one to the next, if that was shorter."""
QUIET_GAPS = 3.0
"""An observation that goes on brings something within so many gaps."""
BRIEF_GAPS = 2.0
"""The same where more speaks for its end than that nothing comes."""
LEAST_QUIET_S = 0.5
"""A sender on a busy machine may be held up so long."""
LEAST_BRIEF_S = 0.25
TOGETHER_S = 0.02
"""The gap between integrations that came between two looks."""
HELD_UP_S = 0.1
"""A look that comes so long after the last one is late."""
MOST_QUIET_S = 5.0
"""Nothing waits longer for what is over, unless integrations themselves take so long."""


@dataclass
class Pace:
    """Follows the gaps between moments at which heaps came.

    Parameters
    ----------
    interval_s
        What an integration takes, if the sender keeps to the times that it sends.

    Attributes
    ----------
    moved_s
        When something last came of what is believed, monotonic.
    """

    interval_s: float
    moved_s: float = 0.0
    _gap_s: float = 0.0
    _looked_s: float = 0.0

    def looked(self, now_s: float) -> float:
        """Note that it was looked at; return for how long nobody could look.

        That nothing was seen to come in that time says nothing.
        """
        since_s, self._looked_s = now_s - self._looked_s, now_s
        if since_s <= HELD_UP_S or since_s == now_s:
            return 0.0
        if self.moved_s:
            self.moved_s += since_s
        return since_s

    def moved(self, now_s: float) -> None:
        """Note that something has come."""
        if self.moved_s:
            self._gap_s = max(now_s - self.moved_s, MEMORY * self._gap_s)
        self.moved_s = now_s

    def came_together(self) -> None:
        """Note that integrations that follow each other came at one time: not at their own pace."""
        self._gap_s = self._gap_s or TOGETHER_S

    def resumed(self, now_s: float) -> None:
        """Note that something goes on for which others had to agree: that took its time."""
        self.moved_s = now_s

    @property
    def quiet_s(self) -> float:
        """How long nothing comes when it is taken to be over."""
        most_s = max(QUIET_GAPS * self.interval_s, MOST_QUIET_S)
        return min(max(QUIET_GAPS * self._usual_gap_s, LEAST_QUIET_S), most_s)

    @property
    def long_s(self) -> float:
        """The same where less speaks for the end."""
        return max(QUIET_GAPS * self.interval_s, MOST_QUIET_S)

    @property
    def brief_s(self) -> float:
        """The same where more speaks for the end than that nothing comes."""
        return min(max(BRIEF_GAPS * self._usual_gap_s, LEAST_BRIEF_S), self.quiet_s)

    @property
    def _usual_gap_s(self) -> float:
        return self._gap_s or self.interval_s
