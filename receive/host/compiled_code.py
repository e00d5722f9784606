"""Compiled code that an image brings along: found where it fits, added to where it does not.

numba keeps what it compiled by the name and the features of the processor, and needs a folder that
it can write to.  An image is built on one machine, runs on others, and its file system may be
read-only.  So it has its code made for whole levels of processors (x86-64-v2, -v3), which any
machine of that level can use, and at the first import a copy is made that numba can add to.
Without an image (`PREPARED` not set) numba does as it always does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

__all__ = ["PREPARED", "levels_of_this_machine", "use_prepared"]

PREPARED = "VIS_RECEIVE_COMPILED"
"""Environment variable: the folder that has a folder of compiled code for each level."""

# Best first; the flags as Linux names them in /proc/cpuinfo, each level has those of the one below
# (x86-64 psABI, "Micro-Architecture Levels"; lzcnt is called abm there).  There is no -v4: what is
# compiled moves memory, and vectors of 512 bits made it no faster (docs/howto/images.md).
_V2 = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})
_V3 = frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"})
_LEVELS = {"x86-64-v3": _V2 | _V3, "x86-64-v2": _V2}

_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_BYTES = 16384  # the first processor's entry: the others are of the same level


def levels_of_this_machine() -> list[str]:
    """Return the names of the processor levels that this machine has, the best first."""
    flags: set[str] = set()
    with contextlib.suppress(OSError), _CPUINFO.open() as cpuinfo:
        for line in cpuinfo.read(_CPUINFO_BYTES).splitlines():
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                break
    return [name for name, needed in _LEVELS.items() if needed <= flags]


def use_prepared() -> None:
    """Make numba start with the image's compiled code, before it is imported.

    Leaves everything as it is where a cache folder or a processor was chosen already, or where
    nothing fits.
    """
    environment = os.environ
    prepared = environment.get(PREPARED)
    if not prepared or "NUMBA_CACHE_DIR" in environment or "NUMBA_CPU_NAME" in environment:
        return
    for level in levels_of_this_machine():
        source = Path(prepared, level)
        if source.is_dir():
            break
    else:
        return
    with contextlib.suppress(OSError):  # no writable folder at all: numba will say so
        environment["NUMBA_CACHE_DIR"] = str(_copy(source))
        environment["NUMBA_CPU_NAME"] = level
        environment["NUMBA_CPU_FEATURES"] = ""


def _copy(source: Path) -> Path:
    """Return a folder of this user's own with the compiled code, made once for all processes."""
    folder = Path(tempfile.gettempdir(), f"vis-receive-{os.geteuid()}-{source.name}")
    if _is_ours(folder):
        return folder
    # Complete or not there at all: containers of a pod may begin at the same time.
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    shutil.copytree(source, work, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for path in [work, *work.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)  # the image's are read-only
    try:
        work.rename(folder)
    except OSError:
        if not _is_ours(folder):  # somebody else's, and numba runs what it finds there
            return work
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
