"""Files that appear whole: whoever sees one sees all of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, and rename it into that; what was there is replaced.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left then, and what was there stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
