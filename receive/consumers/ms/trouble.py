"""What a disk does not take: how long that lasts, what it costs, and when it is told."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

from receive.command.progress import format_seconds
from receive.command.rate_limit import RateLimit

if TYPE_CHECKING:
    from receive.command.errors import VisReceiveError

logger = logging.getLogger(__name__)

REST_FACTOR = 10
"""Nothing is tried that takes long for so many times as long as it took."""
_SET_GOES_ON = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def set_goes_on(error: VisReceiveError) -> bool:
    """Whether a set can go on when what its disk lacks is there again; else another one may."""
    return getattr(error.__cause__, "errno", None) in _SET_GOES_ON


class Trouble:
    """The time in which a disk takes nothing, from the first failure to the next success.

    Parameters
    ----------
    name
        The consumer's, for the log.
    retry_s
        How long it is tried again; 0 is for ever.

    Attributes
    ----------
    error
        What failed last; None if nothing has since the last success.
    """

    def __init__(self, name: str, retry_s: float) -> None:
        self.error: VisReceiveError | None = None
        self._name = name
        self._retry_s = retry_s
        self._since_s = 0.0
        self._lost = 0
        self._limit = RateLimit()

    def failed(self, error: VisReceiveError, lost: int = 1) -> None:
        """Note a failure that cost so many integrations.

        Raises
        ------
        VisReceiveError
            The error, if this has lasted longer than it is to be tried.
        """
        now_s = time.monotonic()
        if self.error is None:
            self._since_s, self._lost = now_s, 0
            self._limit = RateLimit()
        self.error = _bare(error)
        self._lost += lost
        lasted_s = now_s - self._since_s
        if self._retry_s and lasted_s > self._retry_s:
            raise error
        if not self._limit.is_due(now_s):
            return
        logger.warning(
            "%s: %s; %d integrations could not be written for %s, and are flagged in what "
            "follows: the next are tried again%s",
            self._name,
            error,
            self._lost,
            format_seconds(lasted_s),
            f" for {format_seconds(self._retry_s)}" if self._retry_s else "",
        )

    def over(self) -> None:
        """Note a success."""
        if self.error is None:
            return
        self.error = None
        logger.warning(
            "%s: writing again; %d integrations could not be written in %s",
            self._name,
            self._lost,
            format_seconds(time.monotonic() - self._since_s),
        )


class Rest:
    """Keeps what takes long, and may fail, from taking all the time."""

    def __init__(self) -> None:
        self._until_s = 0.0
        self._error: VisReceiveError | None = None

    def begin(self) -> float:
        """Return when it begins.

        Raises
        ------
        VisReceiveError
            What it failed with last, if that is not long ago.
        """
        now_s = time.monotonic()
        if self._error is not None and now_s < self._until_s:
            raise _bare(self._error)
        return now_s

    def failed(self, began_s: float, error: VisReceiveError) -> None:
        """Note that it failed."""
        now_s = time.monotonic()
        self._until_s, self._error = now_s + REST_FACTOR * (now_s - began_s), _bare(error)


def _bare(error: VisReceiveError) -> VisReceiveError:
    """Return an error without the calls it came from: they hold on to an integration's data."""
    return type(error)(str(error))
