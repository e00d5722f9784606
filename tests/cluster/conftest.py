"""Fixtures of the tests on a cluster: the cluster itself, and a namespace for each test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.cluster.bed import build, owner
from tests.cluster.bed.errors import BedError
from tests.cluster.cluster import (
    CAPABILITIES,
    Cluster,
    LocalCluster,
    MissingToolError,
    existing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

# Of a failed test's pods; more would hide the failure.
LOG_LINES = 80
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
    wanted = any("cluster" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or config.option.collectonly or not _is_local(config) or _why_left_out(config):
        return
    try:
        build.binaries(_reporter(config))
    except BedError as error:
        raise pytest.UsageError(str(error)) from error


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


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Return a new namespace under restricted Pod Security."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *RESTRICTED)
    # Pods are refused until it is there.
    cluster.kubectl(
        *("wait", "--namespace", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    )
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


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
