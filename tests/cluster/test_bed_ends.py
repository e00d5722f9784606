"""A bed ends, and the machine is as it was, however its owner ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed import cgroups, network, owner, registry
from testbed.addresses import Addresses
from testbed.bed import read_state
from testbed.cluster import LocalCluster
from tests.waiting import wait_until

if TYPE_CHECKING:
    from testbed.cluster import Cluster

pytestmark = pytest.mark.needs("host-control")

# Starts a bed that ends with it, says where, and waits.
STARTER = """
import sys, time
from pathlib import Path
from testbed import owner
bed = owner.start(print, Path(sys.argv[1]), attached=True)
print("STARTED", flush=True)
time.sleep(600)
"""


def printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def number_of(folder: Path) -> int:
    """Return the number of the bed in a folder, ready or not."""
    found = [one for one, entry in registry.written().items() if entry["folder"] == str(folder)]
    assert len(found) == 1
    return found[0]


def left_by(number: int, folder: Path) -> list[str]:
    """Return what is still on the machine of a bed."""
    bed = Addresses(number)
    left = [f"process {pid}" for pid in cgroups.processes(bed.name)]
    left += [str(path) for top in cgroups.hierarchies() for path in top.glob(f"{bed.name}*")]
    left += [line for line in printed("ip", "-o", "link").splitlines() if bed.name in line]
    left += [route for route in network.routes() if bed.overlaps(route)]
    left += [line for line in printed("iptables-save").splitlines() if bed.name in line]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    left += [line for line in mounts if str(folder) in line]
    return left + [f"bed {one}" for one in registry.written() if one == number]


def run_a_pod(folder: Path) -> None:
    """Leave a container behind, which is nobody's child."""
    bed = LocalCluster.of(read_state(folder))
    bed.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    image = ("--image=localhost/vis-receive/bed-probe:1", "--image-pull-policy=Never")
    bed.kubectl("run", "sleeper", *image, "--", "sleep")
    bed.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")


def test_two_beds_live_side_by_side_and_the_second_leaves_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    second = owner.start(lambda _: None, tmp_path / "bed", attached=True)
    try:
        other = LocalCluster.of(second.state)
        assert other.nodes == ["node-1", "node-2"]
        assert other.host != cluster.host
        run_a_pod(tmp_path / "bed")
    finally:
        second.stop()
    assert left_by(second.state["number"], tmp_path / "bed") == []
    assert cluster.nodes == ["node-1", "node-2"]
    # What tells why something failed is kept.
    assert (tmp_path / "bed" / "logs" / "kube-apiserver.log").exists()


def test_a_bed_whose_owner_was_killed_is_cleaned_up_after(cluster: Cluster, tmp_path: Path) -> None:
    bed = owner.start(lambda _: None, tmp_path / "bed")
    run_a_pod(tmp_path / "bed")

    bed.keeper.kill()
    bed.keeper.wait()
    number = bed.state["number"]
    left = left_by(number, tmp_path / "bed")
    down = subprocess.run(
        [sys.executable, "-m", "testbed", "down", "--dead"],
        cwd=owner.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert left
    assert f"cluster {number} is gone" in down.stderr
    assert left_by(number, tmp_path / "bed") == []
    assert cluster.nodes == ["node-1", "node-2"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_bed_ends_with_the_tests_that_started_it(
    cluster: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "bed")],
        cwd=owner.CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        assert any(line == "STARTED\n" for line in starter.stdout)
        bed = number_of(tmp_path / "bed")
        os.kill(starter.pid, number)

    wait_until(lambda: not left_by(bed, tmp_path / "bed"), "the bed has gone with its starter")


def test_a_bed_that_is_stopped_while_it_starts_leaves_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "testbed", "up", "--folder", str(tmp_path / "bed")],
        cwd=owner.CHECKOUT,
        stderr=subprocess.DEVNULL,
    ) as starting:
        wait_until((tmp_path / "bed" / "etcd").exists, "the bed is being started")
        number = number_of(tmp_path / "bed")
        starting.send_signal(signal.SIGINT)
        assert starting.wait() == 130

    assert left_by(number, tmp_path / "bed") == []


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    refused = subprocess.run(
        [sys.executable, "-m", "testbed", "up", "--folder", str(tmp_path)],
        cwd=owner.CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last == f"error: {tmp_path} holds something else: choose a new folder for the cluster"
    assert (tmp_path / "thesis.txt").exists()
