"""What a build takes of the machine's own packages."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from images.tools import installing

if TYPE_CHECKING:
    from pathlib import Path


def test_one_process_at_a_time_installs_packages(tmp_path: Path) -> None:
    now = fcntl.LOCK_EX | fcntl.LOCK_NB
    with (tmp_path / "apt.lock").open("w") as other:
        with installing(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(other, now)
        fcntl.flock(other, now)
