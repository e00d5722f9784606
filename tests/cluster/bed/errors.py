"""What keeps a bed from being built or started, in one line that says what to do."""

from __future__ import annotations


class BedError(Exception):
    """The bed cannot be built or started."""
