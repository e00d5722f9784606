"""Messages of spead2 about single packets: there may be thousands a second."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter, defaultdict

from receive.command.rate_limit import RateLimit

_OVERFLOW = "Log ringbuffer was full"
"""Says that there were too many messages, most of them of a level that is not shown."""


class Rarely(logging.Filter):
    """Rate-limits each message that spead2 repeats, with the number suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self._limits: defaultdict[str, RateLimit] = defaultdict(RateLimit)
        self._suppressed: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message passes; it then tells how many like it did not."""
        text = record.getMessage()
        if text.startswith(_OVERFLOW):
            return False
        # What differs in numbers only is the same message.
        name = re.sub(r"\d+", "0", text)
        first = name not in self._limits
        if not self._limits[name].is_due(time.monotonic()):
            self._suppressed[name] += 1
            return False
        if not first:
            times = self._suppressed.pop(name, 0) + 1
            record.msg, record.args = f"{text} ({times} times since the last such line)", None
        return True
