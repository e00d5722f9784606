"""Two receivers in one multicast group, and one sender that reaches both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.release import Release
from tests.cluster.servers import SAMPLE_CHANNELS, Remote, Site, secret
from tests.commands import ok

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = [pytest.mark.needs("multicast"), pytest.mark.usefixtures("images")]

GROUP = "239.17.3.41"
PER_STREAM = SAMPLE_CHANNELS // 4


def test_receivers_of_one_group_each_receive_their_channels(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    remote, site = Remote(cluster, namespace, "webdav"), Site(cluster, namespace, "site")
    remote.start()
    site.start({})
    cluster.apply(secret("remote", {"rclone.conf": remote.config()}), namespace=namespace)
    receivers = Release(cluster, namespace, "group", helm_version=4)
    receivers.install(
        {
            "processes": 2,
            "transmit.model": False,
            "reception.bind_hostname": GROUP,
            "transmission.channels_per_stream": PER_STREAM,
            "results.push": True,
            "rclone.secret": "remote",
            "rclone.command": "far:bucket/group.ms",
        }
    )
    receivers.wait_until_ready(2)
    # No name tells the sender that receivers of a group are there, so the operator looks.
    sender = Release(cluster, namespace, "sender", chart="emulator")
    sender.install(
        {
            "transmission.target_host": GROUP,
            "transmission.ttl": 2,
            "transmission.channels_per_stream": PER_STREAM,
            "transmission.time_interval": 0.05,
        }
    )
    sender.wait_until_complete()
    receivers.wait_until_complete()
    assert f"to {GROUP}:41000 and 3 others" in sender.logs("sender")
    for index, ports in enumerate(("41000-41001", "41002-41003")):
        said = receivers.logs("receiver", index)
        assert f"Ready: udp {GROUP}, ports {ports}" in said
        # Packets of the other's streams have other ports, and are nobody's loss.
        assert "received 20 integrations" in said
        assert "nothing was lost" in said
    joined = tmp_path / "joined.ms"
    ok("ms-concat", joined, *(remote.fetch_pushed(f"group-{i}.ms", tmp_path) for i in range(2)))
    ok("ms-diff", "--round-trip", site.fetch_sample(tmp_path), joined)
