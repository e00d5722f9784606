"""Servers as pods of the cluster: remotes that results are pushed to, a web site, a claim's reader.

They run in our own images, so that nothing but those is needed.
"""

from __future__ import annotations

import base64
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from images.__main__ import image_name
from tests import remotes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.cluster import Cluster

PORT = 8080
SAMPLE = "/usr/share/vis-receive/sample.tar.gz"
SAMPLE_CHANNELS = 16
_SERVED = "/srv"
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Server:
    """A pod that serves, with a service of its name.

    Attributes
    ----------
    cluster, namespace
        Where it is.
    name
        Of the pod and the service; of a remote, ``s3`` or ``webdav``.
    """

    cluster: Cluster
    namespace: str
    name: str

    @property
    def address(self) -> str:
        """Name by which all pods reach it."""
        return f"{self.name}.{self.namespace}.svc"

    def kubectl(self, *arguments: str | Path) -> str:
        """Run kubectl in its namespace; return what it printed."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments).stdout

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        self.kubectl("wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=120s")

    def log(self) -> str:
        """Return what it has said."""
        return self.kubectl("logs", self.name)

    def fetch(self, path: str, to: Path) -> Path:
        """Copy a file or a folder out of the pod."""
        self.wait_until_ready()
        self.kubectl("cp", f"{self.name}:{path}", to, "--retries=3")
        return to

    def _start(self, image: str, command: list[str], volume: dict[str, Any], path: str) -> None:
        container = {
            "name": "server",
            "image": image_name(image),
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "workingDir": "/tmp",  # noqa: S108 (the container's)
            "securityContext": _SECURITY,
            "volumeMounts": [{"name": "served", "mountPath": path}],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": {"app": self.name}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {"fsGroup": 1000},
                "containers": [container],
                "volumes": [{"name": "served"} | volume],
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name},
            "spec": {"selector": {"app": self.name}, "ports": [{"port": PORT}]},
        }
        self.cluster.apply(service, pod, namespace=self.namespace)


@dataclass(frozen=True)
class Remote(Server):
    """A remote that results are pushed to: rclone serving S3 or WebDAV.

    Attributes
    ----------
    anonymous
        Whether it takes what comes without credentials.
    """

    anonymous: bool = False

    def start(self) -> None:
        """Begin; ``wait_until_ready`` waits for it."""
        arguments = remotes.serve_command(self.name, _SERVED, f":{PORT}", anonymous=self.anonymous)
        # S3's buckets are folders.
        bucket = f"{_SERVED}/bucket"
        self._start("push", ["rclone", *map(str, arguments)], {"emptyDir": {}}, bucket)

    def config(self, name: str = "far", address: str = "") -> str:
        """Return what an rclone.conf has for it."""
        return remotes.config(self.name, PORT, name, address=address or self.address)

    def values(self, path: str) -> dict[str, Any]:
        """Return the values of a release that pushes here, whatever its receiver leaves."""
        assert self.anonymous
        remote = f":{self.name},url='http://{self.name}:{PORT}'"
        return {
            "results.push": True,
            "results.push_partial": True,
            "results.retries": 1,
            "rclone.command": f"{remote}:bucket/{path}",
            "rclone.anonymous": True,
        }

    def sets(self) -> list[str]:
        """Return the names of what was pushed."""
        return self.kubectl("exec", self.name, "--", "ls", f"{_SERVED}/bucket").split()

    def occupy(self, name: str) -> None:
        """Put something else where a set would go."""
        folder = f"{_SERVED}/bucket/{name}"
        self.kubectl("exec", self.name, "--", "mkdir", folder)
        self.kubectl("exec", self.name, "--", "cp", "/etc/hostname", folder)

    def fetch_pushed(self, name: str, folder: Path) -> Path:
        """Copy a set, or a folder of sets, out of the pod."""
        return self.fetch(f"{_SERVED}/bucket/{name}", folder / name)


@dataclass(frozen=True)
class Site(Server):
    """A web site; it runs in the image ``receive``, which has a sample observation."""

    def start(self, files: Mapping[str, str]) -> None:
        """Begin to serve files, which are kept in a Secret."""
        command = ["python", "-u", "-m", "http.server", str(PORT), "--directory", _SERVED]
        self.cluster.apply(secret(self.name, files), namespace=self.namespace)
        self._start("receive", command, {"secret": {"secretName": self.name}}, _SERVED)

    def url(self, path: str) -> str:
        """Return the URL of a file."""
        return f"http://{self.address}:{PORT}/{path}"

    def fetch_sample(self, folder: Path) -> Path:
        """Copy the sample observation out of the image; return the set."""
        with tarfile.open(self.fetch(SAMPLE, folder / "sample.tar.gz")) as tar:
            tar.extractall(folder, filter="data")
        return folder / "sim-vis.ms"


@dataclass(frozen=True)
class Reader(Server):
    """A look into a claim."""

    def start(self, claim: str) -> None:
        """Mount it."""
        command = ["python", "-u", "-m", "http.server", str(PORT), "--directory", "/tmp"]  # noqa: S108
        self._start("receive", command, {"persistentVolumeClaim": {"claimName": claim}}, _SERVED)

    def fetch_left(self, path: str, to: Path) -> Path:
        """Copy what is in a folder of the claim to a new folder of this machine."""
        return self.fetch(f"{_SERVED}/{path}", to)

    def run(self, *command: str) -> str:
        """Run one of our commands there; return what it printed."""
        return self.kubectl("exec", self.name, "--", *command)


def secret(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return a Secret that holds files."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
