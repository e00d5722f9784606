"""What the test cluster is made from, as far as it needs no cluster to be seen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from testbed import owner
from testbed.addresses import NODES, NUMBERS, Addresses
from testbed.build import COMPONENTS
from testbed.dns import name_servers
from testbed.images import write_archive
from testbed.processes import Ledger, start_time, written_down
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.build import Component


def test_an_image_archive_names_its_parts_by_their_digests(tmp_path: Path) -> None:
    binary = tmp_path / "program"
    binary.write_bytes(b"\x7fELF not really")
    archive = tmp_path / "image.tar"

    write_archive(archive, "localhost/vis-receive/program:1", binary)

    with tarfile.open(archive) as tar:
        parts = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            parts[member.name] = file.read()
    for path, content in parts.items():
        if path.startswith("blobs/sha256/"):
            assert path.endswith(hashlib.sha256(content).hexdigest())
    [listed] = json.loads(parts["index.json"])["manifests"]
    assert listed["annotations"]["io.containerd.image.name"] == "localhost/vis-receive/program:1"
    manifest = json.loads(parts["blobs/" + listed["digest"].replace(":", "/")])
    config = json.loads(parts["blobs/" + manifest["config"]["digest"].replace(":", "/")])
    assert config["config"]["Entrypoint"] == ["/program"]
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


def test_the_same_binary_gives_the_same_archive(tmp_path: Path) -> None:
    binary = tmp_path / "program"
    binary.write_bytes(b"\x7fELF not really")
    for name in ("one.tar", "two.tar"):
        write_archive(tmp_path / name, "localhost/vis-receive/program:1", binary)
        os.utime(binary, (1, 1))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_name_servers_that_pods_cannot_reach_are_left_out() -> None:
    text = "search here\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\nnameserver\n"
    assert name_servers(text) == ["192.0.2.1"]


def test_beds_have_nothing_in_common() -> None:
    beds = [Addresses(number) for number in NUMBERS]
    for one in beds:
        assert [other for other in beds if one.overlaps(other.whole)] == [one]
        assert len({one.name for one in beds}) == len(beds)
        own = [one.dns, one.host, one.pod_gateway, one.first_service, *map(one.node, NODES)]
        assert len(set(own)) == len(own)
        assert all(one.overlaps(address) for address in own)
    # An interface's name has at most 15 characters.
    assert max(len(one.name) for one in beds) < 16


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_versions_are_pinned_and_named(component: Component) -> None:
    assert re.fullmatch("[0-9a-f]{16}", component.key())
    if component.versioned:
        assert "=v" in component.linker_flags()
        assert (component.folder / "go.sum").exists()


def test_a_process_is_told_from_another_that_has_its_number(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    started = ledger.start("sleeper", [sys.executable, "-c", "input()"])
    wait_until(lambda: not started.is_alive(), "it ends, since it has no input")
    ledger.reap()
    [noted] = written_down(tmp_path)
    assert noted == started
    assert start_time(os.getpid()) not in {None, started.start}


def test_the_command_says_what_it_can_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testbed", "--help"],
        cwd=owner.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(word in done.stdout for word in ("up", "down", "status", "build"))
