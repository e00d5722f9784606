"""What spead2 says of single packets, of which there may be thousands a second, said rarely."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass

AGAIN_S = 10.0
"""A message that goes on is let through again after this time, then after twice that, and so on."""
_OVERFLOW = "Log ringbuffer was full"
"""Says that there were too many messages, most of them of a level that is not shown."""


@dataclass
class _Kind:
    again_s: float
    pause_s: float = AGAIN_S
    held_back: int = 0


class Rarely(logging.Filter):
    """Lets a message through once, and again ever more rarely, with the number held back."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is let through; it then tells how many like it were not."""
        text = record.getMessage()
        if text.startswith(_OVERFLOW):
            return False
        now_s = time.monotonic()
        # What differs in numbers only is the same message.
        name = re.sub(r"\d+", "0", text)
        kind = self._kinds.get(name)
        if kind is None:
            self._kinds[name] = _Kind(now_s + AGAIN_S)
            return True
        kind.held_back += 1
        if now_s < kind.again_s:
            return False
        record.msg, record.args = f"{text} ({kind.held_back} times since the last such line)", None
        kind.held_back = 0
        kind.pause_s *= 2
        kind.again_s = now_s + kind.pause_s
        return True
