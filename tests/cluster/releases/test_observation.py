"""A release with the charts' defaults: a whole observation, from installing to uninstalling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.release import Release, exit_codes

if TYPE_CHECKING:
    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.parametrize("helm_version", [3, 4])
def test_a_release_with_the_defaults_is_a_whole_observation(
    cluster: Cluster, namespace: str, helm_version: int
) -> None:
    release = Release(cluster, namespace, f"obs{helm_version}", helm_version=helm_version)
    notes = release.install({"transmission.time_interval": 0.2})
    assert "kubectl -n" in notes
    release.wait_until_complete()
    assert exit_codes(release.pods(0)[-1]) == {"model": 0, "receiver": 0, "sender": 0}
    assert "received 20 integrations" in release.logs("receiver")
    assert "nothing was lost" in release.logs("receiver")
    tested = release.helm("test", release.name, "--timeout", "120s")
    assert tested.returncode == 0, f"{tested.stdout}\n{tested.stderr}\n{release.everything()}"
    release.uninstall()
    left = release.kubectl("get", "all,configmaps,secrets,serviceaccounts,pvc", "-o", "name")
    of_the_cluster = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert set(left.split()) <= of_the_cluster
