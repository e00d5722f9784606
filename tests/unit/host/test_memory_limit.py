from __future__ import annotations

import pytest

from receive.host.memory_limit import memory_limit_bytes

PHYSICAL_BYTES = 8 * 2**30


@pytest.fixture
def limit(tmp_path):
    """Return a function that makes control groups and gives the limit of a process in them."""

    def make(own: str, files: dict[str, str]) -> int:
        cgroups = tmp_path / "cgroup"
        for name, text in files.items():
            file = cgroups / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        (tmp_path / "own").write_text(own)
        return memory_limit_bytes(cgroups, tmp_path / "own", PHYSICAL_BYTES)

    return make


V1 = "9:name=systemd:/\n4:cpu,memory:/pods/a\n0::/\n"
V2 = "0::/pods/a\n"


def test_without_control_groups_it_is_the_physical_memory(tmp_path):
    missing = tmp_path / "nothing"
    assert memory_limit_bytes(missing, missing, PHYSICAL_BYTES) == PHYSICAL_BYTES
    assert memory_limit_bytes(missing, missing) > 2**20


def test_version_2(limit):
    assert limit(V2, {"pods/a/memory.max": "1000000"}) == 1000000


def test_version_2_without_a_limit(limit):
    assert limit(V2, {"pods/a/memory.max": "max"}) == PHYSICAL_BYTES


def test_the_least_of_the_groups_above_counts(limit):
    files = {"pods/a/memory.max": "max", "pods/memory.max": "700", "memory.max": "900"}
    assert limit(V2, files) == 700


def test_version_1(limit):
    assert limit(V1, {"memory/pods/a/memory.limit_in_bytes": "5000"}) == 5000


def test_version_1_without_a_limit(limit):
    files = {"memory/pods/a/memory.limit_in_bytes": "9223372036854771712"}
    assert limit(V1, files) == PHYSICAL_BYTES


def test_in_a_container_only_the_root_is_mounted(limit):
    assert limit(V1, {"memory/memory.limit_in_bytes": "5000"}) == 5000
