"""The system's clock may be set while data are received: nothing at run time depends on it."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import receive
from tests.commands import ok, send, start_receiver

if TYPE_CHECKING:
    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.timely

STEPPING_CLOCK = '''
"""Loaded by every Python before the program: a clock that is set, forth and back, at each look."""
import itertools, time
_true, _true_ns, _looks = time.time, time.time_ns, itertools.count()
_STEPS_S = (0, 86400, -86400, 3.5, -1e9, 0.25)

def _step():
    return _STEPS_S[next(_looks) % len(_STEPS_S)]

time.time = lambda: _true() + _step()
time.time_ns = lambda: _true_ns() + int(_step() * 1e9)
'''
OF_THE_CLOCK = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
}
MAY_ASK = {
    "measurement_set/write/history.py",
    "measurement_set/write/name_lock.py",
    "command/cli.py",
    "monitor/status.py",
    "download/fetch.py",
}
"""The dates of lines in HISTORY and in the log, and since when a receiver runs, are what the clock
says; a server may name the date when it wants to be asked again."""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_clock_that_is_set_all_the_time_changes_nothing(
    simulated_set: SimulatedSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    sent = simulated_set(num_antennas=4, integrations=40, channels=8, noise=1)
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(STEPPING_CLOCK)
    paths = [str(clock), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    shows = ok("python", "-c", "import time; print(abs(time.time() - time.time()) > 3600)")
    assert shows == "True\n"
    # A timeout that took the clock's time would end an integration, or the run, at once.
    receiver = start_receiver(
        tmp_path,
        sent,
        {"reception.transport": transport, "reception.dump_timeout": 5},
        flags=["--fail-on-loss"],
    )
    values = {"transmission.transport": transport, "transmission.time_interval": 0.02}
    done = send(receiver, sent, values)
    assert done.returncode == 0, done.stderr
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    assert not summary["lost"]
    # 39 intervals.
    assert 0.5 < summary["seconds"] < 60
    ok("ms-diff", "--round-trip", sent, tmp_path / "received.ms")


def names_used(source: str) -> set[str]:
    """Return the dotted names, of two parts, that a module calls or passes on."""
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def test_only_history_and_log_ask_for_the_date() -> None:
    room = Path(receive.__file__).parent
    modules = sorted(room.rglob("*.py"))
    assert len(modules) > 50
    asking = {
        path.relative_to(room).as_posix()
        for path in modules
        if names_used(path.read_text(encoding="utf-8")) & OF_THE_CLOCK
    }
    assert asking == MAY_ASK
