"""Memory limit of this process: that of its control group, or the machine's memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def memory_limit_bytes(
    cgroups: Path = _CGROUPS, own_cgroups: Path = _OWN_CGROUPS, physical_bytes: int | None = None
) -> int:
    """Return the memory limit of this process.

    It is the smallest of the physical memory and the limits of its control group (version 1 or 2)
    and of the groups above it.

    Parameters
    ----------
    cgroups
        Mount point of the control groups.
    own_cgroups
        List of the groups of this process, ``/proc/self/cgroup``.
    physical_bytes
        Memory of the machine; None to ask the system.
    """
    if physical_bytes is None:
        physical_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical_bytes, *_limits(cgroups, own_cgroups)])


def _limits(cgroups: Path, own_cgroups: Path) -> Iterator[int]:
    for line in _read(own_cgroups).splitlines():
        # "hierarchy:controllers:path"; version 2 is hierarchy 0 and names no controllers.
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0":
            yield from _limits_up(cgroups, group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_up(cgroups / "memory", group, "memory.limit_in_bytes")


def _limits_up(mount: Path, group: str, file: str) -> Iterator[int]:
    """Yield the limits of a group and of all groups above it.

    In a container the path can be that of the host, of which only the root is mounted.
    """
    folder = mount / group.lstrip("/")
    while folder != mount and mount in folder.parents:
        yield from _limit(folder / file)
        folder = folder.parent
    yield from _limit(mount / file)


def _limit(file: Path) -> Iterator[int]:
    text = _read(file).strip()
    if text.isdigit() and int(text) > 0:  # "max" is no limit
        yield int(text)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
