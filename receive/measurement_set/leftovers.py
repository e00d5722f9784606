"""What a killed receiver has left beside its sets, found and removed by the next of that name.

Only whoever holds the name's lock (`receive.measurement_set.name_lock`) may do that: then nobody
else makes any of it.  Trials hold a lock of their own, since they come before that.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_TRIAL_LOCK = "in-use"
_MOST_CHARACTERS = 100
"""Of a name, so that what is added to it still fits into a file's name."""


def remove_leftovers(path: Path, names: re.Pattern[str]) -> None:
    """Remove what a receiver that was killed has left; its sets stay.

    A set that was to be replaced, and whose place is empty, is put back.

    Parameters
    ----------
    path
        A set in the folder in question; its name is that of the trials.
    names
        What the names of its sets match.
    """
    temporary = re.compile(rf"\.(?P<name>{names.pattern})\.[0-9]+\.(?P<kind>new|old|probe)")
    trial = re.compile(rf"{re.escape(_trial_prefix(path))}[^.]+\.try")
    # The sets first that are to be put back.
    for entry in sorted(path.parent.iterdir(), key=lambda entry: entry.suffix != ".old"):
        if found := temporary.fullmatch(entry.name):
            place = path.with_name(found["name"])
            if found["kind"] == "old" and not place.exists():
                entry.rename(place)
                log.warning("%s is put back: a receiver was killed while it replaced it", place)
                continue
        elif not trial.fullmatch(entry.name) or not _is_left(entry):
            continue
        shutil.rmtree(entry, ignore_errors=True)
        log.info("Removed %s, which a receiver that was killed has left", entry)


def make_trial_folder(path: Path, folder: Path | None) -> tuple[Path, int]:
    """Make a folder for a trial.

    Parameters
    ----------
    path
        The set in question.
    folder
        Where; None: where temporary files are.

    Returns
    -------
    Path
        The folder.
    int
        A descriptor: as long as it is open nobody removes the folder.
    """
    made = Path(tempfile.mkdtemp(prefix=_trial_prefix(path), suffix=".try", dir=folder))
    held = os.open(made / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A file system without locks is told of elsewhere.
    with suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # One that is there is locked, or its process has ended.
    (made / ".lock").rename(made / _TRIAL_LOCK)
    return made, held


def _trial_prefix(path: Path) -> str:
    return f".{path.name[:_MOST_CHARACTERS]}."


def _is_left(folder: Path) -> bool:
    try:
        held = os.open(folder / _TRIAL_LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True
