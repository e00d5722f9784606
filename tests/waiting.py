"""Waiting for a condition, with a bound that only a defect reaches."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_S = 60.0
LOOK_EVERY_S = 0.003


def wait_until(condition: Callable[[], object], what: str = "", timeout_s: float = BOUND_S) -> None:
    """Wait for something that is only to be seen by looking again."""
    deadline_s = time.monotonic() + timeout_s
    never = threading.Event()
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain: {what}"
        never.wait(LOOK_EVERY_S)
