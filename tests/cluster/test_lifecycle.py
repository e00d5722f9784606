"""What operators do to a release while it runs and after: upgrade, roll back, uninstall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.endless import DUMPS_PER_SET, VALUES, Endless
from tests.cluster.namespaces import new_namespace
from tests.cluster.observed import integrations
from tests.cluster.release import until
from tests.cluster.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

HELMS = (3, 4)
TERMINATED = 143
SHORT = {**VALUES, "reader.num_repeats": 1, "transmission.time_interval": 0.01}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with new_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def remote(cluster: Cluster, namespace: str) -> Shelf:
    shelf = Shelf(cluster, namespace, "remote")
    shelf.start()
    return shelf


def state(release: Endless) -> tuple[str, str, int]:
    """Return what shows whether anything happened to an observation: its Job, pod, restarts."""
    (pod,) = release.pods()
    restarts = sum(one["restartCount"] for one in pod["status"]["containerStatuses"])
    return release.job()["metadata"]["uid"], pod["metadata"]["uid"], restarts


def is_deployed(release: Endless) -> bool:
    return "STATUS: deployed" in release.helm("status", release.name).stdout


def objects(release: Endless) -> set[str]:
    """Return what there is of a release."""
    kinds = "jobs,pods,services,configmaps,secrets,serviceaccounts,pvc,pdb,networkpolicies"
    instance = f"app.kubernetes.io/instance={release.name}"
    return set(release.kubectl("get", kinds, "-l", instance, "-o", "name").split())


def token(release: Endless) -> str:
    return release.kubectl("get", "secret", release.name, "-o", "jsonpath={.data.token}")


def label(release: Endless) -> str:
    labels: dict[str, str] = release.job()["metadata"]["labels"]
    return labels.get("team", "")


@pytest.mark.parametrize("version", HELMS)
def test_an_upgrade_leaves_a_running_observation_as_it_is_or_is_refused(
    cluster: Cluster, namespace: str, version: int
) -> None:
    release = Endless(cluster, namespace, f"upgraded{version}", helm_version=version)
    release.begin()
    release.wait_until_closed()
    before = state(release)

    refused = release.upgrade({**VALUES, "reception.max_scans": 2})

    assert refused.returncode == 1
    assert (
        f"observation {release.name} is running, and its configuration cannot be changed any "
        f"more: uninstall first, or choose another name (helm uninstall {release.name} -n "
        f"{namespace})"
    ) in refused.stderr
    assert is_deployed(release)
    assert release.upgrade(VALUES).returncode == 0
    assert release.upgrade({**VALUES, "labels.team": "survey"}).returncode == 0
    assert label(release) == "survey"
    rolled_back = release.helm("rollback", release.name, "1")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert label(release) == ""
    assert is_deployed(release)
    assert state(release) == before
    release.wait_until_closed(release.closed_sets() + 1)
    release.end()
    release.wait_until_complete()
    assert "nothing was lost" in release.logs("receiver")
    assert state(release) == before
    release.uninstall()
    assert objects(release) == set()


@pytest.mark.parametrize("version", HELMS)
def test_an_upgrade_of_an_observation_that_is_over_does_not_begin_it_anew(
    cluster: Cluster, namespace: str, version: int
) -> None:
    values: dict[str, Any] = {k: v for k, v in SHORT.items() if k != "monitor.token_file"}
    release = Endless(cluster, namespace, f"over{version}", helm_version=version)
    release.install(values)
    release.wait_until_complete()
    before, secret = state(release), token(release)
    assert secret

    assert release.upgrade({**values, "labels.team": "survey"}).returncode == 0
    refused = release.upgrade({**values, "reception.max_scans": 2})

    assert refused.returncode == 1
    assert f"observation {release.name} is over, and its configuration cannot" in refused.stderr
    assert release.helm("rollback", release.name, "1").returncode == 0
    assert (state(release), token(release)) == (before, secret)
    assert release.condition() == "Complete"
    release.kubectl("delete", "job", release.name)
    refused = release.upgrade(values)
    assert refused.returncode == 1
    assert f"the Job of observation {release.name} is gone, and an upgrade would" in refused.stderr
    release.uninstall()
    assert objects(release) == set()


@pytest.mark.parametrize("version", HELMS)
def test_an_observation_that_is_uninstalled_closes_and_pushes_and_leaves_its_claim_if_asked(
    cluster: Cluster, namespace: str, remote: Shelf, tmp_path: Path, version: int
) -> None:
    release = Endless(cluster, namespace, f"gone{version}", helm_version=version)
    release.begin(
        {
            **remote.push_values(f"gone{version}/obs.ms"),
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
    pushed = remote.copy(f"gone{version}", tmp_path / "pushed")
    assert integrations(pushed, "obs") >= DUMPS_PER_SET * closed
    claim = f"persistentvolumeclaim/{release.name}-results"
    assert objects(release) == {claim}
    shelf = Shelf(cluster, namespace, f"claim{version}")
    shelf.start(f"{release.name}-results")
    kept = shelf.copy(f"{release.name}/0", tmp_path / "kept")
    assert integrations(kept, "recv-vis") == integrations(pushed, "obs")
    release.kubectl("delete", "pod", shelf.name)
    release.kubectl("delete", claim)


def test_a_claim_that_nobody_asked_to_stay_goes_with_its_release(
    cluster: Cluster, namespace: str
) -> None:
    release = Endless(cluster, namespace, "tidy")
    release.install({**SHORT, "storage.size": "64Mi"})
    claim = f"persistentvolumeclaim/{release.name}-results"
    assert claim in objects(release)
    release.wait_until_complete()
    release.uninstall()
    until(lambda: objects(release) == set(), "nothing is left")
