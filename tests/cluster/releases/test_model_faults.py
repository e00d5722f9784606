"""A telescope model that cannot be had, or must not be used: what an operator sees of it.

All releases are installed at once, and wait side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, message
from tests.cluster.servers import PORT, Server
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

SCRIPT = REPOSITORY / "tests/cluster/faulty_site.py"
OTHER_CHECKSUM = "0" * 64
QUICK = FRUGAL | {
    "attempts": 0,
    "modelFetch.retries": 2,
    "modelFetch.stallTimeout": 2,
    "reader.num_timestamps": 5,
}


@dataclass(frozen=True)
class Refusal:
    """How a fault ends: the code of the container `model`, and what its last line says."""

    exit_code: int
    says: tuple[str, ...]
    values: tuple[tuple[str, Any], ...] = ()
    pods: int = 1


REFUSALS = {
    "stalls": Refusal(5, ("not a byte came for 2 s", "given up after 3 attempts")),
    "ends-early": Refusal(5, ("given up after 3 attempts",)),
    "truncated": Refusal(3, ("is truncated",)),
    "page": Refusal(3, ("is a web page, titled 'Please log in',",)),
    "bomb": Refusal(3, ("unpacks to more than 300 times its size", "--max-ratio")),
    "escape": Refusal(3, ("../../etc/cron.d/evil",)),
    "link": Refusal(3, ("holds 'sim-vis.ms/table.dat', a link, so it is refused",)),
    "good": Refusal(
        3, ("checksum is", f"model.sha256 is {OTHER_CHECKSUM}"), (("model.sha256", OTHER_CHECKSUM),)
    ),
    # A wrong configuration is not tried again.
    "scheme": Refusal(
        2, ("model.url has the scheme ftp",), (("attempts", 2), ("model.url", "ftp://models/m.zip"))
    ),
    # The last, for Kubernetes waits before it tries again.
    "missing": Refusal(5, ("the server answered 404 Not Found",), (("attempts", 1),), pods=2),
}
ARRIVALS = {
    "slow": "fetched the model",
    "busy": "the server answered 503 Service Unavailable; attempt 3 of 3 follows",
}


class Site(Server):
    """The site of faults."""

    def start(self) -> None:
        """Begin."""
        script = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name},
            "data": {SCRIPT.name: SCRIPT.read_text()},
        }
        self.cluster.apply(script, namespace=self.namespace)
        command = ["python", "-u", f"/srv/{SCRIPT.name}", str(PORT)]
        self._start("receive", command, {"configMap": {"name": self.name}}, "/srv")


@pytest.fixture(scope="module")
def releases(cluster: Cluster, namespace: str, images: None) -> dict[str, Release]:
    site = Site(cluster, namespace, "models")
    site.start()
    site.wait_until_ready()
    made = {}
    for fault in (*REFUSALS, *ARRIVALS):
        made[fault] = Release(cluster, namespace, fault)
        more = dict(REFUSALS[fault].values) if fault in REFUSALS else {}
        url = f"http://{site.address}:{PORT}/{fault}/model.tar.gz?sig=secret-of-the-url"
        made[fault].install({**QUICK, "model.url": url, **more})
    return made


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_model_that_cannot_be_had_ends_the_pod_with_one_line(
    releases: dict[str, Release], fault: str
) -> None:
    release, expected = releases[fault], REFUSALS[fault]
    assert release.wait_until_ended() == "Failed", release.everything()
    assert release.job()["status"]["failedIndexes"] == "0"
    pods = release.pods()
    assert len(pods) == expected.pods
    pod = pods[-1]
    assert exit_codes(pod) == {"model": expected.exit_code}
    said = message(pod, "model")
    line = said.splitlines()[-1]
    assert line.startswith("emu-fetch-model: "), said
    for text in expected.says:
        assert text in line
    assert "secret-of-the-url" not in release.everything()
    # Nothing else has begun, and nothing of it is a defect of ours.
    assert "Traceback" not in release.logs("model")
    listed = release.kubectl("get", "pods", "-l", f"app.kubernetes.io/instance={fault}")
    assert "Init:Error" in listed
    assert line in release.kubectl("describe", "pod", pod["metadata"]["name"])


@pytest.mark.parametrize("fault", ARRIVALS)
def test_a_model_that_comes_late_comes(releases: dict[str, Release], fault: str) -> None:
    release = releases[fault]
    release.wait_until_complete()
    assert ARRIVALS[fault] in release.logs("model")
    assert "received 5 integrations" in release.logs("receiver")
