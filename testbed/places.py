"""Where the bed keeps what it builds and what it runs; never in the checkout."""

from __future__ import annotations

import os
from pathlib import Path

# One list of beds for the whole machine, since addresses and control groups are the machine's.
REGISTRY = Path("/run/vis-receive-bed")
SOURCES = Path(__file__).resolve().parent / "go"


def cache_folder() -> Path:
    """Return the folder for what is worth keeping between runs."""
    if chosen := os.environ.get("VIS_RECEIVE_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vis-receive"


def builds_folder() -> Path:
    """Return the folder of the built binaries."""
    return cache_folder() / "cluster"


def run_folder(number: int) -> Path:
    """Return the folder of a running bed that was given none."""
    return builds_folder() / "run" / str(number)
