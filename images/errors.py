"""What ends a build with one line instead of a traceback."""

from __future__ import annotations

__all__ = ["BuildError"]


class BuildError(Exception):
    """Something that whoever builds can do something about; the message says what."""
