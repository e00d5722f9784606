"""Attempts at one observation: a receiver that takes the place of another writes beside it.

A pod that is lost is replaced by one that finds on the claim what its predecessor wrote.  That is
kept as it is, closed integrations and all.  A predecessor that still lives, on a node that nobody
hears of, holds the lock of its name: it has an attempt of its own too.
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
    """Return the configuration of the first attempt of which there is nothing, and its number.

    The sets of attempt 2 of ``vis.ms`` begin with ``vis-a2``; those of attempt 0 with ``vis``.

    Parameters
    ----------
    config
        Of the observation.
    """
    base = Path(config.reception.outputfilename)
    number, tried = 0, config
    while _has_left_something(tried) or held_by(base_path(tried)):
        number += 1
        tried = config.with_values({_OUTPUT: str(attempt_path(base, number))}, "--next-attempt")
    return tried, number


def attempt_path(path: Path, attempt: int) -> Path:
    """Return what a file of an attempt is called."""
    return path.with_name(f"{path.stem}-a{attempt}{path.suffix}") if attempt else path


def _has_left_something(config: Config) -> bool:
    name, folder = possible_names(config), Path(config.reception.outputfilename).parent
    # A missing folder is refused where the outputs are checked.
    return folder.is_dir() and any(name.fullmatch(entry.name) for entry in folder.iterdir())
