"""Devices that are none: the bed's device plugin, offering an RDMA resource on one node."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.build import binaries
from testbed.node import enter
from tests.cluster.release import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import LocalCluster

# What it puts into containers: bed/go/device-plugin/main.go.
VARIABLE = "VIS_RECEIVE_DEVICES"
DEVICE_FILE = "/dev/infiniband/uverbs0"
END_TIMEOUT_S = 10.0


@dataclass
class DevicePlugin:
    """A device plugin on a node, as a daemon set would run it.

    Attributes
    ----------
    cluster, node
        Where it is.
    resource
        What the kubelet is to call the devices.
    count
        How many.
    """

    cluster: LocalCluster
    node: str
    resource: str
    count: int

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; it ends with its input, so also when the tests are killed."""
        # A bed that was started before may have other binaries.
        program = str(binaries() / "device-plugin")
        command = [*enter(self.cluster.holder(self.node)), program, self.resource, str(self.count)]
        with tempfile.TemporaryFile() as self._said:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self._said)
            try:
                yield
            finally:
                process.communicate(timeout=END_TIMEOUT_S)

    def registrations(self) -> int:
        """Return how often it has made itself known to a kubelet since it runs."""
        # At a place of our own: that of the plugin, which writes, stays.
        return os.pread(self._said.fileno(), 1 << 20, 0).count(b"registered")

    def allocatable(self, node: str | None = None) -> int:
        """Return how many of the devices pods can have of a node, its own or another."""
        found = self.cluster.get("node", node or self.node)["status"]["allocatable"]
        return int(found.get(self.resource, 0))

    def wait_until_offered(self, count: int) -> None:
        """Wait until pods can have so many."""
        until(
            lambda: self.allocatable() == count,
            f"{self.node} has {count} of {self.resource}",
            timeout_s=60,
        )
