"""Starts a bed in order: namespaces, control plane and nodes side by side, name server."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from testbed import cgroups, dns, images, network
from testbed.addresses import NODES
from testbed.certificates import Authority
from testbed.control_plane import ControlPlane
from testbed.errors import BedError
from testbed.node import Node
from testbed.processes import LEDGER, Ledger
from testbed.volumes import STORAGE_CLASS, Volumes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.addresses import Addresses

STATE = "state.json"
IMAGES = {"pause": images.PAUSE, "coredns": images.COREDNS, "probe": images.PROBE}


class Bed:
    """A cluster of two nodes.

    Attributes
    ----------
    folder
        All its files: logs, certificates, databases, images.
    """

    def __init__(self, folder: Path, binaries: Path, addresses: Addresses) -> None:
        _empty(folder)
        self.folder = folder
        self._bin = binaries
        self._addresses = addresses
        self._ledger = Ledger(folder)

    def start(self) -> dict[str, Any]:
        """Start everything and wait until pods can be run; return the state for others to use.

        Raises
        ------
        BedError
            When a part does not start.
        """
        began_s = time.monotonic()
        addresses = self._addresses
        cgroups.make(addresses.name, list(NODES))
        cgroups.join(addresses.name)
        holder = self._ledger.start("network", ["unshare", "--net", self._bin / "pause"])
        self._wait_for_network(holder.pid)
        network.connect(addresses, holder.pid)
        network.let_out(addresses)
        authority = Authority(self.folder / "certificates")
        plane = ControlPlane(self.folder, self._bin, addresses, authority, self._ledger, holder.pid)
        plane.start()
        servers = dns.write_resolv_conf(self.folder)
        nodes = [
            Node(name, self.folder / name, self._bin, addresses, self._ledger) for name in NODES
        ]
        for node in nodes:
            node.start_containerd(holder.pid)
        self._write_images()
        with ThreadPoolExecutor(2) as side_by_side:
            list(side_by_side.map(self._load_images, nodes))
        plane.wait()
        plane.start_controllers()
        plane.start_proxy()
        for node in nodes:
            node.start_kubelet(authority, plane.server)
        objects = json.dumps(_list([*dns.objects(addresses.dns, servers), STORAGE_CLASS]))
        apply = ("apply", "--server-side", "--filename=-")
        plane.wait_until(
            "CoreDNS and the storage class are made", lambda: plane.kubectl(*apply, stdin=objects)
        )
        for name in NODES:
            ready = ("wait", "--for=condition=Ready", f"node/{name}", "--timeout=5s")
            plane.wait_until(f"{name} is ready", partial(plane.kubectl, *ready))
        plane.wait_until(
            "CoreDNS answers",
            lambda: plane.kubectl(
                *("--namespace=kube-system", "rollout", "status"),
                *(f"deployment/{dns.NAME}", "--timeout=10s"),
            ),
        )
        Volumes(self.folder / "volumes", plane).start()
        return {
            "number": addresses.number,
            "folder": str(self.folder),
            "bin": str(self._bin),
            "kubeconfig": str(plane.kubeconfig),
            "server": plane.server,
            "certificates": str(authority.folder),
            "network": holder.pid,
            "host": addresses.host,
            "pods": addresses.pods,
            "services": addresses.services,
            "nodes": {
                node.name: {
                    "address": node.address,
                    "holder": node.holder.pid,
                    "folder": str(node.folder),
                }
                for node in nodes
            },
            "seconds": round(time.monotonic() - began_s, 1),
        }

    def _wait_for_network(self, pid: int) -> None:
        own = network.namespace_of(0)
        deadline_s = time.monotonic() + 10
        while network.namespace_of(pid) == own:
            if time.monotonic() > deadline_s:
                raise BedError(f"no network namespace: see {self.folder / 'logs' / 'network.log'}")
            time.sleep(0.01)

    def _write_images(self) -> None:
        folder = self.folder / "images"
        folder.mkdir()
        for binary, name in IMAGES.items():
            images.write_archive(folder / f"{binary}.tar", name, self._bin / binary)

    def _load_images(self, node: Node) -> None:
        node.wait_for_containerd()
        for binary, name in IMAGES.items():
            node.import_image(self.folder / "images" / f"{binary}.tar", name)


def _list(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def _empty(folder: Path) -> None:
    """Make the run folder anew; one without a ledger is nobody's bed, and is not emptied."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / LEDGER).exists():
            raise BedError(f"{folder} holds something else: choose a new folder for the cluster")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LEDGER).touch()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write down how a bed is reached."""
    made = folder / f"{STATE}.new"
    made.write_text(json.dumps(state, indent=2))
    made.rename(folder / STATE)


def read_state(folder: Path) -> dict[str, Any]:
    """Read how a bed is reached; empty when it is not ready."""
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text())
    except FileNotFoundError:
        return {}
    return state
