"""Which beds there are on this machine, and what they share of it.

A bed's owner holds a lock on its number for as long as it lives.  A number that is written down
and not locked is that of a bed whose owner was killed: whoever comes next cleans up after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from testbed import cgroups, network
from testbed.addresses import NUMBERS, Addresses
from testbed.errors import BedError
from testbed.node import MOUNTED
from testbed.places import REGISTRY
from testbed.processes import LEDGER, written_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What the kubelet sets for the whole machine, and the forwarding that pods need to get out.
SYSCTLS = (
    "net.ipv4.ip_forward",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
# Of a run folder: what tells later why something failed, and that the folder is a bed's.
KEPT = ("logs", LEDGER)


@dataclass
class Claim:
    """A number that is this process's own until it is released.

    Attributes
    ----------
    addresses
        What comes with it.
    """

    addresses: Addresses
    lock: IO[str]


def claim(
    folder: Path | None, default: Callable[[int], Path], *, attached: bool
) -> tuple[Claim, Path]:
    """Take the first free number, cleaning up after dead beds on the way.

    Parameters
    ----------
    folder
        Run folder of the new bed.
    default
        Function that gives one by the number, where there is none.
    attached
        Whether the bed is a test run's, which ends it.

    Raises
    ------
    BedError
        When all numbers are taken, by beds or by networks of the host.
    """
    REGISTRY.mkdir(exist_ok=True)
    with _registry():
        clean_up_dead()
        taken = network.routes()
        for number in NUMBERS:
            addresses = Addresses(number)
            lock = _lock(number)
            if lock is None:
                continue
            if any(addresses.overlaps(route) for route in taken):
                lock.close()
                continue
            _save_host()
            own = folder or default(number)
            _entry(number).write_text(
                json.dumps({"folder": str(own), "pid": os.getpid(), "attached": attached})
            )
            return Claim(addresses, lock), own
    raise BedError("no free addresses for a cluster: end another one (make cluster-down)")


def release(claimed: Claim) -> None:
    """End all that is left of a bed, and give its number back."""
    with _registry():
        _clean_up(claimed.addresses.number)
        claimed.lock.close()
        _restore_host()


def clean_up_dead() -> list[int]:
    """Clean up after beds whose owner was killed; return their numbers.

    The registry must be locked.
    """
    cleaned = []
    for number in written():
        lock = _lock(number)
        if lock is not None:
            with lock:
                _clean_up(number)
            cleaned.append(number)
    _restore_host()
    return cleaned


def sweep() -> list[int]:
    """Clean up after dead beds, from outside; return their numbers."""
    if not REGISTRY.exists():
        return []
    with _registry():
        return clean_up_dead()


def written() -> dict[int, dict[str, Any]]:
    """Return number to run folder and owner of all beds, dead ones too."""
    found = {}
    for number in NUMBERS:
        with contextlib.suppress(FileNotFoundError, ValueError):
            found[number] = json.loads(_entry(number).read_text())
    return found


def is_alive(number: int) -> bool:
    """Whether somebody owns a number."""
    lock = _lock(number)
    if lock is not None:
        lock.close()
    return lock is None


def _clean_up(number: int) -> None:
    entry = written().get(number)
    if entry is None:
        return
    addresses = Addresses(number)
    # First those that would start others anew.
    for process in written_down(Path(entry["folder"])):
        if process.pid != os.getpid():
            process.send(signal.SIGKILL)
    cgroups.end_all(addresses.name)
    network.disconnect(addresses)
    cgroups.leave(addresses.name)
    cgroups.remove(addresses.name)
    folder = Path(entry["folder"])
    # A folder that was refused, since it holds something else, has no ledger.
    if (folder / LEDGER).exists():
        for left in folder.iterdir():
            if left.name not in KEPT:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    _entry(number).unlink()


def _entry(number: int) -> Path:
    return REGISTRY / f"{number}.json"


def _lock(number: int) -> IO[str] | None:
    """Lock a number; None when somebody has it."""
    file = (REGISTRY / f"{number}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def _registry() -> Iterator[None]:
    with (REGISTRY / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _host_file() -> Path:
    return REGISTRY / "host.json"


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def _save_host() -> None:
    """Note how the machine was before the first bed, and prepare it."""
    if not _host_file().exists():
        sysctls = {name: _sysctl(name).read_text() for name in SYSCTLS if _sysctl(name).exists()}
        folders = [folder for path in MOUNTED for folder in _absent(Path(path))]
        _host_file().write_text(json.dumps({"sysctls": sysctls, "folders": folders}))
    for path in MOUNTED:
        Path(path).mkdir(parents=True, exist_ok=True)
    _sysctl("net.ipv4.ip_forward").write_text("1")


def _absent(path: Path) -> list[str]:
    """Return the folders that are to be made for a path, innermost first."""
    return [str(folder) for folder in (path, *path.parents) if not folder.exists()]


def _restore_host() -> None:
    """Make the machine what it was, when the last bed has gone."""
    if written() or not _host_file().exists():
        return
    noted = json.loads(_host_file().read_text())
    for name, value in noted["sysctls"].items():
        if _sysctl(name).read_text() != value:
            _sysctl(name).write_text(value)
    for folder in noted["folders"]:
        # Somebody else may use them by now.
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    _host_file().unlink()
