"""What operators ask a running receiver: how it goes, and to end."""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.cluster.frugal import FRUGAL
from tests.cluster.release import Release, exit_codes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("images")

TIMEOUT_S = 30
HEAPS = re.compile(r"^vis_receive_heaps_received_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


@contextlib.contextmanager
def forwarded(release: Release) -> Iterator[str]:
    """Forward the monitor's port as the release's notes say; yield its URL."""
    with subprocess.Popen(
        [
            *(release.cluster.kubectl_path, "--namespace", release.namespace),
            *("port-forward", release.pod(), ":8080"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=release.cluster.environment,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            port = re.search(r"127\.0\.0\.1:([0-9]+) ->", said)
            assert port is not None, said
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            process.terminate()


def ask(url: str, token: str | None = None) -> tuple[int, str]:
    """Ask; with a token POST."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    method = "GET" if token is None else "POST"
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def heaps(metrics: str) -> float:
    return sum(float(count) for count in HEAPS.findall(metrics))


def test_metrics_are_scraped_and_a_request_ends_the_observation(
    cluster: Cluster, namespace: str
) -> None:
    release = Release(cluster, namespace, "obs")
    notes = release.install(FRUGAL | {"reader.num_repeats": 1000, "monitoring.annotations": True})
    assert "curl -X POST" in notes
    release.wait_until_ready()
    [pod] = release.pods()
    marks = pod["metadata"]["annotations"]
    assert (marks["prometheus.io/scrape"], marks["prometheus.io/port"]) == ("true", "8080")
    # Prometheus asks the pod itself; so does the API server.
    monitor = f"/api/v1/namespaces/{namespace}/pods/{release.pod()}:8080/proxy/metrics"
    until(lambda: heaps(release.kubectl("get", "--raw", monitor)) > 0, "heaps are counted")
    secret = cluster.get("secret", "obs", "--namespace", namespace)
    token = base64.b64decode(secret["data"]["token"]).decode()
    with forwarded(release) as url:
        assert ask(f"{url}/readyz")[0] == 200
        assert '"state": "receiving"' in ask(f"{url}/summary")[1]
        before = heaps(ask(f"{url}/metrics")[1])
        assert ask(f"{url}/stop", "a-guess")[0] == 401
        assert release.condition() == ""
        assert ask(f"{url}/stop", token)[0] == 202
    release.wait_until_complete()
    codes = exit_codes(release.pods()[-1])
    assert codes == {"model": 0, "receiver": 0, "sender": 0}, release.everything()
    assert token not in release.everything()
    said = re.search(
        r"received ([0-9]+) integrations.*, ended_by=stopped: [^D]", release.logs("receiver")
    )
    assert said is not None, release.logs("receiver")
    assert int(said[1]) >= before
