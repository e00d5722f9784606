"""Rate limit for spead2's messages about single packets, of which thousands a second may come."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter, defaultdict

from receive.command.rate_limit import RateLimit

_OVERFLOW = "Log ringbuffer was full"
"""spead2's message that its log buffer overflowed, mostly with messages below the level shown."""


class Rarely(logging.Filter):
    """Rate-limits each repeated message of spead2, and adds the number suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self._limits: defaultdict[str, RateLimit] = defaultdict(RateLimit)
        self._suppressed: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message passes; append to it how many like it were suppressed."""
        text = record.getMessage()
        if text.startswith(_OVERFLOW):
            return False
        # Messages that differ only in numbers count as the same.
        name = re.sub(r"\d+", "0", text)
        first = name not in self._limits
        if not self._limits[name].is_due(time.monotonic()):
            self._suppressed[name] += 1
            return False
        if not first:
            times = self._suppressed.pop(name, 0) + 1
            record.msg, record.args = f"{text} ({times} times since the last such line)", None
        return True
