"""Waiting for a condition, with a bound that only a defect reaches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_S = 60.0
LOOK_EVERY_S = 0.01


def wait_until(condition: Callable[[], object], what: str, bound_s: float = BOUND_S) -> None:
    """Look again and again until the condition holds; fail when the bound has passed."""
    never = threading.Event()
    for _ in range(round(bound_s / LOOK_EVERY_S)):
        if condition():
            return
        never.wait(LOOK_EVERY_S)
    raise AssertionError(f"waited {bound_s:g} s in vain until {what}")
