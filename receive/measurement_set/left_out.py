"""What a model has and a new set goes without: told once, however many sets are made."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_told: set[str] = set()


def leave_out(text: str) -> None:
    """Warn of something that is left out, unless that was told before."""
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)
