"""The container images: what is in them, what is not, and that they work as in a restricted pod."""

from __future__ import annotations

import os
import shutil
import tomllib
from typing import TYPE_CHECKING

import pytest

from images.__main__ import version
from receive.stream.network.ibverbs import LIBRARIES
from tests.cluster.containers import UnpackedImage, find_runc
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The first build on a machine makes a base, fetches wheels and compiles.
pytestmark = pytest.mark.timeout(1200)

NAMES = ("receive", "push")
UNPACKED_LIMIT_BYTES = {"receive": 600_000_000, "push": 270_000_000}
ARCHIVE_LIMIT_BYTES = {"receive": 230_000_000, "push": 100_000_000}
ANY_USER = 1_234_567


@pytest.fixture(scope="session")
def unpacked(
    image_archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, UnpackedImage]]:
    """Return the images, unpacked."""
    if os.geteuid() != 0:
        pytest.skip("images are unpacked and run by root")
    if find_runc() is None:
        pytest.skip("images are run by runc (apt-get install runc)")
    folder = tmp_path_factory.mktemp("images")
    yield {n: UnpackedImage.of(path, folder / n) for n, path in image_archives.items()}
    shutil.rmtree(folder)  # pytest would keep three of them


@pytest.fixture
def receive(unpacked: dict[str, UnpackedImage]) -> UnpackedImage:
    return unpacked["receive"]


@pytest.fixture
def push(unpacked: dict[str, UnpackedImage]) -> UnpackedImage:
    return unpacked["push"]


@pytest.mark.parametrize("name", NAMES)
def test_image_says_what_it_is(unpacked: dict[str, UnpackedImage], name: str) -> None:
    config = unpacked[name].config
    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/results"
    labels = config["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == f"vis-receive {name}"
    assert labels[f"{prefix}.version"] == version()
    assert labels[f"{prefix}.licenses"] == "BSD-3-Clause"
    assert labels[f"{prefix}.revision"]
    environment = unpacked[name].environment
    assert environment["PATH"].startswith("/opt/vis-receive/bin:")
    assert environment["HOME"] == "/tmp"  # noqa: S108 (the container's)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_builds_is_left(unpacked: dict[str, UnpackedImage], name: str) -> None:
    tools = ["pip*", "gcc*", "cc", "g++*", "ld", "as", "make", "git", "f2py", "hatchling"]
    commands = [f"{folder}/{tool}" for folder in ("opt/*/bin", "usr/**/bin") for tool in tools]
    packages = [
        f"{folder}/python3*/**/{package}"
        for folder in ("opt/vis-receive/lib", "usr/lib", "usr/local/lib")
        for package in ("pip", "setuptools", "wheel", "hatchling", "ensurepip")
    ]
    assert unpacked[name].files(*commands, *packages, "build", "builder", "source", "wheels") == []


@pytest.mark.parametrize("name", NAMES)
def test_image_stays_small(
    unpacked: dict[str, UnpackedImage], image_archives: dict[str, Path], name: str
) -> None:
    assert unpacked[name].byte_count < UNPACKED_LIMIT_BYTES[name]
    assert image_archives[name].stat().st_size < ARCHIVE_LIMIT_BYTES[name]


def test_every_command_is_there(receive: UnpackedImage) -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    for command in scripts:
        done = receive.run(command, "--version", user=ANY_USER)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [command, version()]


def test_what_ibverbs_loads_is_there(receive: UnpackedImage) -> None:
    load = "import ctypes, sys; [ctypes.CDLL(name) for name in sys.argv[1:]]"
    done = receive.run("python", "-c", load, *LIBRARIES)
    assert done.returncode == 0, done.stderr


SAMPLE_CHECKED = """
import os, subprocess, sys, tarfile
with tarfile.open(os.environ["VIS_RECEIVE_SAMPLE"]) as tar:
    tar.extractall(".")
sys.exit(subprocess.run(["emu-recv", "--check", "-o", "reception.datamodel=sim-vis.ms",
                         "-o", "transmission.channels_per_stream=4"]).returncode)
"""


def test_sample_suits_four_receivers(receive: UnpackedImage) -> None:
    done = receive.run("python", "-c", SAMPLE_CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "streams  4 of 4 channels" in done.stdout


OBSERVATION = """
import os, pathlib, sys, tarfile
sys.path.insert(0, "/build")
import prepare
with tarfile.open(os.environ["VIS_RECEIVE_SAMPLE"]) as tar:
    tar.extractall(".")
prepare.observe(pathlib.Path.cwd(), sys.argv[1], dict(os.environ))
"""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_nothing_is_compiled_anew(receive: UnpackedImage, transport: str) -> None:
    done = receive.run(
        *("python", "-c", OBSERVATION, transport),
        user=ANY_USER,
        environment={"NUMBA_DEBUG_CACHE": "1"},
        mounts={REPOSITORY / "images/stages": "/build"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was lost" in done.stdout
    assert "data loaded from" in done.stdout
    assert [line for line in done.stdout.splitlines() if "saved to" in line] == []


def test_push_has_rclone(push: UnpackedImage) -> None:
    done = push.run("rclone", "version", user=ANY_USER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rclone v")


def test_push_carries_nothing_that_only_receiving_needs(push: UnpackedImage) -> None:
    packages = "opt/vis-receive/lib/python3*/site-packages"
    unneeded = ("numpy", "numba", "casacore", "spead2", "aiohttp", "prometheus_client", "psutil")
    assert push.files(*(f"{packages}/{name}" for name in unneeded)) == []
    done = push.run("python", "-c", "import receive.command.cli, requests, yaml, tqdm")
    assert done.returncode == 0, done.stderr
