"""Compiled code shipped in a container image, copied into a cache that numba can extend.

numba's cache is keyed by the name and features of the processor and must be writable.  An image is
built on one machine, runs on others, and may be read-only.  So its code is compiled for processor
levels (x86-64-v2, -v3), which any machine of that level can run, and the first import copies it to
a writable folder.  Outside an image (`PREPARED` not set) numba's defaults apply.
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
"""Environment variable: the folder with one subfolder of compiled code per level."""

# Best first.  The flags have their names in /proc/cpuinfo, where lzcnt is abm; each level includes
# the one below (x86-64 psABI, "Micro-Architecture Levels").  There is no -v4: the compiled code
# moves memory, and 512-bit vectors did not make it faster (docs/howto/images.md).
_V2 = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})
_V3 = frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"})
_LEVELS = {"x86-64-v3": _V2 | _V3, "x86-64-v2": _V2}

_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_BYTES = 16384  # covers the first processor's entry; the others have the same level


def levels_of_this_machine() -> list[str]:
    """Return the processor levels that this machine supports, best first."""
    flags: set[str] = set()
    with contextlib.suppress(OSError), _CPUINFO.open() as cpuinfo:
        for line in cpuinfo.read(_CPUINFO_BYTES).splitlines():
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                break
    return [name for name, needed in _LEVELS.items() if needed <= flags]


def use_prepared() -> None:
    """Make numba use the image's compiled code; call before numba is imported.

    Does nothing if a cache folder or a processor is already configured, or no level fits.
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
    """Return this user's folder with a copy of the compiled code, shared by all processes."""
    folder = Path(tempfile.gettempdir(), f"vis-receive-{os.geteuid()}-{source.name}")
    if _is_ours(folder):
        return folder
    # Copied aside and renamed, since containers of a pod may start at the same time.
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    shutil.copytree(source, work, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for path in [work, *work.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)  # the image's are read-only
    try:
        work.rename(folder)
    except OSError:
        if not _is_ours(folder):  # another user's; numba would run whatever code it holds
            return work
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
