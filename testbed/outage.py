"""A node that fails, with all that runs on it, and comes back."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from testbed import cgroups
from testbed.node import wait_for_containerd
from testbed.processes import Ledger, Started, written_down

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.addresses import Addresses


def fail(addresses: Addresses, node: str) -> None:
    """Kill a node's daemons and all its containers, as when it loses its power."""
    cgroups.end_all(f"{addresses.name}/{cgroups.daemons_of(node)}")
    cgroups.end_all(f"{addresses.name}/{node}")


def recover(folder: Path, binaries: Path, node: str) -> None:
    """Start the daemons of a node that has failed."""
    ledger = Ledger(folder)
    ledger.start_again(last(folder, f"{node}-containerd"))
    # A kubelet that does not find it ends.
    wait_for_containerd(last(folder, f"{node}-holder").pid, binaries)
    ledger.start_again(last(folder, f"{node}-kubelet"))


def restart(folder: Path, name: str) -> None:
    """End a daemon in order, and start it again."""
    process = last(folder, name)
    process.send(signal.SIGTERM)
    process.wait()
    Ledger(folder).start_again(process)


def last(folder: Path, name: str) -> Started:
    """Return the process that was started last by a name."""
    return [process for process in written_down(folder) if process.name == name][-1]
