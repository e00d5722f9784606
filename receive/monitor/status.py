"""What the receiver tells of itself, and what others ask: the one place where both meet.

The collector's thread tells, those of requests ask.  What passes between them is replaced as a
whole and never changed, so that neither waits for the other.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from receive.command.ending import EndedBy

if TYPE_CHECKING:
    from receive.command.stop import StopRequest
    from receive.monitor.snapshot import Snapshot

HUNG_S = 5.0
"""A collector looks a hundred times a second; one that has not for so long does so no more."""
SNAPSHOT_EVERY_S = 1.0


class State(StrEnum):
    """Where a run is, in order."""

    STARTING = "starting"
    RECEIVING = "receiving"
    CLOSING = "closing"
    ENDED = "ended"


@dataclass(frozen=True)
class View:
    """What is known of a run when somebody asks.

    Attributes
    ----------
    started
        When the run began, UTC.
    round_age_s
        How long ago the collector was at work; None while it need not be.
    snapshot
        None before packets could come.
    """

    state: State
    started: datetime
    round_age_s: float | None
    snapshot: Snapshot | None

    @property
    def trouble(self) -> str | None:
        """What is wrong with the process, None if nothing is."""
        if self.round_age_s is None or self.round_age_s <= HUNG_S:
            return None
        return f"hung while {self.state}: no round of the collector for {self.round_age_s:.1f} s"

    @property
    def not_ready(self) -> str | None:
        """Why packets cannot come, None if they can."""
        match self.state:
            case State.STARTING:
                return "starting: packets cannot come yet"
            case State.RECEIVING:
                return self.trouble
            case State.CLOSING:
                return "closing: nothing is received any more"
            case State.ENDED:
                return "ended: everything is closed"


class Status:
    """Where a run is, and how it stood when it was last looked at.

    Parameters
    ----------
    stop
        Set when somebody asks for the end.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.started = datetime.now(UTC)
        self._stop = stop
        self._state = State.STARTING
        self._beat_s = 0.0
        self._due_s = 0.0
        self._snapshot: Snapshot | None = None
        # Between the asking for the end and the end alone.
        self._ending = threading.Lock()

    # --- for the receiver ------------------------------------------------------------------------

    def receive(self) -> None:
        """Packets can come from now on."""
        self._beat_s = time.monotonic()
        self._state = State.RECEIVING

    def beat(self, now_s: float) -> bool:
        """Take note that the collector is at work; return whether a snapshot is due."""
        self._beat_s = now_s
        return now_s >= self._due_s and self._state is not State.STARTING

    def show(self, snapshot: Snapshot) -> None:
        """Take over how the run stands."""
        self._snapshot = snapshot
        self._due_s = snapshot.taken_s + SNAPSHOT_EVERY_S

    def close(self) -> None:
        """Nothing is received any more."""
        with self._ending:
            self._beat_s = time.monotonic()
            self._state = State.CLOSING

    def end(self, snapshot: Snapshot) -> None:
        """Everything is closed."""
        self._snapshot = snapshot
        self._state = State.ENDED

    # --- for those who ask -----------------------------------------------------------------------

    def view(self) -> View:
        """Return what is known now."""
        state = self._state
        watched = state in {State.RECEIVING, State.CLOSING}
        age_s = max(0.0, time.monotonic() - self._beat_s) if watched else None
        return View(state, self.started, age_s, self._snapshot)

    def ask_to_stop(self) -> bool:
        """Ask for the end; False if the end has begun already.

        To ask once more would end the commands for closed sets, as a second signal does.
        """
        with self._ending:
            if self._state in {State.CLOSING, State.ENDED}:
                return False
            self._stop.set(EndedBy.STOPPED)
            return True
