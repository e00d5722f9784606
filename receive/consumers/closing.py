"""Sets that are complete and have to be closed: again and again, if their disk is in trouble."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from receive.measurement_set.writer import SetWriter

logger = logging.getLogger(__name__)

MOST_SETS = 4
"""Each has its files open; those before the last of these are left to ms-recover."""


@dataclass
class _Set:
    path: Path
    writer: SetWriter
    history: Sequence[str]
    error: OutputError | None = None


class Closing:
    """Closes sets, and announces each that is closed.

    Parameters
    ----------
    announce
        Called with each set that was closed, and its integrations.
    """

    def __init__(self, announce: Callable[[Path, int], None]) -> None:
        self._announce = announce
        self._sets: list[_Set] = []
        self._left: list[str] = []

    def close(self, path: Path, writer: SetWriter, history: Sequence[str]) -> None:
        """Close a set, now or when that is possible.

        Parameters
        ----------
        path
            What it is called, unless it is moved.
        writer
            Of the set.
        history
            Its last lines.
        """
        self._sets.append(_Set(path, writer, history))
        self.try_again()
        while len(self._sets) > MOST_SETS:
            self._leave(self._sets.pop(0))

    def try_again(self) -> None:
        """Close those that could not be closed before."""
        for each in list(self._sets):
            before = each.writer.path
            try:
                each.writer.close(history=each.history)
            except OutputError as error:
                if each.error is None:
                    logger.warning("%s; it cannot be closed yet: it is tried again", error)
                each.error = type(error)(str(error))
            else:
                self._sets.remove(each)
                found = each.writer.path
                self._announce(each.path if found == before else found, each.writer.dumps_closed)

    def leave(self) -> list[str]:
        """Leave those that cannot be closed to ms-recover; return a line for each."""
        while self._sets:
            self._leave(self._sets.pop())
        return self._left

    def _leave(self, each: _Set) -> None:
        each.writer.leave()
        line = f"{each.path} could not be closed ({each.error}): ms-recover closes it"
        logger.error("%s", line)
        self._left.append(line)
