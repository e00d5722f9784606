"""Fixtures of the tests on a cluster: the cluster itself, and a namespace for each test."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from images.__main__ import image_name
from tests.cluster.bed import build, owner
from tests.cluster.bed.errors import BedError
from tests.cluster.bed.places import cache_folder
from tests.cluster.cluster import (
    CAPABILITIES,
    Cluster,
    LocalCluster,
    MissingToolError,
    existing,
)
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

# Of a failed test's pods; more would hide the failure.
LOG_LINES = 80
IMAGES = ("receive", "push")
LOADED = "VIS_RECEIVE_IMAGES"
RESTRICTED = (
    "pod-security.kubernetes.io/enforce=restricted",
    "pod-security.kubernetes.io/warn=restricted",
)


def _reporter(config: pytest.Config) -> Callable[[str], None]:
    """Return what shows a line at once, past the capture of the tests' output."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def report(line: str) -> None:
        with capture.global_and_fixture_disabled():
            build.to_stderr(line)

    return report


def build_images(report: Callable[[str], None]) -> Path:
    """Build our images, where they are not what they should be; return the folder of archives."""
    folder = cache_folder() / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    building = subprocess.Popen(
        [sys.executable, "-m", "images", "--archive", folder],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert building.stdout is not None
    said = []
    with building.stdout as lines:
        for line in lines:
            said.append(line)
            if "STEP" not in line:
                report(f"images: {line.rstrip()}")
    if building.wait():
        raise pytest.UsageError(f"the images cannot be built:\n{''.join(said[-20:])}")
    return folder


def _is_local(config: pytest.Config) -> bool:
    return config.getoption("cluster") in {None, "local"}


def _why_left_out(config: pytest.Config) -> str | None:
    if config.getoption("cluster") == "none":
        return "no cluster was wanted (--cluster=none)"
    if _is_local(config):
        return owner.why_not()
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the cluster before the first test: that takes longer than a test may."""
    config = session.config
    wanted = any(
        "cluster" in getattr(item, "fixturenames", ()) or item.get_closest_marker("needs")
        for item in session.items
    )
    if not wanted or config.option.collectonly or not _is_local(config) or _why_left_out(config):
        return
    try:
        build.binaries(_reporter(config))
    except BedError as error:
        # Those that need the cluster will fail by it, and the others need not.
        _reporter(config)(str(error))
    if any("images" in getattr(item, "fixturenames", ()) for item in session.items):
        build_images(_reporter(config))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return the cluster that the tests use."""
    if reason := _why_left_out(request.config):
        pytest.skip(reason)
    if not _is_local(request.config):
        declared = request.config.getoption("cluster_capabilities")
        yield existing(frozenset(filter(None, declared.split(","))))
        return
    bed = owner.start(_reporter(request.config), attached=True)
    try:
        yield LocalCluster.of(bed.state)
    finally:
        bed.stop()


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Leave out a test that asks for what the cluster cannot do."""
    wanted = [name for mark in request.node.iter_markers("needs") for name in mark.args]
    if not wanted:
        return
    available = request.getfixturevalue("cluster").capabilities
    for name in wanted:
        if name not in available:
            pytest.skip(f"this cluster {CAPABILITIES[name]} ({name})")


@pytest.fixture(scope="session")
def images(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Let the cluster have our images, where it can be given them from here.

    Elsewhere the charts' own values must name images that it can pull.  Whoever runs tests again
    and again by hand, on one cluster, says with VIS_RECEIVE_IMAGES=loaded that it has them.
    """
    if "local-images" not in cluster.capabilities or os.environ.get(LOADED) == "loaded":
        return
    folder = build_images(_reporter(request.config))
    for name in IMAGES:
        cluster.load_image(folder / f"{name}.tar", image_name(name))


@contextlib.contextmanager
def made_namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace under restricted Pod Security; it goes when this ends."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *RESTRICTED)
    # Pods are refused until it is there.
    cluster.kubectl(
        *("wait", "--namespace", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    )
    yield name
    # A namespace that ends takes no pod in the place of one that fails, and Kubernetes lets no such
    # pod go before its index has another: with a Job that runs it would never end.
    cluster.kubectl("delete", "jobs", "--all", "--namespace", name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Return a new namespace under restricted Pod Security."""
    with made_namespace(cluster) as name:
        yield name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what was in the namespace of a test that failed."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.failed and report.when == "call" and {"cluster", "namespace"} <= set(arguments):
        found = describe_namespace(arguments["cluster"], arguments["namespace"])
        report.sections.append((f"namespace {arguments['namespace']}", found))
    return report


def describe_namespace(cluster: Cluster, namespace: str) -> str:
    """Return what an operator would look at: objects, events, pods and their logs."""
    here = ("--namespace", namespace)
    try:
        shown = [
            cluster.kubectl(*command, *here, check=False).stdout
            for command in (
                ("get", "all,configmaps,persistentvolumeclaims", "--output=wide"),
                ("get", "events", "--sort-by=.lastTimestamp"),
                ("describe", "pods"),
            )
        ]
        pods = cluster.kubectl("get", "pods", "--output=name", *here, check=False).stdout.split()
        logs = ("--all-containers", "--prefix", f"--tail={LOG_LINES}", "--ignore-errors")
        shown += [cluster.kubectl("logs", pod, *logs, *here, check=False).stdout for pod in pods]
    except (OSError, MissingToolError) as error:
        return f"the cluster could not be asked: {error}"
    return "\n".join(shown)
