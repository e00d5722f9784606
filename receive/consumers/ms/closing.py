"""Sets that are complete and have to be closed: again and again, if their disk is in trouble.

A disk tells late what it could not keep of what it had taken.  It is asked in a thread of its own,
since that takes as long as it needs to write, and the next integrations come; a set is announced
when it has answered.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from receive.measurement_set.write.writer import SetWriter

logger = logging.getLogger(__name__)

MOST_SETS = 4
"""Each has its files open; those before the last of these are left to ms-recover."""
MOST_ASKED = 8
"""So many closed sets may wait for their disk, each with its files open."""


@dataclass
class ClosedSet:
    """A set that is to be closed, or was.

    Attributes
    ----------
    path
        What it is called; where it is, if it was moved.
    writer, history
        Its writer, and its last lines.
    with_data
        Integrations in it of which something had come.
    error
        Why it could not be closed when that was tried last.
    """

    path: Path
    writer: SetWriter
    history: Sequence[str]
    with_data: int
    error: OutputError | None = None


class Closing:
    """Closes sets, and announces each that is closed.

    Parameters
    ----------
    announce
        Called with each set that was closed, in a thread of its own.

    Attributes
    ----------
    damaged
        Integrations in sets of which their disk could not keep all.
    """

    def __init__(self, announce: Callable[[ClosedSet], None]) -> None:
        self.damaged = 0
        self._announce = announce
        self._sets: list[ClosedSet] = []
        self._wrong: list[str] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ms-closed")
        self._asked: deque[Future[None]] = deque()

    def close(self, closed: ClosedSet) -> None:
        """Close a set, now or when that is possible."""
        self._sets.append(closed)
        self.try_again()
        while len(self._sets) > MOST_SETS:
            self._leave(self._sets.pop(0))

    def try_again(self) -> None:
        """Close those that could not be closed before."""
        for each in list(self._sets):
            before = each.writer.path
            try:
                each.writer.close(history=each.history, leave=False)
            except OutputError as error:
                if each.error is None:
                    logger.warning("%s; it cannot be closed yet: it is tried again", error)
                each.error = type(error)(str(error))
                continue
            if each.writer.path != before:
                each.path = each.writer.path
            self._sets.remove(each)
            while len(self._asked) >= MOST_ASKED:
                self._asked.popleft().result()
            self._asked.append(self._thread.submit(self._settle, each))

    def end(self) -> list[str]:
        """Leave what cannot be closed to ms-recover; return what went wrong with sets, in lines."""
        while self._sets:
            self._leave(self._sets.pop())
        while self._asked:
            self._asked.popleft().result()
        self._thread.shutdown()
        return self._wrong

    def _settle(self, each: ClosedSet) -> None:
        try:
            each.writer.sync()
        except OutputError as error:
            self.damaged += each.with_data
            self._complain(
                f"{error}: of its {each.with_data} integrations some may be damaged, since the "
                f"disk had taken them and could not keep all"
            )
        finally:
            each.writer.leave()
        self._announce(each)

    def _leave(self, each: ClosedSet) -> None:
        each.writer.leave()
        self._complain(f"{each.path} could not be closed ({each.error}): ms-recover closes it")

    def _complain(self, line: str) -> None:
        logger.error("%s", line)
        self._wrong.append(line)
