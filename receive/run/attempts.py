"""Attempts at one observation: a replacement receiver writes next to the output of the first.

A pod that replaces a lost one finds its predecessor's output on the volume claim and leaves it
unchanged.  A predecessor that still runs, on a node that cannot be reached, holds the lock of its
output name; its attempt counts as used too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from receive.consumers.ms.names import base_path, possible_names
from receive.measurement_set.write.name_lock import held_by

if TYPE_CHECKING:
    from receive.config import Config

_OUTPUT = "reception.outputfilename"


def next_attempt(config: Config) -> tuple[Config, int]:
    """Return the configuration and the number of the first attempt without output or lock.

    The sets of attempt 2 of ``vis.ms`` begin with ``vis-a2``; those of attempt 0 with ``vis``.
    """
    base = Path(config.reception.outputfilename)
    number, tried = 0, config
    while _has_left_something(tried) or held_by(base_path(tried)):
        number += 1
        tried = config.with_values({_OUTPUT: str(attempt_path(base, number))}, "--next-attempt")
    return tried, number


def attempt_path(path: Path, attempt: int) -> Path:
    """Return the name that a file has in an attempt."""
    return path.with_name(f"{path.stem}-a{attempt}{path.suffix}") if attempt else path


def _has_left_something(config: Config) -> bool:
    name, folder = possible_names(config), Path(config.reception.outputfilename).parent
    # The output checks refuse a missing folder.
    return folder.is_dir() and any(name.fullmatch(entry.name) for entry in folder.iterdir())
