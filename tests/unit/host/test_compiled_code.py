"""Compiled code that an image brings along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from receive.host import compiled_code
from receive.host.compiled_code import PREPARED, levels_of_this_machine

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = "x86-64-v2"
NAMES = ("NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
SHOW = (
    "import json, os, receive; "
    f"print(json.dumps([os.environ.get(name) for name in {NAMES!r}]), flush=True)"
)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return an image's folder, which nobody may write to."""
    folder = tmp_path / "compiled"
    (folder / LEVEL / "stream").mkdir(parents=True)
    (folder / LEVEL / "stream/place.nbi").write_bytes(b"index")
    (folder / LEVEL / "stream/place.nbi").chmod(0o444)
    return folder


def show(tmp_path: Path, **variables: str) -> list[str | None]:
    """Return the variables that numba would see in another process that imports us."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")} | variables
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True
    )
    values: list[str | None] = json.loads(done.stdout)
    return values


def test_without_an_image_nothing_changes(tmp_path: Path) -> None:
    assert show(tmp_path) == [os.environ.get(name) for name in NAMES]
    assert list((tmp_path / "tmp").iterdir()) == []


# The code is for that level, and chosen by what the processor says: an older one has nothing to
# choose from.
@pytest.mark.skipif(LEVEL not in levels_of_this_machine(), reason=f"the machine is not {LEVEL}")
def test_prepared_code_is_copied_once_and_can_be_added_to(tmp_path: Path, prepared: Path) -> None:
    folder, name, features = show(tmp_path, **{PREPARED: str(prepared)})
    assert (name, features) == (LEVEL, "")
    assert folder is not None
    (place,) = (tmp_path / "tmp").iterdir()
    assert str(place) == folder
    assert (place / "stream/place.nbi").read_bytes() == b"index"
    (place / "stream/place.nbi").write_bytes(b"added to")
    assert show(tmp_path, **{PREPARED: str(prepared)})[0] == folder
    assert (place / "stream/place.nbi").read_bytes() == b"added to"
    assert list((tmp_path / "tmp").iterdir()) == [place]


# Nobody but root can give a folder away; and the level is as above.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
@pytest.mark.skipif(LEVEL not in levels_of_this_machine(), reason=f"the machine is not {LEVEL}")
def test_somebody_elses_folder_is_not_used(tmp_path: Path, prepared: Path) -> None:
    first = show(tmp_path, **{PREPARED: str(prepared)})[0]
    assert first is not None
    os.chown(first, 65534, 65534)
    second = show(tmp_path, **{PREPARED: str(prepared)})[0]
    assert second is not None
    assert second != first
    assert second.startswith(first)


def test_what_was_chosen_stays(tmp_path: Path, prepared: Path) -> None:
    chosen = str(tmp_path / "chosen")
    assert show(tmp_path, **{PREPARED: str(prepared), "NUMBA_CACHE_DIR": chosen})[0] == chosen
    name = show(tmp_path, **{PREPARED: str(prepared), "NUMBA_CPU_NAME": "generic"})[1]
    assert name == "generic"


def test_levels_are_those_of_the_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(compiled_code, "_CPUINFO", cpuinfo)
    second = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
    third = "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
    for flags, levels in {
        f"{second} {third}": ["x86-64-v3", "x86-64-v2"],
        f"{second} {third.replace('avx2', '')}": ["x86-64-v2"],
        "sse2": [],
    }.items():
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
        assert levels_of_this_machine() == levels
    cpuinfo.unlink()
    assert levels_of_this_machine() == []
