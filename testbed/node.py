"""A node: containerd and kubelet in a mount namespace where the usual paths are the node's own.

So two nodes need no paths of their own - some, like that of device plugins, cannot be chosen - and
whatever they mount goes with their processes, however those end.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.cgroups import born_in, daemons_of
from testbed.errors import BedError
from testbed.images import PAUSE
from testbed.network import inside, plugins, write_pod_network
from testbed.packages import SYSTEM_PATH, path_of

if TYPE_CHECKING:
    from testbed.addresses import Addresses
    from testbed.certificates import Authority
    from testbed.processes import Ledger, Started

# Path as programs know it, to the node's own folder that lies there.
MOUNTED = {
    "/var/lib/kubelet": "kubelet",
    "/var/lib/containerd": "containerd",
    "/var/lib/cni": "cni",
    "/var/log/pods": "pod-logs",
    "/var/log/containers": "container-logs",
    "/run/containerd": "containerd-run",
}
SOCKET = "/run/containerd/containerd.sock"
# Made as arguments of a shell, not as text of its: paths may hold anything.
HOLD = """
set -e
hostname "$1"; pause=$2; shift 2
mount --make-rshared /
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
exec "$pause"
"""
KUBELET_PORT = 10250
HEALTH_PORT = 10248
HOLD_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.01
CONTAINERD_CONFIG = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{socket}"

[plugins."io.containerd.nri.v1.nri"]
# Its socket lies where all nodes of the machine would have theirs, and containerd ends if two start
# at one time.
disable = true

[plugins."io.containerd.cri.v1.runtime"]
# Without it sandboxes fail where a process may not lower its score.
restrict_oom_score_adj = true
# Mounted where they go with the node.
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{network}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"
"""


