"""How long things took the last time, for whoever waits for them again."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Took:
    """Durations by name, kept in a file.

    Parameters
    ----------
    path
        Made when the first is noted; one that cannot be read counts as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def last_time(self, name: str) -> str:
        """Return ``, 114 s last time``, or nothing for what was never noted."""
        seconds = self._read().get(name)
        return "" if seconds is None else f", {seconds:.0f} s last time"

    def note(self, name: str, seconds: float) -> None:
        """Write down how long something took."""
        # Those who build hold a lock.
        self._path.write_text(json.dumps(self._read() | {name: seconds}))

    def _read(self) -> dict[str, float]:
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(self._path.read_text())
            if isinstance(content, dict):
                return {name: float(seconds) for name, seconds in content.items()}
        return {}
