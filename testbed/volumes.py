"""The cluster's default storage class: each claim gets a folder that all nodes share.

What a file server would be elsewhere: pods of either node read and write it at once, and it
outlives them; it goes when its claim is deleted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from testbed.control_plane import ControlPlane

CLASS = "standard"
WATCH_AGAIN_S = 0.5
PROVISIONER = "vis-receive.invalid/shared-folder"
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": CLASS,
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


class Volumes:
    """Makes volumes for claims and removes those whose claims have gone.

    Attributes
    ----------
    folder
        Where the volumes' folders are.
    """

    def __init__(self, folder: Path, plane: ControlPlane) -> None:
        folder.mkdir()
        self.folder = folder
        self._plane = plane

    def start(self) -> None:
        """Begin to serve claims, beside this thread, until the API server has ended."""
        for kind, serve in (
            ("persistentvolumeclaims", self._make),
            ("persistentvolumes", self._remove),
        ):
            threading.Thread(target=self._serve, args=(kind, serve), daemon=True).start()

    def _serve(self, kind: str, serve: Callable[[dict[str, Any]], None]) -> None:
        watch = ("get", kind, "--all-namespaces", "--watch", "--output=json")
        # The API server ends a watch after half an hour or more.
        while self._plane.is_alive():
            with subprocess.Popen(
                self._plane.kubectl_command(*watch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as watching:
                for found in _objects(watching.stdout or ()):
                    serve(found)
            time.sleep(WATCH_AGAIN_S)

    def _make(self, claim: dict[str, Any]) -> None:
        spec, meta = claim["spec"], claim["metadata"]
        if (
            spec.get("storageClassName") != CLASS
            or spec.get("volumeName")
            or claim["status"].get("phase") != "Pending"
            or meta.get("deletionTimestamp")
        ):
            return
        name = f"claim-{meta['uid']}"
        path = self.folder / name
        path.mkdir(exist_ok=True)
        # The kubelet gives no folder of the host to a pod's group.
        path.chmod(0o777)
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
            },
            "spec": {
                "storageClassName": CLASS,
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                # With any other word the controllers would look for a plugin that deletes.
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(path), "type": "Directory"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                    "uid": meta["uid"],
                },
            },
        }
        self._plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(volume))

    def _remove(self, volume: dict[str, Any]) -> None:
        meta = volume["metadata"]
        made_here = meta.get("annotations", {}).get("pv.kubernetes.io/provisioned-by")
        if made_here == PROVISIONER and volume["status"].get("phase") == "Released":
            self._plane.kubectl("delete", "persistentvolume", meta["name"], "--wait=false")
            shutil.rmtree(self.folder / meta["name"], ignore_errors=True)


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Return the objects of a stream of indented JSON: each ends with a bracket at the margin."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if line.rstrip("\n") == "}":
            yield json.loads("".join(gathered))
            gathered = []
