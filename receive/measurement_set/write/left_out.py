"""What a model has and a new set goes without: decided and told once, however many sets are made.

A subtable that is left out is never touched again: some take casacore minutes, or its life.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from receive.model import ModelSource

log = logging.getLogger(__name__)

COPYING = "copying its subtable "
"""What is said of what is being done, before the name, so that a death there has a place."""

_told: set[str] = set()
_subtables: set[tuple[str, str]] = set()


def leave_out(text: str) -> None:
    """Warn of something that is left out, unless that was told before."""
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)


def leave_out_subtable(model: Path | ModelSource, name: str, reason: str) -> None:
    """Leave out a subtable of a model from now on."""
    _subtables.add((str(model), name))
    leave_out(f"{model}: its subtable {name} is left out: {reason}")


def is_left_out(model: Path | ModelSource, name: str) -> bool:
    """Tell whether a subtable was left out."""
    return (str(model), name) in _subtables


def subtables(model: Path | ModelSource) -> list[str]:
    """Return the subtables of a model that are left out."""
    return [name for path, name in sorted(_subtables) if path == str(model)]


def adopt(model: Path | ModelSource, names: list[str]) -> None:
    """Leave out what another process has left out, and told."""
    _subtables.update((str(model), name) for name in names)
