"""Results that cannot be pushed, and receivers that leave none: what an operator sees of it.

All releases are installed at once, and wait side by side.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, message, until
from tests.cluster.servers import PORT, Reader, Remote, secret
from tests.commands import ok
from tests.remotes import config

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

PUSHES = FRUGAL | {
    "attempts": 2,
    "results.push": True,
    "results.retries": 0,
    "rclone.secret": "remotes",
}
ENDLESS = {"reader.num_repeats": 1000, "consumer.max_dumps_per_ms": 0}


CONSUMED = "vis_receive_consumer_dumps_taken_total"


@pytest.fixture(scope="module")
def remotes(cluster: Cluster, namespace: str) -> dict[str, Remote]:
    """Return a remote that is there, and one that is not yet, but for its service."""
    made = {kind: Remote(cluster, namespace, kind) for kind in ("s3", "webdav")}
    made["s3"].start()
    for name in ("webdav", "away"):
        spec = {"selector": {"app": name}, "ports": [{"port": PORT}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        cluster.apply(service, namespace=namespace)
    s3 = made["s3"].address
    known = [
        made["s3"].config("good"),
        config("s3", PORT, "wrong", "not-the-password", s3),
        made["webdav"].config("late"),
        made["s3"].config("gone", f"away.{namespace}.svc"),
    ]
    cluster.apply(secret("remotes", {"rclone.conf": "\n".join(known)}), namespace=namespace)
    made["s3"].wait_until_ready()
    return made


VALUES: dict[str, dict[str, Any]] = {
    "late": {"rclone.command": "late:bucket/late.ms", "results.retries": 8},
    "gone": {
        "rclone.command": "gone:bucket/gone.ms",
        "results.retries": 1,
        "storage.size": "64Mi",
    },
    "wrong": {"rclone.command": "wrong:bucket/wrong.ms"},
    "unknown": {"rclone.command": "nowhere:bucket/unknown.ms"},
    "crashed": {"rclone.command": "good:bucket/crashed.ms", "attempts": 0, **ENDLESS},
    "partial": {
        "rclone.command": "good:bucket/partial.ms",
        "attempts": 0,
        "results.push_partial": True,
        **ENDLESS,
    },
    "silent": {
        "rclone.command": "good:bucket/silent.ms",
        "attempts": 0,
        "transmit.model": False,
        "reception.idle_timeout": 3,
    },
}


@pytest.fixture(scope="module")
def releases(
    cluster: Cluster, namespace: str, remotes: dict[str, Remote], images: None
) -> dict[str, Release]:
    made = {}
    for name, values in VALUES.items():
        made[name] = Release(cluster, namespace, name)
        made[name].install(PUSHES | values)
    return made


def ended(release: Release) -> dict[str, Any]:
    """Wait until the Job has failed; return its only pod."""
    assert release.wait_until_ended() == "Failed", release.everything()
    [pod] = release.pods()
    return pod


def last_line(pod: dict[str, Any], container: str) -> str:
    return message(pod, container).splitlines()[-1]


def received(release: Release) -> int:
    """Return how many integrations have been received so far."""
    monitor = f"/api/v1/namespaces/{release.namespace}/pods/{release.pod()}:8080/proxy/metrics"
    metrics = release.kubectl("get", "--raw", monitor, check=False)
    found = [line for line in metrics.splitlines() if line.startswith(CONSUMED)]
    return int(float(found[0].split()[-1])) if found else 0


def test_a_remote_that_comes_back_gets_the_results(
    releases: dict[str, Release], remotes: dict[str, Remote]
) -> None:
    release = releases["late"]
    until(lambda: "attempt 2 of 9 failed" in release.logs("push"), "two attempts have failed")
    assert release.exit_code("receiver") == 0
    assert release.exit_code("push") is None
    remotes["webdav"].start()
    release.wait_until_complete()
    log = release.logs("push")
    assert "attempt 1 of 9 failed" in log
    assert "pushed /results/recv-vis.ms to late:bucket/late.ms" in log
    assert "late.ms" in remotes["webdav"].sets()


@pytest.mark.needs("host-control")
@pytest.mark.parametrize("name", ["crashed", "partial"])
def test_a_receiver_that_is_killed(
    releases: dict[str, Release], remotes: dict[str, Remote], name: str, tmp_path: Path
) -> None:
    release = releases[name]
    release.wait_until_ready()
    until(lambda: received(release) > 10, f"integrations come: {release.overview()}")
    before = received(release)
    release.cluster.kill(release.namespace, release.pod(), "receiver")
    pod = ended(release)
    codes = exit_codes(pod)
    # What ended the receiver fails the pod; the sender, which is not at fault, ends with it.
    assert codes == {"model": 0, "receiver": 137, "sender": 0, "push": 0}, release.everything()
    log = release.logs("push")
    if name == "crashed":
        assert "nothing is pushed: the receiver crashed, and results.push_partial is false" in log
        assert "crashed.ms" not in remotes["s3"].sets()
        return
    assert "the receiver crashed: what it left is pushed as it is" in log
    pushed = remotes["s3"].fetch_pushed("partial.ms", tmp_path)
    said = ok("ms-recover", pushed)
    closed = int(said.partition("closed with ")[2].partition(" integrations")[0])
    assert closed >= before, said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wrong", "SignatureDoesNotMatch"),
        ("gone", "connection refused"),
    ],
)
def test_a_remote_that_refuses_or_stays_away_fails_the_index_for_good(
    releases: dict[str, Release], name: str, says: str
) -> None:
    release = releases[name]
    pod = ended(release)
    assert exit_codes(pod) == {"model": 0, "receiver": 0, "sender": 0, "push": 10}
    line = last_line(pod, "push")
    assert line.startswith("emu-push: error: /results/recv-vis.ms could not be pushed to ")
    assert says in line, line
    assert release.job()["status"]["failedIndexes"] == "0"


def test_what_could_not_be_pushed_is_still_on_the_claim(
    cluster: Cluster, releases: dict[str, Release], tmp_path: Path
) -> None:
    release = releases["gone"]
    ended(release)
    reader = Reader(cluster, release.namespace, "reader")
    reader.start("gone-results")
    reader.wait_until_ready()
    reader.fetch_left("gone/0", tmp_path / "results")
    summary = json.loads((tmp_path / "results" / "recv-vis.summary.json").read_text())
    assert [scan["integrations"] for scan in summary["scans"]] == [20]
    ok("ms-recover", tmp_path / "results" / "recv-vis.ms")


def test_a_remote_that_nobody_described_ends_push_while_there_is_time(
    releases: dict[str, Release],
) -> None:
    pod = ended(releases["unknown"])
    assert exit_codes(pod)["push"] == 2
    assert "has no remote nowhere; it has: good, wrong, late, gone" in last_line(pod, "push")


def test_a_receiver_that_nothing_came_to_is_not_pushed_as_if_it_were_good(
    releases: dict[str, Release], remotes: dict[str, Remote]
) -> None:
    pod = ended(releases["silent"])
    assert exit_codes(pod) == {"model": 0, "receiver": 6, "push": 0}
    said = last_line(pod, "receiver")
    assert said.startswith("emu-recv: error: nothing arrived in ")
    assert "is the sender's target this address and port" in said
    log = releases["silent"].logs("push")
    assert "nothing is pushed: the receiver failed, and results.push_partial is false" in log
    assert "silent.ms" not in remotes["s3"].sets()
