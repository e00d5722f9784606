"""The binaries of the bed: what is missing is built, and how far that is is told."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from testbed import build
from testbed.build import COMPONENTS, binaries
from testbed.errors import BedError

if TYPE_CHECKING:
    from pathlib import Path

# Builds whatever it is told to, at once.
GO = """#!/bin/sh
case $1 in
env) echo go1.26.0 ;;
build)
    while [ "$1" != -o ]; do shift; done
    case $2 in *probe) echo no such package; exit 1 ;; esac
    echo "$3" > "$2" ;;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder; the machine has a quick Go."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("VIS_RECEIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cluster"


def of(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the bed have these components only."""
    chosen = tuple(component for component in COMPONENTS if component.name in names)
    monkeypatch.setattr(build, "COMPONENTS", chosen)


def test_what_is_missing_is_built_and_told_with_how_long_it_took_last_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    of(monkeypatch, "containerd", "pause")
    folder = binaries(told.append)
    names = {path.name for path in folder.iterdir()}
    assert names == {"containerd", "containerd-shim-runc-v2", "ctr", "pause"}
    assert told[0] == "building containerd (1 of 2) ..."
    assert told[2] == "building pause (2 of 2) ..."
    assert re.fullmatch(r"pause built in \d+ s", told[3])

    # Only what has changed is built again.
    told.clear()
    assert binaries(told.append) == folder
    assert told == []
    for pause in (cache / "parts").glob("pause-*"):
        pause.rename(pause.with_name("older"))
    of(monkeypatch, "etcd", "containerd", "pause")
    assert binaries(told.append) != folder
    assert told[0] == "building etcd (1 of 2) ..."
    assert re.fullmatch(r"building pause \(2 of 2, \d+ s last time\) \.\.\.", told[2])


def test_what_does_not_compile_is_told_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(monkeypatch, "probe")
    with pytest.raises(BedError, match="no such package\nprobe does not build"):
        binaries(lambda _: None)
    assert list((cache / "parts").iterdir()) == []
    assert not list(cache.glob("*/bin"))


@pytest.mark.parametrize("content", ["", "[]", '{"pause": "long"}'])
def test_durations_that_cannot_be_read_are_none(
    cache: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    cache.mkdir(parents=True)
    (cache / "took.json").write_text(content)
    told: list[str] = []
    of(monkeypatch, "pause")
    binaries(told.append)
    assert told[0] == "building pause (1 of 1) ..."
