"""Receivers that are lost in the middle of an observation: of what was closed nothing is."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.endless import DUMPS_PER_SET, VALUES, Endless
from tests.cluster.observed import integrations
from tests.cluster.release import exit_codes, until
from tests.cluster.servers import Reader

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from testbed.cluster import Cluster, LocalCluster
    from tests.cluster.servers import Remote

pytestmark = pytest.mark.usefixtures("images")

KILLED = 137
TERMINATED = 143
# A consumer that writes, and takes all the memory there is when it has closed a set.
GREEDY = f"""
from receive.consumers.ms.writer import MeasurementSetConsumer

class Greedy(MeasurementSetConsumer):
    def __init__(self, config, tm):
        super().__init__(config, tm)
        self.taken = 0

    async def consume(self, payload):
        await super().consume(payload)
        self.taken += 1
        if self.taken > {DUMPS_PER_SET}:
            hoard = []
            while True:
                hoard.append(b"x" * 2**24)
"""


def evict(release: Endless, pod: str) -> subprocess.CompletedProcess[str]:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": release.namespace},
    }
    path = f"/api/v1/namespaces/{release.namespace}/pods/{pod}/eviction"
    command = ("create", "--raw", path, "--filename=-")
    return release.cluster.kubectl(*command, input=json.dumps(eviction), check=False)


def ended(release: Endless) -> dict[str, Any]:
    """End an observation well; return the status of its Job."""
    release.end()
    release.wait_until_complete()
    status: dict[str, Any] = release.job()["status"]
    return status


@pytest.mark.needs("host-control")
def test_what_a_killed_receiver_left_in_its_pod_is_pushed_and_it_is_replaced(
    cluster: LocalCluster, namespace: str, remote: Remote, tmp_path: Path
) -> None:
    release = Endless(cluster, namespace, "killed")
    release.begin(remote.values("killed/obs.ms"))
    closed = release.wait_until_closed(2)
    first = release.pod()

    os.kill(cluster.host_pid(namespace, first, "receiver"), signal.SIGKILL)
    release.wait_for_replacement(first)

    assert release.failures() == (1, 0)
    lost = next(pod for pod in release.pods() if pod["metadata"]["name"] == first)
    assert lost["status"]["phase"] == "Failed"
    assert exit_codes(lost) == {"model": 0, "receiver": KILLED, "sender": 0, "push": 0}
    log = release.kubectl("logs", first, "-c", "push")
    assert "the receiver crashed: what it left is pushed as it is; ms-recover" in log
    status = ended(release)
    assert (status["succeeded"], status["failed"]) == (1, 1)
    left = remote.fetch_pushed("killed", tmp_path)
    assert integrations(left, "obs") >= DUMPS_PER_SET * closed
    release.uninstall()


@pytest.mark.needs("shared-volumes")
def test_a_receiver_whose_pod_is_deleted_closes_and_the_next_writes_beside_it(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    release = Endless(cluster, namespace, "deleted")
    release.begin({"storage.size": "64Mi"})
    closed = release.wait_until_closed(2)
    first = release.pod()

    with release.watched() as watch:
        release.kubectl("delete", "pod", first, "--wait=false")
        codes = watch.wait_for_exit_codes(first)
    release.wait_for_replacement(first)

    assert codes == {"model": 0, "receiver": TERMINATED, "sender": TERMINATED}
    assert release.failures() == (1, 0)
    status = ended(release)
    assert (status["succeeded"], status["failed"]) == (1, 1)
    reader = Reader(cluster, namespace, "reader")
    reader.start("deleted-results")
    left = reader.fetch_left("deleted/0", tmp_path / "deleted")
    assert integrations(left, "recv-vis") >= DUMPS_PER_SET * closed
    assert integrations(left, "recv-vis-a1") >= DUMPS_PER_SET
    for attempt in ("", "-a1"):
        summary = json.loads((left / f"recv-vis.summary{attempt}.json").read_text())
        assert len(summary["sets"]) == len(list(left.glob(f"recv-vis{attempt}-p*.ms")))
    release.uninstall()


def test_a_receiver_that_runs_out_of_memory_ends_its_pod_and_what_it_closed_is_pushed(
    cluster: Cluster, namespace: str, remote: Remote, tmp_path: Path
) -> None:
    consumer = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "greedy"},
        "data": {"greedy.py": GREEDY},
    }
    cluster.apply(consumer, namespace=namespace)
    release = Endless(cluster, namespace, "hungry")
    release.begin(
        remote.values("hungry/obs.ms")
        | {
            "attempts": 0,
            "resources.limits.memory": "512Mi",
            "resources.requests.memory": "256Mi",
            "reception.consumer": ["greedy.Greedy"],
            "extraEnv": [{"name": "PYTHONPATH", "value": "/greedy"}],
            "extraVolumes": [{"name": "greedy", "configMap": {"name": "greedy"}}],
            "extraVolumeMounts": [{"name": "greedy", "mountPath": "/greedy"}],
        }
    )

    assert release.wait_until_ended() == "Failed"

    assert release.job()["status"]["failedIndexes"] == "0"
    (pod,) = release.pods()
    statuses = pod["status"]["containerStatuses"]
    why = {one["name"]: one["state"]["terminated"]["reason"] for one in statuses}
    assert why == {"receiver": "OOMKilled", "sender": "Completed", "push": "Completed"}
    left = remote.fetch_pushed("hungry", tmp_path)
    assert integrations(left, "obs") >= DUMPS_PER_SET
    release.uninstall()


def test_an_evicted_receiver_pushes_what_it_closed_and_is_replaced_and_not_counted(
    cluster: Cluster, namespace: str, remote: Remote, tmp_path: Path
) -> None:
    release = Endless(cluster, namespace, "evicted")
    values = remote.values("evicted/obs.ms")
    release.begin({**values, "podDisruptionBudget.enabled": True})
    closed = release.wait_until_closed(2)
    first = release.pod()
    until(lambda: protects(release), "the budget is counted")

    refused = evict(release, first)

    assert refused.returncode == 1
    assert "would violate the pod's disruption budget" in refused.stderr
    assert release.upgrade({**VALUES, **values}).returncode == 0
    until(lambda: not release.kubectl("get", "pdb", "-o", "name"), "the budget is gone")
    with release.watched() as watch:
        assert evict(release, first).returncode == 0
        codes = watch.wait_for_exit_codes(first)
        assert watch.disruption(first) == "EvictionByEvictionAPI"
    release.wait_for_replacement(first)
    assert codes == {"model": 0, "receiver": TERMINATED, "sender": TERMINATED, "push": 0}
    assert release.failures() == (0, 1)
    status = ended(release)
    assert (status["succeeded"], status.get("failed", 0)) == (1, 0)
    left = remote.fetch_pushed("evicted", tmp_path)
    assert integrations(left, "obs") >= DUMPS_PER_SET * closed
    release.uninstall()


def protects(release: Endless) -> bool:
    """Whether the release has a disruption budget that knows its pods."""
    budget = json.loads(release.kubectl("get", "pdb", release.name, "-o", "json"))
    return bool(budget.get("status", {}).get("currentHealthy"))