class Node:
    """One node of the bed.

    Attributes
    ----------
    name
        Name in the cluster.
    folder
        Where all its files are.
    holder
        Process that keeps its mount namespace.
    """

    def __init__(
        self, name: str, folder: Path, binaries: Path, addresses: Addresses, ledger: Ledger
    ) -> None:
        self.name = name
        self.folder = folder
        self.address = addresses.node(name)
        self._addresses = addresses
        self._bin = binaries
        self._ledger = ledger
        self._join = born_in(addresses.name, daemons_of(name))
        folder.mkdir()
        for own in MOUNTED.values():
            (folder / own).mkdir()

    def start_containerd(self, namespace: int) -> None:
        """Make the namespaces and start containerd in them."""
        mounts = [part for path, own in MOUNTED.items() for part in (self.folder / own, path)]
        self.holder = self._ledger.start(
            f"{self.name}-holder",
            [
                *inside(namespace),
                *("unshare", "--mount", "--uts", "--propagation", "private"),
                *("sh", "-c", HOLD, "hold", self.name, self._bin / "pause", *mounts),
            ],
        )
        network = self.folder / "network"
        write_pod_network(network, self._addresses, self.folder.parent / "leases")
        config = self.folder / "containerd.toml"
        config.write_text(
            CONTAINERD_CONFIG.format(
                socket=SOCKET,
                plugins=plugins(),
                network=network,
                runc=path_of("runc"),
                pause=PAUSE,
                snapshotter=_snapshotter(self.folder),
            )
        )
        self._wait_until_held()
        self._start("containerd", self._bin / "containerd", "--config", config)

    def _wait_until_held(self) -> None:
        """Wait until the namespace is as it will be: the shell has become the pause program."""
        program = (self._bin / "pause").resolve()
        link = Path(f"/proc/{self.holder.pid}/exe")
        deadline_s = time.monotonic() + HOLD_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                if link.readlink() == program:
                    return
            if not self.holder.is_alive() or time.monotonic() > deadline_s:
                raise BedError(
                    f"no namespaces for {self.name}: see {self._ledger.log(self.holder.name)}"
                )
            time.sleep(LOOK_EVERY_S)

    def start_kubelet(self, authority: Authority, server: str) -> None:
        """Start the kubelet; the node joins the cluster when it can reach the API server."""
        user = f"system:node:{self.name}"
        pair = authority.give(self.name, user, "system:nodes")
        kubeconfig = authority.kubeconfig(
            self.folder / "kubeconfig", server, pair, self._addresses.name
        )
        certificate, key = authority.give(
            f"{self.name}-server",
            user,
            "system:nodes",
            hosts=(f"IP:{self.address}", f"DNS:{self.name}"),
        )
        config = self.folder / "kubelet.json"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "kubelet.config.k8s.io/v1beta1",
                    "kind": "KubeletConfiguration",
                    "address": self.address,
                    "port": KUBELET_PORT,
                    "healthzBindAddress": self.address,
                    "healthzPort": HEALTH_PORT,
                    "authentication": {
                        "anonymous": {"enabled": False},
                        "webhook": {"enabled": True},
                        "x509": {"clientCAFile": str(authority.file)},
                    },
                    "authorization": {"mode": "Webhook"},
                    "tlsCertFile": str(certificate),
                    "tlsPrivateKeyFile": str(key),
                    "containerRuntimeEndpoint": f"unix://{SOCKET}",
                    "clusterDomain": "cluster.local",
                    "clusterDNS": [self._addresses.dns],
                    "resolvConf": str(self.folder.parent / "resolv.conf"),
                    "cgroupDriver": "cgroupfs",
                    "cgroupRoot": f"/{self._addresses.name}/{self.name}",
                    "failCgroupV1": False,
                    "failSwapOn": False,
                    "maxOpenFiles": 20000,
                    "maxPods": 250,
                    "serializeImagePulls": False,
                    "volumePluginDir": "/var/lib/kubelet/volume-plugins",
                    # A full disk of the developer is no reason to evict, and images that were
                    # loaded by hand could not be fetched again.
                    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "100Mi"},
                    "imageGCHighThresholdPercent": 100,
                }
            )
        )
        self._start(
            "kubelet",
            self._bin / "kubelet",
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        )

    def _start(self, program: str, *command: str | Path) -> Started:
        path = ":".join([str(self._bin), *SYSTEM_PATH, "/usr/local/bin", "/usr/bin", "/bin"])
        return self._ledger.start(
            f"{self.name}-{program}",
            [*self._join, *enter(self.holder.pid), *command],
            {"PATH": path},
        )

    def wait_for_containerd(self) -> None:
        """Wait until containerd takes images."""
        wait_for_containerd(self.holder.pid, self._bin)

    def import_image(self, archive: Path, name: str) -> None:
        """Load an image."""
        import_image(self.holder.pid, self._bin, archive, name)


def enter(holder: int) -> tuple[str, ...]:
    """Return what to put before a command to run it on the node of a holder."""
    return (path_of("nsenter") or "nsenter", f"--target={holder}", "--mount", "--net", "--uts")


def _ctr(holder: int, binaries: Path) -> list[str]:
    ctr = str(binaries / "ctr")
    return [*enter(holder), ctr, "--address", SOCKET, "--namespace", "k8s.io"]


def wait_for_containerd(holder: int, binaries: Path) -> None:
    """Wait until containerd answers on the node of a holder.

    Raises
    ------
    BedError
        When it does not.
    """
    version = [*_ctr(holder, binaries), "version"]
    deadline_s = time.monotonic() + HOLD_TIMEOUT_S
    while (done := subprocess.run(version, capture_output=True, check=False)).returncode:
        if time.monotonic() > deadline_s:
            said = done.stderr.decode(errors="replace").strip()
            raise BedError(f"containerd does not answer: {said}")
        time.sleep(0.1)


def import_image(holder: int, binaries: Path, archive: Path, name: str) -> None:
    """Load an image into a node by a name, whatever name its archive gives it.

    Raises
    ------
    BedError
        When containerd does not take it.
    """
    command = [
        *_ctr(holder, binaries),
        "images",
        "import",
        "--index-name",
        name,
        "--local",
        str(archive),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"{archive} could not be loaded as {name}: {done.stderr.strip()}")


def _snapshotter(folder: Path) -> str:
    """Return how file systems of containers are made: overlayfs cannot lie on an overlay."""
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", folder],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return "native" if kind in {"overlayfs", "fuseblk"} else "overlayfs"
