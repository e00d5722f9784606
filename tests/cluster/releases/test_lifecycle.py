"""What operators do to a release while it runs and after: upgrade, roll back, uninstall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.endless import DUMPS_PER_SET, VALUES, Endless
from tests.cluster.observed import integrations
from tests.cluster.release import until
from tests.cluster.servers import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.cluster import Cluster
    from tests.cluster.servers import Remote

pytestmark = pytest.mark.usefixtures("images")

HELMS = (3, 4)
TERMINATED = 143


def state(release: Endless) -> tuple[str, str, int]:
    """Return what shows whether anything happened to an observation: its Job, pod, restarts."""
    (pod,) = release.pods()
    restarts = sum(one["restartCount"] for one in pod["status"]["containerStatuses"])
    return release.job()["metadata"]["uid"], pod["metadata"]["uid"], restarts


def objects(release: Endless) -> set[str]:
    """Return what there is of a release."""
    kinds = "jobs,pods,services,configmaps,secrets,serviceaccounts,pvc,pdb,networkpolicies"
    instance = f"app.kubernetes.io/instance={release.name}"
    return set(release.kubectl("get", kinds, "-l", instance, "-o", "name").split())


@pytest.mark.parametrize("version", HELMS)
def test_upgrades_leave_an_observation_as_it_is_or_are_refused_while_it_runs_and_after(
    cluster: Cluster, namespace: str, version: int
) -> None:
    release = Endless(cluster, namespace, f"upgraded{version}", helm_version=version)
    release.begin()
    release.wait_until_closed()
    before = state(release)
    changed = {**VALUES, "reception.max_scans": 2}
    undo = f"uninstall first, or choose another name (helm uninstall {release.name} -n {namespace})"

    refusal = f"is running, and its configuration cannot be changed any more: {undo}"
    assert f"observation {release.name} {refusal}" in refused(release, changed)
    assert "STATUS: deployed" in release.helm("status", release.name).stdout
    check_harmless_upgrades(release)
    assert state(release) == before
    release.wait_until_closed(release.closed_sets() + 1)
    release.end()
    release.wait_until_complete()
    assert "ended_by=stopped" in release.logs("receiver")
    assert "DATA WERE LOST" not in release.logs("receiver")

    refusal = f"is over, and its configuration cannot be changed any more: {undo}"
    assert f"observation {release.name} {refusal}" in refused(release, changed)
    check_harmless_upgrades(release)
    assert state(release) == before
    assert release.condition() == "Complete"
    release.kubectl("delete", "job", release.name)
    refusal = f"is gone, and an upgrade would begin the observation anew: {undo}"
    assert f"the Job of observation {release.name} {refusal}" in refused(release, VALUES)
    # A rollback asks no template: the guide warns of it.
    assert release.helm("rollback", release.name, "1").returncode == 0
    assert release.job()["metadata"]["uid"] != before[0]
    release.uninstall()
    assert objects(release) == set()


def refused(release: Endless, values: Mapping[str, Any]) -> str:
    """Return what Helm says to an upgrade that it refuses."""
    done = release.upgrade(values)
    assert done.returncode == 1
    return done.stderr


def check_harmless_upgrades(release: Endless) -> None:
    """Upgrade to the same, to other labels, and roll back to how it was installed."""
    assert release.upgrade(VALUES).returncode == 0
    assert release.upgrade({**VALUES, "labels.team": "survey"}).returncode == 0
    assert release.job()["metadata"]["labels"]["team"] == "survey"
    rolled_back = release.helm("rollback", release.name, "1")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert "team" not in release.job()["metadata"]["labels"]


@pytest.mark.parametrize("version", HELMS)
def test_an_observation_that_is_uninstalled_closes_and_pushes_and_leaves_its_claim_if_asked(
    cluster: Cluster, namespace: str, remote: Remote, tmp_path: Path, version: int
) -> None:
    release = Endless(cluster, namespace, f"gone{version}", helm_version=version)
    release.begin(
        {
            **remote.values(f"gone{version}/obs.ms"),
            "storage.size": "64Mi",
            "storage.keep": True,
            "podDisruptionBudget.enabled": True,
            "networkPolicy.enabled": True,
            "networkPolicy.egressPorts": [8080],
        }
    )
    closed = release.wait_until_closed()
    pod = release.pod()

    with release.watched() as watch:
        release.uninstall()
        codes = watch.wait_for_exit_codes(pod)

    assert codes == {"model": 0, "receiver": TERMINATED, "sender": TERMINATED, "push": 0}
    pushed = remote.fetch_pushed(f"gone{version}", tmp_path)
    assert integrations(pushed, "obs") >= DUMPS_PER_SET * closed
    claim = f"persistentvolumeclaim/{release.name}-results"
    assert objects(release) == {claim}
    reader = Reader(cluster, namespace, f"reader{version}")
    reader.start(f"{release.name}-results")
    kept = reader.fetch_left(f"{release.name}/0", tmp_path / "kept")
    assert integrations(kept, "recv-vis") == integrations(pushed, "obs")
    release.kubectl("delete", "pod", reader.name)
    release.kubectl("delete", claim)


def test_a_claim_that_nobody_asked_to_stay_goes_with_its_release(
    cluster: Cluster, namespace: str
) -> None:
    release = Endless(cluster, namespace, "tidy")
    values = {"storage.size": "64Mi", "reader.num_timestamps": 3, "transmission.time_interval": 0.1}
    release.install(values)
    token = ("get", "secret", release.name, "-o", "jsonpath={.data.token}")
    before = release.kubectl(*token)
    assert before
    assert f"persistentvolumeclaim/{release.name}-results" in objects(release)
    assert release.upgrade({**values, "labels.team": "survey"}).returncode == 0
    assert release.kubectl(*token) == before
    release.wait_until_complete()
    release.uninstall()
    until(lambda: objects(release) == set(), "nothing is left")
