"""Receivers that do not start, hang, are misconfigured, or whose disk is full: what is seen of it.

All releases are installed at once, and wait side by side.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from images.__main__ import image_name
from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, message, until
from tests.cluster.servers import Remote, secret

if TYPE_CHECKING:
    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

# What a consumer of one's own, or a file server that does not answer, can do to a receiver.
MODULES = {
    "hangs.py": """\
        import threading

        threading.Event().wait()
        """,
    "sitecustomize.py": """\
        import os, sys, threading

        if os.environ.get("HANGS_AT") == "start" and "emu-recv" in " ".join(sys.orig_argv):
            threading.Event().wait()
        """,
}
WITH_MODULES = {
    "extraVolumes": [{"name": "modules", "configMap": {"name": "modules"}}],
    "extraVolumeMounts": [{"name": "modules", "mountPath": "/modules"}],
}
PUSHES = {
    "results.push": True,
    "rclone.secret": "remotes",
    "rclone.command": "good:bucket/set.ms",
}
QUICK = FRUGAL | {"attempts": 0, "terminationGracePeriodSeconds": 2}
VALUES: dict[str, dict[str, Any]] = {
    "hangs-at-start": {
        "extraEnv": [
            {"name": "PYTHONPATH", "value": "/modules"},
            {"name": "HANGS_AT", "value": "start"},
        ],
        "results.start_timeout": 6,
        **WITH_MODULES,
        **PUSHES,
    },
    "hangs-before-ready": {
        "extraEnv": [{"name": "PYTHONPATH", "value": "/modules"}],
        "reception.consumer": ["hangs.Consumer"],
        "results.start_timeout": 10,
        **WITH_MODULES,
    },
    "wrong": {"attempts": 2, "reception.num_ports": 7, **PUSHES},
    # Without a container model, which would wait for its image too.
    "no-image": {
        "image.tag": "of-another-day",
        "pushImage.tag": image_name("push").rpartition(":")[2],
        "model.pull": False,
        "reception.datamodel": "/model/sim-vis.ms",
        "results.start_timeout": 4,
        "activeDeadlineSeconds": 600,
        **PUSHES,
    },
}


@pytest.fixture(scope="module")
def releases(cluster: Cluster, namespace: str, images: None) -> dict[str, Release]:
    conf = Remote(cluster, namespace, "s3").config("good")
    modules = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "modules"},
        "data": {name: textwrap.dedent(text) for name, text in MODULES.items()},
    }
    cluster.apply(modules, secret("remotes", {"rclone.conf": conf}), namespace=namespace)
    made = {}
    for name, values in VALUES.items():
        made[name] = Release(cluster, namespace, name)
        made[name].install(QUICK | values)
    return made


def ended(release: Release) -> dict[str, Any]:
    """Wait until the Job has failed; return its only pod."""
    assert release.wait_until_ended() == "Failed", release.everything()
    [pod] = release.pods()
    return pod


def test_an_image_that_is_not_there_ends_with_the_deadline(releases: dict[str, Release]) -> None:
    release = releases["no-image"]
    until(lambda: release.exit_code("push") is not None, f"push ends: {release.overview()}")
    [pod] = release.pods()
    assert exit_codes(pod) == {"push": 11}
    assert "no receiver has begun in /run/vis-receive in 4 s" in message(pod, "push")
    waits = {
        one["name"]: one["state"]["waiting"]["reason"]
        for one in pod["status"]["containerStatuses"]
        if "waiting" in one["state"]
    }
    assert set(waits) == {"receiver", "sender"}
    assert set(waits.values()) <= {"ErrImagePull", "ImagePullBackOff"}
    assert "Failed to pull image" in release.kubectl("get", "events")
    # The kubelet goes on trying: nothing but the deadline ends it, and the pods with it.
    assert release.condition() == ""
    now = '{"spec": {"activeDeadlineSeconds": 1}}'
    release.kubectl("patch", "job", release.name, "--patch", now)
    assert release.wait_until_ended() == "Failed"
    [condition] = [one for one in release.job()["status"]["conditions"] if one["type"] == "Failed"]
    assert condition["reason"] == "DeadlineExceeded"
    until(lambda: not release.pods(), "the pods have gone")


def test_a_wrong_configuration_is_not_tried_again(releases: dict[str, Release]) -> None:
    release = releases["wrong"]
    pod = ended(release)
    codes = exit_codes(pod)
    assert (codes["receiver"], codes["push"]) == (2, 0), release.everything()
    line = message(pod, "receiver").splitlines()[-1]
    assert line.startswith("emu-recv: error: reception.num_ports = 7 does not share out")
    assert "Traceback" not in release.everything()
    assert release.job()["status"]["failedIndexes"] == "0"


@pytest.mark.parametrize("name", ["hangs-at-start", "hangs-before-ready"])
def test_a_receiver_that_hangs_before_it_is_ready_is_ended(
    releases: dict[str, Release], name: str
) -> None:
    release = releases[name]
    pod = ended(release)
    codes = exit_codes(pod)
    # The sender waited for it in vain.
    assert (codes["receiver"], codes["sender"]) == (137, 5), release.everything()
    chosen = f"involvedObject.name={pod['metadata']['name']}"
    events = release.kubectl("get", "events", "--field-selector", chosen)
    assert "Container receiver failed startup probe" in events
    if name == "hangs-at-start":
        assert codes["push"] == 11
        assert "no receiver has begun in /run/vis-receive in 6 s" in message(pod, "push")
