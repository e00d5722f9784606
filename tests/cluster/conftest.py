"""Fixtures of the tests on a cluster: the cluster itself, and a namespace for each test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from images.__main__ import image_name
from images.errors import BuildError
from testbed import build, owner
from testbed.cluster import (
    CAPABILITIES,
    Cluster,
    LocalCluster,
    existing,
)
from testbed.errors import BedError, MissingToolError
from testbed.places import cache_folder
from tests.cluster.namespaces import new_namespace
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

# Of a failed test's pods; more would hide the failure.
LOG_LINES = 80
IMAGES = ("receive", "push")
LOADED = "VIS_RECEIVE_IMAGES"


def _reporter(config: pytest.Config) -> Callable[[str], None]:
    """Return what shows a line at once, past the capture of the tests' output."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def report(line: str) -> None:
        with capture.global_and_fixture_disabled():
            build.to_stderr(line)

    return report


def build_images(report: Callable[[str], None]) -> Path:
    """Build our images, where they are not what they should be; return the folder of archives.

    Raises
    ------
    BuildError
        If they cannot be built here.
    """
    folder = cache_folder() / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "images", "--archive", str(folder)]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        command.append("--install")
    building = subprocess.Popen(
        command,
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
            # The builder's own words are many.
            if "STEP" not in line:
                report(f"images: {line.rstrip()}")
    if building.wait():
        raise BuildError("".join(said[-20:]))
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
    """Build cluster and images before the first test: that takes longer than a test may."""
    config = session.config
    if config.option.collectonly or config.getoption("cluster") == "none":
        return
    if any(_wants_images(item) for item in session.items):
        with contextlib.suppress(BuildError):  # those that need them say so
            build_images(_reporter(config))
    wanted = any(
        "cluster" in getattr(item, "fixturenames", ()) or item.get_closest_marker("needs")
        for item in session.items
    )
    if not wanted or not _is_local(config) or _why_left_out(config):
        return
    try:
        build.binaries(_reporter(config))
    except BedError as error:
        # Those that need the cluster will fail by it, and the others need not.
        _reporter(config)(str(error))


def _wants_images(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "image_archives" in names or ("images" in names and os.environ.get(LOADED) != "loaded")


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
def image_archives(request: pytest.FixtureRequest) -> dict[str, Path]:
    """Return the archives of our images, built where something changed."""
    try:
        folder = build_images(_reporter(request.config))
    except BuildError as error:
        pytest.skip(f"our images cannot be built here: {error}")
    return {name: folder / f"{name}.tar" for name in IMAGES}


@pytest.fixture(scope="session")
def images(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Let the cluster have our images, where it can be given them from here.

    Elsewhere the charts' own values must name images that it can pull.  Whoever runs tests again
    and again by hand, on one cluster, says with VIS_RECEIVE_IMAGES=loaded that it has them.
    """
    if "local-images" not in cluster.capabilities or os.environ.get(LOADED) == "loaded":
        return
    for name, archive in request.getfixturevalue("image_archives").items():
        cluster.load_image(archive, image_name(name))


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Return a new namespace; a module may have one for all its tests (new_namespace)."""
    with new_namespace(cluster) as name:
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
