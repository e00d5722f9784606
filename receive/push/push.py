"""Pushes sets: a free place for each, a copy, a comparison; again when that fails."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import PushError
from receive.command.progress import Progress, format_amount, format_bytes, format_seconds
from receive.download.fetch import backoff_s
from receive.push.rclone import DifferentError, Rclone, RcloneError, files_in

if TYPE_CHECKING:
    from pathlib import Path

    from receive.config.destination import Destination

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 3.0
"""With the default of five retries this rides out a remote that is away for a minute."""
_MOST_BESIDE = 1000


@dataclass(frozen=True)
class Pushed:
    """A set that is where it should be.

    Attributes
    ----------
    verified
        What was compared: ``hashes`` or ``contents``.
    beside
        Number of the place beside the wanted one that it went to; 0 if it did not.
    """

    path: Path
    destination: Destination
    files: int
    total_bytes: int
    seconds: float
    verified: str
    beside: int = 0

    def line(self) -> str:
        """Say what went where."""
        amount = format_amount(self.total_bytes, self.seconds)
        return f"pushed {self.path} to {self.destination.shown}: {amount}, {self.verified} compared"


def push_set(
    rclone: Rclone,
    path: Path,
    destination: Destination,
    attempt: int,
    *,
    retries: int,
    beside: int = 0,
) -> Pushed:
    """Push a set and see that it is there.

    Parameters
    ----------
    rclone
        With the configuration.
    path
        The set.
    destination
        Where it should go.  If something else is there already it goes beside it: nothing that
        somebody pushed is ever overwritten.
    attempt
        Of the receiver; names of places beside it count from there.
    retries
        How often it is tried again.
    beside
        Where an earlier set of the same run had to go: the sets of a run are told from another's by
        this number, so no later one takes a place without it.

    Raises
    ------
    PushError
        It could not be pushed, in so many attempts, or is not there as it is here.
    """
    started_s = time.monotonic()
    sizes = files_in(path)
    total_bytes = sum(sizes.values())
    job = _Job(rclone, path, destination, attempt, total_bytes)
    if beside:
        job.go_beside(beside)
    for number in range(1, retries + 2):
        try:
            way = job.attempt()
        except RcloneError as error:
            what = "is not there as it is here" if isinstance(error, DifferentError) else "failed"
            if number > retries:
                raise PushError(
                    f"{path} could not be pushed to {job.destination.shown}: attempt {number} of "
                    f"{retries + 1} {what}: {error}"
                ) from None
            wait_s = backoff_s(number, _FIRST_WAIT_S)
            logger.warning(
                "pushing %s: attempt %d of %d %s: %s; the next follows in %s",
                path.name,
                number,
                retries + 1,
                what,
                error,
                format_seconds(wait_s),
            )
            time.sleep(wait_s)
        else:
            seconds = time.monotonic() - started_s
            return Pushed(path, job.destination, len(sizes), total_bytes, seconds, way, job.beside)
    raise AssertionError("the last attempt returns or raises")


class _Job:
    """One set on its way."""

    def __init__(
        self, rclone: Rclone, path: Path, destination: Destination, attempt: int, total_bytes: int
    ) -> None:
        self._rclone = rclone
        self._path = path
        self._wanted = destination
        self._number = attempt
        self._total_bytes = total_bytes
        self._is_ours = False
        self._differed = False
        self.destination = destination
        self.beside = 0

    def go_beside(self, number: int) -> None:
        """Want the place of this number, beside the one that was wanted."""
        self._number = self.beside = number
        self.destination = self._wanted.with_suffix(f"-{number}")

    def attempt(self) -> str:
        """Try once; return what was compared."""
        if not self._is_ours and (way := self._find_place()):
            return way
        self._is_ours = True
        self._copy()
        try:
            return self._rclone.check(self._path, str(self.destination))
        except DifferentError:
            # What has the right size and time would not be sent again.
            self._differed = True
            raise

    def _find_place(self) -> str | None:
        """Find a place where nothing is; return what was compared if the set is there already."""
        while self._rclone.is_taken(str(self.destination)):
            try:
                way = self._rclone.check(self._path, str(self.destination))
            except DifferentError:
                shown = self.destination.shown
                if self._number >= _MOST_BESIDE:
                    raise
                self.go_beside(self._number + 1)
                logger.warning(
                    "there is something else at %s already, which stays as it is: trying %s",
                    shown,
                    self.destination.shown,
                )
            else:
                logger.info("%s is at %s already", self._path.name, self.destination.shown)
                return way
        return None

    def _copy(self) -> None:
        logger.info(
            "pushing %s, %s, to %s",
            self._path,
            format_bytes(self._total_bytes),
            self.destination.shown,
        )
        with Progress(f"pushing {self._path.name}", self._total_bytes, "B") as progress:
            self._rclone.copy(
                self._path,
                str(self.destination),
                lambda sent: progress.update(max(sent - progress.done, 0)),
                anew=self._differed,
            )
