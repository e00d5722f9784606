"""Nodes that are drained or lost under a receiver: it goes on elsewhere, beside what it closed."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.endless import DUMPS_PER_SET, Endless
from tests.cluster.observed import integrations
from tests.cluster.release import until
from tests.cluster.servers import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster, LocalCluster

pytestmark = [
    pytest.mark.cluster_wide,
    pytest.mark.usefixtures("images"),
    pytest.mark.needs("two-nodes", "shared-volumes"),
]

TERMINATED = 143
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"


@pytest.fixture(scope="module")
def claim(cluster: Cluster, namespace: str) -> str:
    """Return the name of a claim that outlives its releases."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "observations"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "64Mi"}},
        },
    }
    cluster.apply(claim, namespace=namespace)
    return "observations"


def node_of(release: Endless) -> str:
    return str(release.pods()[-1]["spec"]["nodeName"])


@contextlib.contextmanager
def closed_to_new_pods(cluster: Cluster, node: str) -> Iterator[None]:
    """Have a node take no pods as long as this lasts."""
    cluster.kubectl("cordon", node)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", node)


def check_both_attempts(release: Endless, claim: str, closed: int, folder: Path) -> None:
    """End the second attempt; see that both are on the claim, which outlives the release."""
    release.end()
    release.wait_until_complete()
    release.uninstall()
    reader = Reader(release.cluster, release.namespace, f"reader-{release.name}")
    reader.start(claim)
    left = reader.fetch_left(f"{release.name}/0", folder / release.name)
    assert integrations(left, "recv-vis") >= DUMPS_PER_SET * closed
    assert integrations(left, "recv-vis-a1") >= DUMPS_PER_SET


def test_a_receiver_on_a_drained_node_closes_and_goes_on_at_another(
    cluster: Cluster, namespace: str, claim: str, tmp_path: Path
) -> None:
    release = Endless(cluster, namespace, "drained")
    release.begin({"storage.existingClaim": claim})
    closed = release.wait_until_closed()
    first, node = release.pod(), node_of(release)

    with release.watched() as watch:
        try:
            cluster.kubectl(
                *("drain", node, "--delete-emptydir-data", "--ignore-daemonsets", "--force"),
                # Others of the cluster's are no matter of this test.
                *(f"--pod-selector=app.kubernetes.io/instance={release.name}", "--timeout=120s"),
            )
            release.wait_for_replacement(first)
            assert node_of(release) != node
        finally:
            cluster.kubectl("uncordon", node)
        codes = watch.wait_for_exit_codes(first)
        assert codes == {"model": 0, "receiver": TERMINATED, "sender": TERMINATED}
        assert watch.disruption(first) == "EvictionByEvictionAPI"

    assert release.failures() == (0, 1)
    check_both_attempts(release, claim, closed, tmp_path)


@contextlib.contextmanager
def without_power(cluster: LocalCluster, node: str) -> Iterator[None]:
    """Take a node's power away as long as this lasts."""
    cluster.fail_node(node)
    try:
        yield
    finally:
        cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-", check=False)
        cluster.recover_node(node)
        until(lambda: is_ready(cluster, node), f"{node} is back")


def condition(node: dict[str, Any]) -> dict[str, Any]:
    ready: dict[str, Any] = next(
        one for one in node["status"]["conditions"] if one["type"] == "Ready"
    )
    return ready


def is_ready(cluster: Cluster, node: str) -> bool:
    found = cluster.get("node", node)
    taken = not found["spec"].get("taints")
    return taken and condition(found)["status"] == "True"


def miss(cluster: Cluster, node: str) -> None:
    """Have a node missed now, not when its kubelet has been silent for long enough."""
    missed = condition(cluster.get("node", node)) | {
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "its power is gone",
    }
    patch = json.dumps({"status": {"conditions": [missed]}})
    cluster.kubectl("patch", "node", node, "--subresource=status", "--patch", patch)


@pytest.mark.needs("host-control")
def test_a_receiver_on_a_lost_node_is_replaced_when_the_node_is_out_of_service(
    cluster: LocalCluster, namespace: str, claim: str, tmp_path: Path
) -> None:
    release = Endless(cluster, namespace, "lost")
    with closed_to_new_pods(cluster, "node-1"):
        release.begin({"storage.existingClaim": claim})
        until(lambda: release.pods() and release.pods()[-1]["spec"].get("nodeName"), "it has one")
    closed = release.wait_until_closed()
    first, node = release.pod(), node_of(release)
    assert node == "node-2"

    with without_power(cluster, node):
        miss(cluster, node)
        release.kubectl("delete", "pod", first, "--wait=false")
        until(lambda: release.job()["status"].get("terminating") == 1, "the Job knows")
        # Nobody can say that it has ended: it may still write.
        assert release.pod() == first
        cluster.kubectl("taint", "node", node, OUT_OF_SERVICE)
        release.wait_for_replacement(first)
        assert node_of(release) == "node-1"

    check_both_attempts(release, claim, closed, tmp_path)
