"""Usual gaps between arrivals, and the silence after which a scan counts as over."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY = 0.8
"""Factor by which the remembered gap decays at each arrival."""
QUIET_GAPS = 3.0
"""Silence, in usual gaps, after which a scan counts as over."""
BRIEF_GAPS = 2.0
"""The same with further evidence of the end."""
LEAST_QUIET_S = 0.5
"""Lower bound of `quiet_s`: a sender on a busy machine may pause this long."""
LEAST_BRIEF_S = 0.25
TOGETHER_S = 0.02
"""Assumed gap of consecutive integrations that arrived between two passes."""
HELD_UP_S = 0.1
"""A pass this long after the last one is late: the collector itself was held up."""
MOST_QUIET_S = 5.0
"""Upper bound of `quiet_s`, except for integrations that are themselves this long."""


@dataclass
class Pace:
    """Follows the gaps between arrivals of heaps.

    Parameters
    ----------
    interval_s
        Length of an integration: the gap of a sender that sends in real time.

    Attributes
    ----------
    moved_s
        When a believed heap last arrived, monotonic.
    """

    interval_s: float
    moved_s: float = 0.0
    _gap_s: float = 0.0
    _looked_s: float = 0.0

    def looked(self, now_s: float) -> float:
        """Record a pass; return the time for which the collector was held up, else 0.

        That time does not count as silence.
        """
        since_s, self._looked_s = now_s - self._looked_s, now_s
        if since_s <= HELD_UP_S or since_s == now_s:
            return 0.0
        if self.moved_s:
            self.moved_s += since_s
        return since_s

    def moved(self, now_s: float) -> None:
        """Record an arrival."""
        if self.moved_s:
            self._gap_s = max(now_s - self.moved_s, MEMORY * self._gap_s)
        self.moved_s = now_s

    def came_together(self) -> None:
        """Record that consecutive integrations arrived together: faster than real time."""
        self._gap_s = self._gap_s or TOGETHER_S

    def resumed(self, now_s: float) -> None:
        """Record an arrival after a wait for other entries to agree, which is no usual gap."""
        self.moved_s = now_s

    @property
    def quiet_s(self) -> float:
        """Silence after which a scan counts as over."""
        most_s = max(QUIET_GAPS * self.interval_s, MOST_QUIET_S)
        return min(max(QUIET_GAPS * self._usual_gap_s, LEAST_QUIET_S), most_s)

    @property
    def long_s(self) -> float:
        """The same with less evidence of the end."""
        return max(QUIET_GAPS * self.interval_s, MOST_QUIET_S)

    @property
    def brief_s(self) -> float:
        """The same with further evidence of the end."""
        return min(max(BRIEF_GAPS * self._usual_gap_s, LEAST_BRIEF_S), self.quiet_s)

    @property
    def _usual_gap_s(self) -> float:
        return self._gap_s or self.interval_s
