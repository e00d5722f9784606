"""What a killed receiver has left beside its sets, found and removed by the next of that name.

Only whoever holds the name's lock (`write.name_lock`) may do that: then nobody
else makes any of it.  Trials, and tables that are made aside, hold a lock of their own.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from pathlib import Path

from receive.measurement_set.write.built_aside import remove_left_aside
from receive.measurement_set.write.try_folder import remove_left_try_folders

log = logging.getLogger(__name__)


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
    # The sets first that are to be put back.
    for entry in sorted(path.parent.iterdir(), key=lambda entry: entry.suffix != ".old"):
        if (found := temporary.fullmatch(entry.name)) is None:
            continue
        place = path.with_name(found["name"])
        if found["kind"] == "old" and not place.exists():
            entry.rename(place)
            log.warning("%s is put back: a receiver was killed while it replaced it", place)
            continue
        shutil.rmtree(entry, ignore_errors=True)
        log.info("Removed %s, which a receiver that was killed has left", entry)
    for folder in (path.parent, Path(tempfile.gettempdir())):
        remove_left_try_folders(folder, path.name)
    remove_left_aside()
