"""A cluster as one uses it: the bed of this machine, or one that its user already has."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from testbed import outage
from testbed.addresses import Addresses
from testbed.bed import read_state
from testbed.errors import ClusterError, MissingToolError
from testbed.node import enter, import_image
from testbed.packet_filter import only_to

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 240.0
# What tests may ask for with `@pytest.mark.needs`, and what is missing without it.
CAPABILITIES = {
    "two-nodes": "has one node",
    "multicast": "carries no multicast between pods (as far as is known)",
    "local-images": "cannot be given images from this machine",
    "shared-volumes": "has no volumes that pods of several nodes can write (as far as is known)",
    "host-control": "has its nodes where this machine cannot reach their processes",
    "packet-filter": "has no packet filter that the tests may change",
}


@dataclass
class Cluster:
    """A cluster that is there.

    Attributes
    ----------
    kubeconfig
        How it is reached.
    capabilities
        Which of ``CAPABILITIES`` it has.
    host
        Address by which its pods reach this machine; empty where that is not known.
    """

    kubeconfig: Path
    capabilities: frozenset[str]
    host: str = ""

    @property
    def kubectl_path(self) -> str:
        """Path of kubectl."""
        return _tool("kubectl")

    def helm_path(self, version: int) -> str:
        """Return the path of a Helm of that major version."""
        for name in (f"helm{version}", "helm"):
            found = shutil.which(name)
            if found and re.match(rf"v{version}\.", _said(found, "version", "--short")):
                return found
        raise MissingToolError(f"no Helm {version} on the PATH")

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which other tools find the cluster."""
        return os.environ | {"KUBECONFIG": str(self.kubeconfig)}

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes."""
        listed = self.kubectl("get", "nodes", "--output=name").stdout.split()
        return [name.removeprefix("node/") for name in listed]

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; with ``check`` it must succeed."""
        return self._run([self.kubectl_path, *map(str, arguments)], input, check=check)

    def get(self, *arguments: str) -> Any:
        """Return what `kubectl get` finds, as it is in JSON."""
        return json.loads(self.kubectl("get", *arguments, "--output=json").stdout)

    def look(self, path: str) -> Any:
        """Return what the API has at a path, None if nothing: for what is asked again and again."""
        done = self.kubectl("get", "--raw", path, check=False)
        return None if done.returncode else json.loads(done.stdout)

    def apply(self, *objects: dict[str, Any], namespace: str) -> None:
        """Make or change objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--namespace", namespace, "--filename=-", input=json.dumps(listed))

    def helm(
        self,
        *arguments: str | Path,
        version: int = 4,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm 3 or 4; with ``check`` it must succeed."""
        return self._run([self.helm_path(version), *map(str, arguments)], input, check=check)

    def load_image(self, archive: Path, name: str) -> None:
        """Load an image from an OCI archive into all nodes, where the cluster can take it.

        Elsewhere it must have been loaded by hand, or be in a registry that the cluster knows.
        """
        context = self.kubectl("config", "current-context").stdout.strip()
        if context.startswith("kind-"):
            kind = [_tool("kind"), "load", "image-archive", str(archive)]
            self._run([*kind, "--name", context.removeprefix("kind-")], None, check=True)
        elif context == "minikube":
            load = [_tool("minikube"), "--profile", context, "image", "load", str(archive)]
            self._run(load, None, check=True)

    def _run(
        self, command: list[str], text: str | None, *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=TIMEOUT_S,
            check=False,
        )
        if check and done.returncode:
            shown = " ".join([Path(command[0]).name, *command[1:]])
            raise ClusterError(
                f"{shown} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done


@dataclass
class LocalCluster(Cluster):
    """The bed of this machine.

    Attributes
    ----------
    state
        What its owner wrote down.
    """

    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, state: dict[str, Any]) -> LocalCluster:
        """Return the cluster that a bed's state describes."""
        return cls(Path(state["kubeconfig"]), frozenset(CAPABILITIES), state["host"], state)

    @cached_property
    def _session(self) -> requests.Session:
        certificates = Path(self.state["certificates"])
        session = requests.Session()
        session.trust_env = False
        session.verify = str(certificates / "ca.crt")
        session.cert = (str(certificates / "admin.crt"), str(certificates / "admin.key"))
        return session

    def look(self, path: str) -> Any:
        """Return what the API has at a path, None if nothing: for what is asked again and again."""
        # A new kubectl each time would take a quarter of a processor from the pods.
        answer = self._session.get(self.state["server"] + path, timeout=TIMEOUT_S)
        return answer.json() if answer.ok else None

    @property
    def bin(self) -> Path:
        """Folder of the bed's binaries."""
        return Path(self.state["bin"])

    @property
    def kubectl_path(self) -> str:
        """Path of kubectl."""
        return str(self.bin / "kubectl")

    def helm_path(self, version: int) -> str:
        """Return the path of a Helm of that major version."""
        return str(self.bin / f"helm{version}")

    def node_folder(self, node: str) -> Path:
        """Return the folder of a node; its ``kubelet`` is the node's /var/lib/kubelet."""
        return Path(self.state["nodes"][node]["folder"])

    def on_node(self, node: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine with the mounts and the network of a node."""
        return self._run([*enter(self.holder(node)), *map(str, command)], None, check=True)

    def holder(self, node: str) -> int:
        """Return the process that keeps the mounts and the network of a node."""
        return int(self.state["nodes"][node]["holder"])

    def load_image(self, archive: Path, name: str) -> None:
        """Load an image from an OCI archive into all nodes."""
        holders = [node["holder"] for node in self.state["nodes"].values()]
        with ThreadPoolExecutor(len(holders)) as side_by_side:
            # The list asks for what went wrong.
            list(side_by_side.map(lambda one: import_image(one, self.bin, archive, name), holders))

    def host_pid(self, namespace: str, pod: str, container: str) -> int:
        """Return the id of a container's first process, as this machine knows it."""
        found = self.get("pod", pod, "--namespace", namespace)
        status = found["status"]
        for one in [*status.get("initContainerStatuses", []), *status["containerStatuses"]]:
            if one["name"] == container:
                identity = one["containerID"].partition("://")[2]
                break
        else:
            raise ClusterError(f"pod {pod} has no container {container}")
        tasks = self.on_node(
            found["spec"]["nodeName"],
            *(self.bin / "ctr", "--address", "/run/containerd/containerd.sock"),
            *("--namespace", "k8s.io", "tasks", "list"),
        ).stdout
        for line in tasks.splitlines():
            if line.split()[0] == identity:
                return int(line.split()[1])
        raise ClusterError(f"container {container} of pod {pod} does not run")

    def kill(self, namespace: str, pod: str, container: str) -> None:
        """Kill a container's first process, as the kernel does when memory runs out."""
        os.kill(self.host_pid(namespace, pod, container), signal.SIGKILL)

    def fail_node(self, node: str) -> None:
        """Kill all that runs on a node, its daemons and containers, at once."""
        outage.fail(Addresses(self.state["number"]), node)

    def recover_node(self, node: str) -> None:
        """Start the daemons of a node that has failed; it is ready a few seconds later."""
        outage.recover(Path(self.state["folder"]), self.bin, node)

    def restart_kubelet(self, node: str) -> None:
        """Restart the kubelet of a node; its pods go on."""
        outage.restart(Path(self.state["folder"]), f"{node}-kubelet")

    @contextlib.contextmanager
    def packet_filter(self, *allowed: tuple[str, int]) -> Iterator[None]:
        """Reject what pods send out of the cluster, but to these TCP addresses and ports."""
        with only_to(self.state["network"], allowed):
            yield


def existing(declared: frozenset[str]) -> Cluster:
    """Return the cluster of the current context.

    Parameters
    ----------
    declared
        What its user says it can, beyond what is seen.
    """
    chosen = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    kubeconfig = Path(chosen) if chosen else Path.home() / ".kube" / "config"
    if state := read_state(kubeconfig.parent):
        return LocalCluster.of(state)
    cluster = Cluster(kubeconfig, declared)
    context = cluster.kubectl("config", "current-context").stdout.strip()
    seen = set(declared)
    if len(_open_nodes(cluster)) > 1:
        seen.add("two-nodes")
    if context.startswith("kind-") or context == "minikube":
        seen.add("local-images")
    cluster.capabilities = frozenset(seen)
    return cluster


def _open_nodes(cluster: Cluster) -> list[str]:
    """Return the nodes that take pods; a control plane of its own often takes none."""
    return [
        node["metadata"]["name"]
        for node in cluster.get("nodes")["items"]
        if all(taint["effect"] != "NoSchedule" for taint in node["spec"].get("taints", []))
    ]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is not on the PATH")
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
