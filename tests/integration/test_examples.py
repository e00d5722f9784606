"""The quickstarts run as they are, on other ports, in a folder of their own."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.commands import BIN, TIMEOUT_S

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def free_ports(count: int, kind: socket.SocketKind) -> int:
    """Return the first of several ports in a row that nobody uses now."""
    for first in range(42000, 60000, 97):
        opened = []
        try:
            for port in range(first, first + count):
                probe = socket.socket(socket.AF_INET, kind)
                opened.append(probe)
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for probe in opened:
                probe.close()
    raise AssertionError("no free ports")


@pytest.mark.parametrize(
    ("name", "kind", "sets"),
    [
        ("one-stream", socket.SOCK_DGRAM, ["received.ms"]),
        ("many-streams", socket.SOCK_STREAM, ["received.ms"]),
        ("multicast", socket.SOCK_DGRAM, ["first.ms", "second.ms"]),
    ],
)
def test_quickstart(tmp_path: Path, name: str, kind: socket.SocketKind, sets: list[str]) -> None:
    environment = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PORT": str(free_ports(12, kind)),
    }
    done = subprocess.run(
        ["bash", EXAMPLES / name / "run.sh", tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same:") == len(sets)
    assert done.stdout.count("nothing was lost") == len(sets)
    for ms in sets:
        assert (tmp_path / "output" / ms / "table.dat").exists()


def test_demo(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", EXAMPLES / "demo.sh", tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was lost" in done.stdout
    assert (tmp_path / "received.png").stat().st_size > 0
