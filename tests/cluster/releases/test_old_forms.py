"""Releases installed by the words that people have typed for years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.__main__ import image_name
from tests.cluster.release import Release, exit_codes
from tests.cluster.servers import SAMPLE_CHANNELS, Remote, Site
from tests.commands import ok

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

IMAGE, _, VERSION = image_name("receive").rpartition(":")
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "receive-data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
BOTH = (
    f"image={IMAGE}",
    f"version={VERSION}",
    "initContainersEnabled=true",
    "transmission.method=spead2_transmitters",
    f"transmission.channels_per_stream={SAMPLE_CHANNELS}",
    "transmission.time_interval=0.05",
    "proxy.use=false",
    "proxy.server=proxy.example.org:8888",
    "proxy.noproxy={}",
)
RECEIVER = (
    *BOTH,
    "replicas=1",
    "transmit.model=false",
    "reception.method=spead2_receivers",
    "reception.receiver_port_start=41000",
    "reception.consumer=spead2_mswriter",
    "reception.ring_heaps=133",
    "reception.outputfilename=/mnt/data/output.ms",
    "pvc.name=receive-data",
    "pvc.path=/mnt/data",
    "results.push=true",
)


def typed(option: str, *values: str) -> list[str]:
    return [part for value in values for part in (option, value)]


def test_what_was_typed_before_runs(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    remote, site = Remote(cluster, namespace, "webdav"), Site(cluster, namespace, "site")
    remote.start()
    site.start({"rclone.conf": remote.config()})
    cluster.apply(CLAIM, namespace=namespace)
    pairs = []
    # With --set Helm makes numbers and booleans of what looks so, with --set-string it does not.
    for version, option in ((3, "--set-string"), (4, "--set")):
        name = f"old-{len(pairs)}"
        receiver = Release(cluster, namespace, name, helm_version=version)
        where = (f"rclone.configurl={site.url('rclone.conf')}?dl=1",)
        receiver.install(
            {}, *typed(option, *RECEIVER, *where, f"rclone.command=far:/bucket/{name}.ms")
        )
        sender = Release(cluster, namespace, f"{name}-sender", "emulator", version)
        aim = f"transmission.endpoints={{{name}-0.{name}:41000}}"
        sender.install({}, *typed(option, *BOTH, aim))
        pairs.append((receiver, sender))
    model = site.fetch_sample(tmp_path)
    for receiver, sender in pairs:
        sender.wait_until_complete()
        receiver.wait_until_complete()
        assert exit_codes(receiver.pods(0)[-1]) == {"model": 0, "receiver": 0, "push": 0}
        assert "Writing /mnt/data/output.ms" in receiver.logs("receiver")
        config = receiver.kubectl("get", "configmap", receiver.name, "-o", "jsonpath={.data}")
        assert "133" in config
        ok("ms-diff", "--round-trip", model, remote.fetch_pushed(f"{receiver.name}.ms", tmp_path))
