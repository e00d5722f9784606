"""A pod that holds a volume: a remote that is pushed to, and the way to what lies on a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from images.__main__ import image_name

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.cluster import Cluster

_PORT = 8080
_FOLDER = "/shelf"


@dataclass(frozen=True)
class Shelf:
    """A pod that serves a folder over WebDAV, and whose folder can be copied.

    Attributes
    ----------
    cluster, namespace, name
        Where it is.
    """

    cluster: Cluster
    namespace: str
    name: str

    def start(self, claim: str = "") -> None:
        """Start it, on a claim or with a volume of its own, and wait until it answers."""
        volume: dict[str, Any] = {"emptyDir": {}}
        if claim:
            volume = {"persistentVolumeClaim": {"claimName": claim}}
        labels = {"shelf": self.name}
        container = {
            "name": "shelf",
            "image": image_name("push"),
            "imagePullPolicy": "IfNotPresent",
            "command": ["rclone", "serve", "webdav", _FOLDER, f"--addr=:{_PORT}", "--config="],
            "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "shelf", "mountPath": _FOLDER}],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "fsGroup": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": [{"name": "shelf"} | volume],
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name},
            "spec": {"selector": labels, "ports": [{"port": _PORT}]},
        }
        self.cluster.apply(service, pod, namespace=self.namespace)
        here = ("--namespace", self.namespace)
        ready = ("--for=condition=Ready", "--timeout=90s")
        self.cluster.kubectl("wait", *here, f"pod/{self.name}", *ready)

    def push_values(self, path: str) -> dict[str, Any]:
        """Return the values of a release that pushes here, whatever its receiver leaves."""
        remote = f":webdav,url='http://{self.name}:{_PORT}'"
        return {
            "results.push": True,
            "results.push_partial": True,
            "results.retries": 1,
            "rclone.command": f"{remote}:{path}",
            "rclone.anonymous": True,
        }

    def copy(self, path: str, target: Path) -> Path:
        """Copy what is on the shelf, or in a folder of it, to a new folder of this machine."""
        source = f"{self.namespace}/{self.name}:{_FOLDER}/{path}"
        self.cluster.kubectl("cp", source, target, "--retries=3")
        return target
