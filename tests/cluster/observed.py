"""What of an observation is in the sets that it left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from receive.measurement_set.read.reader import open_set
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
    name = re.compile(rf"{re.escape(stem)}-p([0-9]+)\.ms")
    found = {
        int(match[1]): path for path in folder.iterdir() if (match := name.fullmatch(path.name))
    }
    assert sorted(found) == list(range(1, len(found) + 1)), f"sets are missing: {sorted(found)}"
    if not found:
        return 0
    ok("ms-recover", *found.values())
    times_s = []
    for number in sorted(found):
        with open_set(found[number]) as reader:
            times_s.append(reader.model().times_mjd_s)
    steps_s = np.diff(np.concatenate(times_s))
    assert np.allclose(steps_s, steps_s[0]), f"integrations are missing between others: {steps_s}"
    return len(steps_s) + 1
