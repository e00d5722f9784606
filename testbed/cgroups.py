"""Control groups of a bed: where all its processes are, containers included.

Whatever a bed starts is born in its groups and cannot leave them by forking, so that they are an
exact list of what must end, even after the bed's owner was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from testbed.errors import BedError

ROOT = Path("/sys/fs/cgroup")
# Of version 1, one hierarchy that nothing but the bed uses to count processes.
TRACKERS = ("freezer", "pids", "systemd")
DAEMONS = "daemons"
END_TIMEOUT_S = 30.0


def _is_unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """Return the mounted hierarchies: one of version 2, or each of version 1."""
    if _is_unified():
        return [ROOT]
    if not ROOT.is_dir():
        return []
    return sorted({path.resolve() for path in ROOT.iterdir() if (path / "cgroup.procs").exists()})


def _tracker() -> Path:
    if _is_unified():
        return ROOT
    for name in TRACKERS:
        if (ROOT / name / "cgroup.procs").exists():
            return ROOT / name
    raise BedError(f"no control groups in {ROOT}: the cluster needs them mounted")


def make(bed: str, nodes: list[str]) -> None:
    """Make the groups of a bed, of its daemons and of each node."""
    for hierarchy in hierarchies():
        of_nodes = [f"{bed}/{group}" for node in nodes for group in (node, daemons_of(node))]
        for group in (bed, f"{bed}/{DAEMONS}", *of_nodes):
            _make_one(hierarchy / group)


def daemons_of(node: str) -> str:
    """Return the group of a node's own daemons, and of the shims of its containers."""
    return f"{node}-{DAEMONS}"


def born_in(bed: str, group: str) -> tuple[str, ...]:
    """Return what to put before a command so that it begins in a group of a bed."""
    file = _tracker() / bed / group / "cgroup.procs"
    return ("sh", "-c", 'echo $$ > "$1"; shift; exec "$@"', "join", str(file))


def _make_one(group: Path) -> None:
    if _is_unified():
        # In a container the root may hold processes, and then delegates nothing.
        enabled = (group.parent / "cgroup.controllers").read_text().split()
        for controller in enabled:
            with contextlib.suppress(OSError):
                (group.parent / "cgroup.subtree_control").write_text(f"+{controller}")
    try:
        group.mkdir(exist_ok=True)
    except OSError as error:
        raise BedError(f"cannot make the control group {group}: {error.strerror}") from error
    for name in ("cpuset.cpus", "cpuset.mems"):
        # Version 1 begins with none, and refuses processes until there are some.
        if not _is_unified() and (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((group.parent / name).read_text())


def join(bed: str) -> None:
    """Move this process among the daemons of a bed; what it starts is born there."""
    (_tracker() / bed / DAEMONS / "cgroup.procs").write_text(str(os.getpid()))


def leave(bed: str) -> None:
    """Move this process back to where it came from, if it is in a bed's group."""
    own = _tracker() / bed / DAEMONS / "cgroup.procs"
    if own.exists() and str(os.getpid()) in own.read_text().split():
        (_tracker() / "cgroup.procs").write_text(str(os.getpid()))


def processes(bed: str) -> set[int]:
    """Return the ids of all processes of a bed but this one."""
    found: set[int] = set()
    # Unlike Path.rglob, os.walk bears with groups that go meanwhile.
    for group, _, _ in os.walk(_tracker() / bed):
        with contextlib.suppress(OSError):
            found |= set(map(int, (Path(group) / "cgroup.procs").read_text().split()))
    return found - {os.getpid()}


def end_all(bed: str) -> None:
    """Kill all processes of a bed, and wait until they are gone.

    Raises
    ------
    BedError
        When some do not end.
    """
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while remaining := processes(bed):
        if time.monotonic() > deadline_s:
            raise BedError(f"processes do not end: {sorted(remaining)}")
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def remove(bed: str) -> None:
    """Remove the groups of a bed, whose processes have ended."""
    for hierarchy in hierarchies():
        top = hierarchy / bed
        if top.exists():
            groups = [path for path in top.rglob("*") if path.is_dir()]
            for group in [*sorted(groups, key=lambda path: -len(path.parts)), top]:
                _remove_one(group)


def _remove_one(group: Path) -> None:
    # An ended process is still counted until its parent has asked for it.
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while group.exists():
        try:
            group.rmdir()
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise BedError(f"cannot remove {group}: {error.strerror}") from error
            time.sleep(0.02)
