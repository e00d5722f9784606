"""What of an observation is in the sets that it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.measurement_set.reader import open_set
from tests.commands import ok

if TYPE_CHECKING:
    from pathlib import Path


def integrations(folder: Path, stem: str) -> int:
    """Return how many integrations the parts of an attempt hold: all from its first one on.

    Parameters
    ----------
    folder
        Of the sets; what a crash left open in it is recovered.
    stem
        Their names are STEM-p1.ms, STEM-p2.ms and so on.
    """
    found = list(folder.glob(f"{stem}-p*.ms"))
    if not found:
        return 0
    ok("ms-recover", *found)
    times_s = []
    for number in range(1, len(found) + 1):
        with open_set(folder / f"{stem}-p{number}.ms") as reader:
            times_s.append(reader.model().times_mjd_s)
    steps_s = np.diff(np.concatenate(times_s))
    assert np.allclose(steps_s, steps_s[0]), f"integrations are missing between others: {steps_s}"
    return len(steps_s) + 1
