"""Progress of a long command: a bar on a terminal, a log line every so often elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

logger = logging.getLogger(__name__)

_LINE_INTERVAL_S = 5.0
_FACTOR = 1024.0
_SHORTEST_S = 0.05
"""A shorter duration would be shown as 0.0 s."""


class Progress:
    """Context manager that shows the progress of a command.

    Shows a bar on a terminal; elsewhere logs a line at most every 5 s, and none for a command that
    takes less.  Safe to update from several threads.

    Parameters
    ----------
    description
        The activity, such as ``sending``.
    total
        Number of units in all; None if unknown.
    unit
        Unit counted, such as ``dumps``; ``B`` for bytes, which are shown as KiB, MiB, ...
    stream
        Where the bar is shown if this is a terminal; standard error by default.
    clock
        Monotonic clock, in seconds.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._note = ""
        self._bar: Any = None
        self._started_s = self._line_s = clock()

    def __enter__(self) -> Self:
        self._started_s = self._line_s = self._clock()
        if self._stream.isatty():
            from tqdm import tqdm  # noqa: PLC0415 (only a terminal needs it)

            self._bar = tqdm(
                desc=self._description,
                total=self._total,
                unit=self._unit if self._unit == "B" else f" {self._unit}",
                unit_scale=self._unit == "B",
                unit_divisor=int(_FACTOR),
                file=self._stream,
                dynamic_ncols=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def done(self) -> int:
        """Number of units done."""
        return self._done

    def update(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        with self._lock:
            self._done += n
            if self._bar is not None:
                self._bar.update(n)
                return
            now_s = self._clock()
            due = now_s - self._line_s >= _LINE_INTERVAL_S
            if due:
                self._line_s = now_s
        if due:
            logger.info("%s", self._line(now_s - self._started_s))

    def set_rate(self, bytes_per_s: float) -> None:
        """Show a data rate next to the count."""
        self.set_note(f"{format_bytes(bytes_per_s)}/s")

    def set_note(self, text: str) -> None:
        """Show a short text next to the count."""
        with self._lock:
            self._note = text
            if self._bar is not None:
                self._bar.set_postfix_str(text, refresh=False)

    def _line(self, elapsed_s: float) -> str:
        total = self._total
        per_s = self._done / elapsed_s if elapsed_s > 0 else 0.0
        if total is None:
            parts = [f"{self._description}: {self._count(self._done)}"]
        else:
            percent = 100 * self._done // total if total else 100
            done = self._count(self._done) if self._unit == "B" else self._done
            parts = [f"{self._description}: {done} of {self._count(total)} ({percent} %)"]
        parts.append(f"{self._count(per_s)}/s")
        if total is not None and 0 < self._done < total:
            parts.append(f"{format_seconds((total - self._done) / per_s)} left")
        if self._note:
            parts.append(self._note)
        return ", ".join(parts)

    def _count(self, number: float) -> str:
        if self._unit == "B":
            return format_bytes(number)
        return (
            f"{number:.3g} {self._unit}" if isinstance(number, float) else f"{number} {self._unit}"
        )


def format_bytes(number: float) -> str:
    """Format a number of bytes: ``12.3 MiB``."""
    for prefix in ("", "Ki", "Mi", "Gi", "Ti"):
        if abs(number) < _FACTOR or prefix == "Ti":
            break
        number /= _FACTOR
    return f"{number:.0f} B" if prefix == "" else f"{number:.1f} {prefix}B"


def format_amount(total_bytes: float, seconds: float) -> str:
    """Format an amount of data and its rate: ``12.3 MiB in 4.1 s (3.0 MiB/s)``.

    A duration under 0.05 s is too short for a meaningful rate: time and rate are then left out.
    """
    amount = format_bytes(total_bytes)
    if seconds < _SHORTEST_S:
        return amount
    return f"{amount} in {seconds:.1f} s ({format_bytes(total_bytes / seconds)}/s)"


def format_seconds(seconds: float) -> str:
    """Format a duration: ``42 s``, ``3 min 10 s``, ``2 h 5 min``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_rest} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
