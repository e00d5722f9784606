"""An observation whose pods reach out through a proxy, for they have no other way."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml

from tests import remotes, site
from tests.cluster.forward_proxy import ForwardProxy, proxying
from tests.cluster.release import Release, until
from tests.cluster.servers import Remote, Site, secret
from tests.commands import ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import LocalCluster

# The first test waits for seven pods, beside whatever else the machine does.
pytestmark = [
    pytest.mark.cluster_wide,
    pytest.mark.needs("packet-filter"),
    pytest.mark.usefixtures("images"),
    pytest.mark.timeout(600),
]
PATIENCE_S = 360.0

RECEIVERS, CHANNELS = 4, 8
USER, PASSWORD, TOKEN = "astronomer", "hunter2-of-the-proxy", "hush-of-the-model"
ARCHIVE = "lofar.tar.gz"
VARIABLES = {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
DIAL = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)"


@dataclass
class Outside:
    """What is on this machine, outside the cluster."""

    site: site.Site
    remote: remotes.Remote
    proxy: ForwardProxy

    @property
    def model_url(self) -> str:
        return f"{self.site.url(ARCHIVE)}?token={TOKEN}"


@dataclass
class Observation:
    """The releases of an observation, and what was seen while they ran."""

    receivers: Release
    sender: Release
    # Pushes to a remote in the cluster.
    inside: Release
    inside_remote: Remote
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    direct: str = ""

    @property
    def releases(self) -> tuple[Release, ...]:
        # Receivers wait long for a sender that failed.
        return self.sender, self.receivers, self.inside


@pytest.fixture(scope="module")
def outside(
    cluster: LocalCluster, made_lofar_ms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outside]:
    """Serve the set, a remote and the proxy; pods get no further than to the proxy."""
    folder = tmp_path_factory.mktemp("outside")
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        tar.add(made_lofar_ms, f"models/{made_lofar_ms.name}")
    files = site.Site({ARCHIVE: (folder / ARCHIVE).read_bytes()}, address=cluster.host)
    with (
        site.serving(files),
        remotes.serving("webdav", folder / "remote", address=cluster.host) as remote,
        proxying(folder, cluster.host, USER, PASSWORD) as proxy,
        cluster.packet_filter((cluster.host, proxy.port)),
    ):
        yield Outside(files, remote, proxy)


@pytest.fixture(scope="module")
def observation(
    cluster: LocalCluster,
    namespace: str,
    outside: Outside,
    made_lofar_ms: Path,
    images: None,
) -> Observation:
    """Run the observation to its end."""
    in_cluster = Remote(cluster, namespace, "webdav")
    in_cluster.start()
    web = Site(cluster, namespace, "web")
    # By its short name, which is the cluster's own to nobody but to proxy.noproxy.
    web.start({"rclone.conf": in_cluster.config(address=in_cluster.name)})
    cluster.apply(secret("remote", {"rclone.conf": outside.remote.config()}), namespace=namespace)
    proxied = {
        "proxy.use": True,
        "proxy.server": outside.proxy.server,
        "transmission.time_interval": 0.05,
    }
    model = {"model.url": outside.model_url, "model.name": made_lofar_ms.name}
    streams = {"transmission.channels_per_stream": CHANNELS // RECEIVERS}
    push = {"results.push": True, "results.start_timeout": 120}

    receivers = Release(cluster, namespace, "lofar")
    receivers.install(
        proxied
        | model
        | streams
        | push
        | {
            "processes": RECEIVERS,
            "transmit.model": False,
            "proxy.noproxy": [],
            "rclone.secret": "remote",
            "rclone.command": "far:bucket/lofar.ms",
        }
    )
    until(lambda: _running(receivers) == RECEIVERS, "the receivers' containers run", PATIENCE_S)
    sender = Release(cluster, namespace, "emulator", chart="emulator", helm_version=4)
    endpoints = [f"lofar-{index}.lofar:{41000 + index}" for index in range(RECEIVERS)]
    sender.install(proxied | model | streams | {"transmission.endpoints": endpoints})
    for server in (in_cluster, web):
        server.wait_until_ready()
    inside = Release(cluster, namespace, "inside")
    inside.install(
        proxied
        | push
        | {
            "proxy.noproxy": [in_cluster.name],
            "rclone.configurl": web.url("rclone.conf"),
            "rclone.command": "far:bucket/inside.ms",
        }
    )
    made = Observation(receivers, sender, inside, in_cluster)
    made.environment = {name: _environment(receivers, name) for name in ("receiver", "push")}
    made.direct = cluster.kubectl(
        *("exec", "--namespace", namespace, receivers.pod(), "-c", "receiver", "--"),
        *("python", "-c", DIAL, cluster.host, str(outside.site.port)),
        check=False,
    ).stderr
    for release in made.releases:
        release.wait_until_complete(PATIENCE_S)
    return made


def _running(release: Release) -> int:
    return sum(pod["status"]["phase"] == "Running" for pod in release.pods())


def _environment(release: Release, container: str) -> dict[str, str]:
    """Return the environment as it is in a container."""
    printed = release.kubectl("exec", release.pod(), "-c", container, "--", "env")
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def test_four_receivers_write_and_push_what_was_sent(
    observation: Observation, outside: Outside, made_lofar_ms: Path, tmp_path: Path
) -> None:
    pushed = sorted((outside.remote.root / "bucket").iterdir())
    assert [path.name for path in pushed] == [f"lofar-{index}.ms" for index in range(RECEIVERS)]
    joined = tmp_path / "joined.ms"
    ok("ms-concat", joined, *pushed)
    ok("ms-diff", "--round-trip", made_lofar_ms, joined)
    assert f"in {RECEIVERS} streams" in observation.sender.logs("sender")


def test_all_that_left_the_cluster_passed_the_proxy(
    observation: Observation, outside: Outside
) -> None:
    assert "Connection refused" in observation.direct
    requests = outside.proxy.requests()
    places = {urlsplit(url).netloc for _, url in requests}
    there = outside.proxy.address
    assert places == {f"{there}:{outside.site.port}", f"{there}:{outside.remote.port}"}
    models = [url for method, url in requests if method == "GET" and url == outside.model_url]
    # One for each receiver, and one for the sender; they went through no other door.
    assert len(models) == len(outside.site.requests) == RECEIVERS + 1
    assert all("tinyproxy" in headers["Via"] for _, headers in outside.site.requests)
    for index in range(RECEIVERS):
        start = f"http://{there}:{outside.remote.port}/bucket/lofar-{index}.ms/"
        assert any(method == "PUT" and url.startswith(start) for method, url in requests)


def test_what_stays_in_the_cluster_does_not_pass_the_proxy(
    observation: Observation, outside: Outside
) -> None:
    assert observation.inside_remote.sets() == ["inside.ms"]
    assert "fetched the configuration" in observation.inside.logs("push")
    seen = outside.proxy.log_path.read_text()
    for own in (".svc", "lofar-0.lofar", "//webdav", "//web", "inside.ms"):
        assert own not in seen


def test_only_what_goes_out_knows_of_the_proxy(observation: Observation, outside: Outside) -> None:
    url = f"http://{outside.proxy.server}"
    push = observation.environment["push"]
    assert {push[name] for name in VARIABLES if name.lower() != "no_proxy"} == {url}
    assert push["no_proxy"] == push["NO_PROXY"]
    # The API server's own address, not the name of a variable.
    assert "$(" not in push["no_proxy"]
    assert push["KUBERNETES_SERVICE_HOST"] in push["no_proxy"].split(",")
    assert not VARIABLES & observation.environment["receiver"].keys()
    for release in observation.releases:
        spec = release.pods()[-1]["spec"]
        for container in (*spec["initContainers"], *spec["containers"]):
            names = {one["name"] for one in container["env"]}
            goes_out = container["name"] in {"model", "push"}
            assert names & VARIABLES == (VARIABLES if goes_out else set())


def test_credentials_are_in_no_manifest_but_the_secret(observation: Observation) -> None:
    for release in observation.releases:
        manifest = release.helm("get", "manifest", release.name).stdout
        for one in yaml.safe_load_all(manifest):
            if one["kind"] == "Secret":
                assert "proxy" in one["data"]
            else:
                assert PASSWORD not in yaml.safe_dump(one)
        shown = release.manifests() + release.everything()
        assert PASSWORD not in shown
        assert TOKEN not in shown
