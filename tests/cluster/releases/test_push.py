"""Results pushed to remotes that are pods: what is there afterwards is what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.release import Release, exit_codes
from tests.cluster.servers import Remote, Site, secret
from tests.commands import ok
from tests.remotes import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

TOKEN = "dl-of-the-configuration"  # noqa: S105
PUSH = {"results.push": True, "results.start_timeout": 120, "transmission.time_interval": 0.05}


@pytest.fixture(scope="module")
def site(cluster: Cluster, namespace: str) -> Site:
    return Site(cluster, namespace, "site")


@pytest.fixture(scope="module")
def remotes(cluster: Cluster, namespace: str, site: Site) -> dict[str, Remote]:
    up = {kind: Remote(cluster, namespace, kind) for kind in ("s3", "webdav")}
    for remote in up.values():
        remote.start()
    site.start({"rclone.conf": up["webdav"].config()})
    for server in (*up.values(), site):
        server.wait_until_ready()
    up["webdav"].occupy("demo.ms")
    return up


@pytest.fixture(scope="module")
def releases(
    cluster: Cluster, namespace: str, remotes: dict[str, Remote], site: Site, images: None
) -> dict[str, Release]:
    """Return a release that pushes to each remote; what its operator knows is in a Secret."""
    cluster.apply(secret("remote", {"rclone.conf": remotes["s3"].config()}), namespace=namespace)
    to_s3 = Release(cluster, namespace, "to-s3")
    to_s3.install(
        PUSH
        | {
            "processes": 2,
            "transmission.channels_per_stream": 2,
            "rclone.secret": "remote",
            "rclone.command": "far:bucket/demo.ms",
        }
    )
    to_webdav = Release(cluster, namespace, "to-webdav", helm_version=4)
    to_webdav.install(
        PUSH
        | {
            "rclone.configurl": site.url(f"rclone.conf?token={TOKEN}"),
            "rclone.command": "far:bucket/demo.ms",
        }
    )
    return {"s3": to_s3, "webdav": to_webdav}


@pytest.fixture(scope="module")
def model(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the observation that was sent: the sample that is in the image."""
    return site.fetch_sample(tmp_path_factory.mktemp("model"))


def test_two_receivers_push_to_s3_by_a_secret(
    releases: dict[str, Release], remotes: dict[str, Remote], model: Path, tmp_path: Path
) -> None:
    release, remote = releases["s3"], remotes["s3"]
    release.wait_until_complete()
    for index in range(2):
        # S3 keeps hashes, so nothing is read back.
        assert f"far:bucket/demo-{index}.ms" in release.logs("push", index)
        assert "hashes compared" in release.logs("push", index)
        ended = exit_codes(release.pods(index)[-1])
        assert ended == {"model": 0, "receiver": 0, "sender": 0, "push": 0}
    assert remote.sets() == ["demo-0.ms", "demo-1.ms"]
    pushed = [remote.fetch_pushed(name, tmp_path) for name in remote.sets()]
    joined = tmp_path / "joined.ms"
    ok("ms-concat", joined, *pushed)
    ok("ms-diff", "--round-trip", model, joined)


def test_a_receiver_pushes_to_webdav_by_a_fetched_configuration(
    releases: dict[str, Release],
    remotes: dict[str, Remote],
    site: Site,
    model: Path,
    tmp_path: Path,
) -> None:
    release, remote = releases["webdav"], remotes["webdav"]
    release.wait_until_complete()
    # WebDAV keeps no hashes, so all is read back.
    assert "contents compared" in release.logs("push")
    # What was at the place before stays.
    assert "there is something else at far:bucket/demo.ms already" in release.logs("push")
    assert remote.sets() == ["demo-1.ms", "demo.ms"]
    ok("ms-diff", "--round-trip", model, remote.fetch_pushed("demo-1.ms", tmp_path))
    # Once, before the observation; and nowhere but in the Secret.
    assert site.log().count(f"GET /rclone.conf?token={TOKEN}") == 1
    shown = release.everything() + release.manifests()
    assert TOKEN not in shown
    assert PASSWORD not in shown
