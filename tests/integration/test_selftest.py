"""emu-selftest: does what is installed here work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.commands import ok, run

if TYPE_CHECKING:
    from pathlib import Path


def test_it_sends_receives_and_compares_over_each_transport_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    said = ok("emu-selftest", "--folder", tmp_path)
    for transport in ("udp", "tcp"):
        assert f"emu-selftest: {transport}: what was received is what was sent" in said
    assert list(tmp_path.iterdir()) == []


def test_what_fails_is_told_in_the_last_line(tmp_path: Path) -> None:
    # Nobody can write there, not even root.
    done = run("emu-selftest", "--transport", "udp", "--folder", "/proc/self")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("emu-selftest: ")
