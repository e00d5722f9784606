"""How an upgrade treats an observation that is there.

No image is needed: pods that cannot start are as good as running ones for what is refused here.
"""

from __future__ import annotations

import json

import pytest

from tests.cluster.charts.rendering import CHARTS
from tests.waiting import wait_until

REFUSED = "uninstall first, or choose another name"
GIVEN = ("--set", "model.url=https://models.example.org/a.zip,transmit.model=false")


@pytest.fixture(params=[3, 4])
def version(request):
    """Return the major version of each Helm."""
    return request.param


def helm(cluster, version, namespace, command, *options, chart="receive", check=True):
    """Install or upgrade release ``obs``; return what Helm said."""
    path = [CHARTS / chart] if command in {"install", "upgrade"} else []
    done = cluster.helm(
        command, "obs", *path, "--namespace", namespace, *options, version=version, check=check
    )
    return done.stdout + done.stderr


def test_an_unchanged_upgrade_is_harmless_and_a_changed_one_refused(cluster, namespace, version):
    helm(cluster, version, namespace, "install", *GIVEN)
    before = cluster.get("job", "obs", "--namespace", namespace)
    token = cluster.get("secret", "obs", "--namespace", namespace)["data"]["token"]
    helm(cluster, version, namespace, "upgrade", *GIVEN)
    helm(cluster, version, namespace, "upgrade", "--reuse-values")
    helm(cluster, version, namespace, "upgrade", *GIVEN, "--set", "labels.team=imaging")
    for changed in (
        "processes=2",
        "reception.ring_heaps=8",
        "image.tag=other",
        "model.url=https://models.example.org/b.zip",
        "proxy.use=true,proxy.server=me:secret@proxy:3128",
    ):
        said = helm(cluster, version, namespace, "upgrade", *GIVEN, "--set", changed, check=False)
        assert REFUSED in said, changed
        assert "is running" in said
    after = cluster.get("job", "obs", "--namespace", namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"]["team"] == "imaging"
    assert cluster.get("secret", "obs", "--namespace", namespace)["data"]["token"] == token
    helm(cluster, version, namespace, "rollback", "1")
    helm(cluster, version, namespace, "uninstall")


def test_another_helm_upgrades_as_well(cluster, namespace):
    helm(cluster, 3, namespace, "install", *GIVEN)
    helm(cluster, 4, namespace, "upgrade", *GIVEN)
    helm(cluster, 4, namespace, "uninstall")


def test_an_observation_is_not_begun_anew_when_its_job_is_gone(cluster, namespace, version):
    helm(cluster, version, namespace, "install", *GIVEN)
    cluster.kubectl("delete", "job", "obs", "--namespace", namespace, "--wait=true")
    said = helm(cluster, version, namespace, "upgrade", *GIVEN, check=False)
    assert "the Job of observation obs is gone" in said
    assert REFUSED in said
    helm(cluster, version, namespace, "uninstall")


def test_an_observation_that_is_over_stays_so(cluster, namespace, version):
    short = (*GIVEN, "--set", "activeDeadlineSeconds=1,terminationGracePeriodSeconds=0")
    helm(cluster, version, namespace, "install", *short)

    def over():
        job = cluster.get("job", "obs", "--namespace", namespace)
        conditions = job.get("status", {}).get("conditions", [])
        return any(one["type"] == "Failed" for one in conditions)

    wait_until(over, "the Job has failed at its deadline")
    helm(cluster, version, namespace, "upgrade", *short)
    said = helm(cluster, version, namespace, "upgrade", *short, "--set", "processes=2", check=False)
    assert "observation obs is over" in said
    helm(cluster, version, namespace, "uninstall")


def test_uninstalling_leaves_the_claims_that_were_to_stay(cluster, namespace, version):
    options = (*GIVEN, "--set", "storage.size=1Mi,storage.keep=true")
    helm(cluster, version, namespace, "install", *options)
    helm(cluster, version, namespace, "uninstall")
    kinds = "job,service,configmap,secret,serviceaccount,persistentvolumeclaim"
    left = cluster.get(kinds, "--namespace", namespace, "--selector=app.kubernetes.io/name")
    names = [
        one["metadata"]["name"]
        for one in left["items"]
        if not one["metadata"].get("deletionTimestamp")
    ]
    assert names == ["obs-results"], json.dumps(left)[:2000]
