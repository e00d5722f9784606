"""When each dump is sent, and which time it carries."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.icd.times import ticks_from_mjd_s

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from receive.model import TelescopeModel

logger = logging.getLogger(__name__)

# A sender that is late by less than this has been held up, and soon catches up; every wait of an
# operating system that is busy with something else would be reported otherwise.
_LATE_S = 1.0


@dataclass(frozen=True, eq=False)
class Schedule:
    """The dumps of a run: `integrations` of a set, each sent `repeats` times.

    Parameters
    ----------
    times_mjd_s, intervals_s : ndarray of float64, (times,)
        Centres and lengths of all integrations that the model holds, also those not sent.
    integrations : int
        How many of them are sent.
    repeats : int
        How often the data of each are sent.
    repeat_same_time : bool
        Whether repeats carry the time of their integration.  Otherwise times go on: dump k
        carries the model's k-th time, and past the last one the times go on in steps of the last
        interval.
    time_interval_s : float
        Above 0 the seconds from one dump to the next; 0 for the spacing of the times that the
        dumps carry; below 0 for no schedule at all.
    """

    times_mjd_s: NDArray[np.float64]
    intervals_s: NDArray[np.float64]
    integrations: int
    repeats: int = 1
    repeat_same_time: bool = False
    time_interval_s: float = 0.0

    def __post_init__(self) -> None:
        # Fails here, not in the middle of a run, if a time is beyond what a heap can carry.
        for dump in (0, self.dumps - 1):
            ticks_from_mjd_s(self.time_mjd_s(dump))

    @classmethod
    def of(
        cls,
        model: TelescopeModel,
        *,
        integrations: int,
        repeats: int,
        repeat_same_time: bool,
        time_interval_s: float,
    ) -> Schedule:
        """Return the schedule of a model's first `integrations`."""
        return cls(
            model.times_mjd_s,
            model.intervals_s,
            integrations,
            repeats,
            repeat_same_time,
            time_interval_s,
        )

    @property
    def dumps(self) -> int:
        """Number of dumps in all."""
        return self.integrations * self.repeats

    def time_mjd_s(self, dump: int) -> float:
        """Return the time that a dump carries: its centre, MJD seconds, UTC."""
        index = dump // self.repeats if self.repeat_same_time else dump
        beyond = index - (len(self.times_mjd_s) - 1)
        if beyond <= 0:
            return float(self.times_mjd_s[index])
        # From the last time each time, not from the previous one: rounding must not add up.
        return float(self.times_mjd_s[-1] + beyond * self.intervals_s[-1])

    @property
    def paced(self) -> bool:
        """Whether dumps wait for their time."""
        return self.time_interval_s >= 0

    def offset_s(self, dump: int) -> float:
        """Return how long after the first dump this one is due, in seconds."""
        if self.time_interval_s > 0:
            return dump * self.time_interval_s
        return self.time_mjd_s(dump) - self.time_mjd_s(0) if self.paced else 0.0


class Pacer:
    """Waits for the moments of a schedule, counted from when the first dump is sent.

    Moments are absolute: what one dump is late does not make the next ones late.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._start_s: float | None = None
        self._warned = False

    async def wait(self, dump: int, stop: asyncio.Event) -> bool:
        """Wait until a dump is due; return False, at once, if `stop` is set before."""
        now_s = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now_s - self._schedule.offset_s(dump)
        wait_s = self._start_s + self._schedule.offset_s(dump) - now_s
        if wait_s > 0 and not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), wait_s)
            except TimeoutError:
                return True
        elif self._schedule.paced and wait_s < -_LATE_S and not self._warned:
            self._warned = True
            logger.warning(
                "Dump %d is %.1f s late: transmission.rate, this machine or the receiver is too "
                "slow for the schedule; dumps are sent as soon as they can be",
                dump,
                -wait_s,
            )
        return not stop.is_set()
