"""A site whose own authority signs its certificates: what goes out over TLS, through a proxy."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from testbed.certificates import Authority
from tests import remotes, site
from tests.cluster.forward_proxy import proxying
from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, message
from tests.cluster.servers import secret
from tests.commands import ok

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import LocalCluster
    from tests.simulated import SimulatedSets

pytestmark = [
    pytest.mark.cluster_wide,
    pytest.mark.needs("packet-filter"),
    pytest.mark.usefixtures("images"),
]

ARCHIVE, MODEL = "model.tar.gz", "sealed.ms"
UNREACHABLE = 5


def test_tls_passes_the_proxy_unopened_and_only_a_given_authority_is_trusted(
    cluster: LocalCluster, namespace: str, tmp_path: Path, simulated_set: SimulatedSets
) -> None:
    authority = Authority(tmp_path / "authority")
    certificate = authority.give("site", "site", hosts=(f"IP:{cluster.host}",))
    bundle = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "authority"},
        "data": {"site.pem": authority.file.read_text()},
    }
    model = simulated_set(num_antennas=4, integrations=5, channels=4)
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as tar:
        tar.add(model, MODEL)
    files = {ARCHIVE: (tmp_path / ARCHIVE).read_bytes()}
    with (
        site.serving(site.Site(files, address=cluster.host, certificate=certificate)) as web,
        remotes.serving("webdav", tmp_path / "far", 0, cluster.host, certificate) as remote,
        proxying(tmp_path, cluster.host, "astronomer", "hunter2") as proxy,
        cluster.packet_filter((cluster.host, proxy.port)),
    ):
        assert web.url("").startswith("https:")
        assert "url = https:" in remote.config()
        conf = secret("remote", {"rclone.conf": remote.config()})
        cluster.apply(conf, bundle, namespace=namespace)
        values = FRUGAL | {
            "attempts": 0,
            "proxy.use": True,
            "proxy.server": proxy.server,
            "model.url": web.url(ARCHIVE),
            "model.name": MODEL,
            "modelFetch.retries": 0,
            "results.push": True,
            "rclone.secret": "remote",
            "rclone.command": "far:bucket/sealed.ms",
        }
        trusting = Release(cluster, namespace, "trusting")
        trusting.install(
            values | {"caBundle.configMap": "authority", "caBundle.key": "site.pem"},
        )
        wary = Release(cluster, namespace, "wary")
        wary.install(values)

        trusting.wait_until_complete()
        ok("ms-diff", "--round-trip", model, remote.root / "bucket" / "sealed.ms")
        # All that the proxy saw of it is where it went.
        there = {(method, url.partition(":")[0]) for method, url in proxy.requests()}
        assert there == {("CONNECT", cluster.host)}

        assert wary.wait_until_ended() == "Failed"
        [pod] = wary.pods()
        assert exit_codes(pod)["model"] == UNREACHABLE
        assert "the server's certificate is not trusted" in message(pod, "model")
