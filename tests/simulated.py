"""Sets made by ``emu-simulate``, each once for all tests of a run that ask for it."""

from __future__ import annotations

import fcntl
import hashlib
from typing import TYPE_CHECKING

from tests.commands import ok

if TYPE_CHECKING:
    from pathlib import Path


class SimulatedSets:
    """Gives simulated sets by the options of ``emu-simulate``.

    Parameters
    ----------
    folder
        Where they are; the processes of a test run share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, **options: object) -> Path:
        """Return the path of a set, which tests must not change.

        Parameters
        ----------
        options
            Those of the command: ``num_antennas=8`` for ``--num-antennas 8``, ``True`` for one
            without a value.
        """
        words = []
        for name, value in options.items():
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else [str(value)]
        key = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        made = self._folder / key / "simulated.ms"
        # Whoever else wants this one waits; other sets are made meanwhile.
        with (self._folder / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                made.parent.mkdir(exist_ok=True)
                unfinished = made.with_name("unfinished.ms")
                ok("emu-simulate", *words, "--overwrite", unfinished)
                unfinished.rename(made)
        return made
