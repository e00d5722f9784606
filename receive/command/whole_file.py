"""Files that are written atomically: a reader never sees a part of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it into place, replacing an existing file.

    Raises
    ------
    OSError
        If it cannot be written; the temporary file is removed and an existing file is kept.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
