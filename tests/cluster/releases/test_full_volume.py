"""A volume that fills up while a receiver writes: nothing that was closed is lost."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from testbed.cluster import LocalCluster
from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, message
from tests.cluster.servers import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster

pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.needs("host-control")]

CLAIM = "small"
SIZE_BYTES = 16 << 20
CLOSED = re.compile(r"Closed (\S+): ([0-9]+) integrations")
COUNT_ROWS = """
import json, os, sys
from casacore.tables import table

folder, *names = sys.argv[1:]
rows = {name: table(os.path.join(folder, name), ack=False).nrows() for name in names}
print(json.dumps(rows))
"""
HOST = "kubernetes.io/hostname"


@contextlib.contextmanager
def small_volume(cluster: LocalCluster, namespace: str) -> Iterator[None]:
    """Give a claim a small file system of its own, on one node."""
    node = cluster.nodes[-1]
    folder = cluster.node_folder(node) / namespace
    image = folder.with_suffix(".ext4")
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    cluster.on_node(node, "mkfs.ext4", "-q", "-O", "^has_journal", "-N", "8192", image)
    cluster.on_node(node, "mount", "-o", "loop", image, folder)
    cluster.on_node(node, "chmod", "1777", folder)
    terms = [{"matchExpressions": [{"key": HOST, "operator": "In", "values": [node]}]}]
    common = {"storageClassName": "", "accessModes": ["ReadWriteOnce"]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": common
        | {
            "capacity": {"storage": "16Mi"},
            "hostPath": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM},
        "spec": common | {"volumeName": namespace, "resources": {"requests": {"storage": "16Mi"}}},
    }
    cluster.apply(volume, claim, namespace=namespace)
    try:
        yield
    finally:
        cluster.kubectl("delete", "pods", "--all", "--namespace", namespace, "--grace-period=1")
        cluster.kubectl("delete", "persistentvolume", namespace, "--wait=false")
        cluster.on_node(node, "umount", folder)
        folder.rmdir()
        image.unlink()


def test_a_volume_that_stays_full_ends_the_receiver_and_keeps_what_was_closed(
    cluster: Cluster, namespace: str
) -> None:
    assert isinstance(cluster, LocalCluster)
    with small_volume(cluster, namespace):
        release = Release(cluster, namespace, "full")
        release.install(
            FRUGAL
            | {
                "attempts": 0,
                "storage.existingClaim": CLAIM,
                "transmission.time_interval": 0.01,
                "reader.num_repeats": 1000,
                "consumer.max_dumps_per_ms": 60,
                "consumer.retry": 2,
            }
        )
        assert release.wait_until_ended() == "Failed", release.everything()
        [pod] = release.pods()
        # The sender stops with its receiver.
        assert exit_codes(pod) == {"model": 0, "receiver": 4, "sender": 0}, release.everything()
        said = message(pod, "receiver")
        assert "(No space left on device): free some, or choose another disk" in said
        assert "DATA WERE LOST" in said
        closed = dict(CLOSED.findall(release.logs("receiver")))
        assert len(closed) > 1
        reader = Reader(cluster, namespace, "reader")
        reader.start(CLAIM)
        reader.wait_until_ready()
        rows = json.loads(reader.run("python", "-c", COUNT_ROWS, "/srv/full/0", *closed))
        baselines = {rows[name] / int(count) for name, count in closed.items()}
        # Every set that was closed has all the rows of its integrations.
        assert len(baselines) == 1
        assert baselines.pop() > 1


def test_a_pod_that_reaches_the_limit_of_its_own_volume_is_evicted_and_counts_as_an_attempt(
    cluster: Cluster, namespace: str
) -> None:
    release = Release(cluster, namespace, "limited")
    values = {"storage.emptyDir.sizeLimit": "1Mi", "attempts": 0, "reader.num_repeats": 1000}
    release.install(FRUGAL | values)
    assert release.wait_until_ended() == "Failed"
    [pod] = release.pods()
    assert pod["status"]["reason"] == "Evicted"
    assert 'exceeds the limit "1Mi"' in pod["status"]["message"]
