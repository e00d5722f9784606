"""`consumer.command`: run for each closed set, in the background, and none of it unnoticed."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import options, run, send, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

CONSUMER_FAILED = 8


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """30 integrations of 6 baselines."""
    return simulated_set(num_antennas=4, integrations=30, channels=4)


def script(folder: Path, text: str) -> Path:
    """A program in Python: `path` is its first argument."""
    program = folder / "program.py"
    head = f"#!{sys.executable}\nimport os, signal, sys, time\nfrom pathlib import Path\n"
    program.write_text(f"{head}path = Path(sys.argv[1])\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def received_with(
    folder: Path, observation: Path, command: list[Any], transport: str = "tcp", **values: Any
) -> RunningReceiver:
    """Receive in three sets; the sender is done when this returns."""
    receiver = start_receiver(
        folder,
        observation,
        {
            "reception.transport": transport,
            "consumer.max_dumps_per_ms": 10,
            "consumer.command": "[" + ",".join(f'"{part}"' for part in command) + "]",
        }
        | {name.replace("__", "."): value for name, value in values.items()},
    )
    sent = send(receiver, observation, {"transmission.transport": transport})
    assert sent.returncode == 0, sent.stderr
    return receiver


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_command_gets_each_set_when_it_is_closed(
    observation: Path, tmp_path: Path, transport: str
) -> None:
    text = (
        "assert path.is_absolute() and not (path / '.vis-receive').exists()\n"
        "path.with_suffix('.log').write_text(repr(sys.argv[2:]))"
    )
    program = script(tmp_path, text)
    # No shell: what would mean something to one arrives as it is.
    command = [program, "{path}", "$HOME; x {} {path}.tar"]
    receiver = received_with(tmp_path, observation, command, transport)
    assert receiver.wait() == 0, receiver.log
    sets = [Path(name) for name in receiver.summary()["sets"]]
    assert len(sets) == 3
    for path in sets:
        assert path.with_suffix(".log").read_text() == repr([f"$HOME; x {{}} {path}.tar"])
    assert receiver.summary()["commands"] == {"run": 3, "failed": 0, "failures": []}


def test_a_failing_command_is_named_and_counted_and_the_sets_stay(
    observation: Path, tmp_path: Path
) -> None:
    program = script(
        tmp_path,
        "if path.stem.endswith('p1'): sys.exit(3)\n"
        "if path.stem.endswith('p2'): os.kill(os.getpid(), signal.SIGKILL)",
    )
    receiver = received_with(tmp_path, observation, [program, "{path}"])
    assert receiver.wait() == CONSUMER_FAILED, receiver.log
    summary = receiver.summary()
    first, second = (tmp_path / f"received-p{number}.ms" for number in (1, 2))
    assert summary["commands"]["failed"] == 2
    assert sorted(summary["commands"]["failures"], key=lambda failure: failure["path"]) == [
        {"path": str(first), "reason": "exit code 3", "exit_code": 3},
        {"path": str(second), "reason": "ended by SIGKILL", "exit_code": None},
    ]
    assert f"consumer.command {program} failed for {first}: exit code 3" in receiver.log
    assert f"consumer.command {program} failed for 2 of 3 sets" in receiver.log
    assert len(summary["sets"]) == 3
    assert not summary["lost"]


def test_a_hanging_command_holds_up_nothing_and_ends_at_its_timeout(
    observation: Path, tmp_path: Path
) -> None:
    """It even starts a child of its own and does not listen to SIGTERM."""
    program = script(
        tmp_path,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if path.stem.endswith('p2'):\n"
        "    child = os.fork()\n"
        "    if child: path.with_suffix('.pids').write_text(f'{os.getpid()} {child}')\n"
        "    while True: time.sleep(60)",
    )
    receiver = received_with(
        tmp_path, observation, [program, "{path}"], consumer__command_timeout=1.5
    )
    assert receiver.wait() == CONSUMER_FAILED, receiver.log
    [failure] = receiver.summary()["commands"]["failures"]
    assert failure["reason"] == "took longer than consumer.command_timeout = 1.5 s"
    assert receiver.summary()["scans"][0]["heaps_missing"] == 0
    assert "Waiting for the command of" in receiver.log
    for pid in (tmp_path / "received-p2.pids").read_text().split():
        wait_until(lambda pid=pid: is_gone(int(pid)), "the command and its child are gone")


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_further_signal_ends_the_commands(observation: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "time.sleep(600)")
    receiver = received_with(tmp_path, observation, [program, "{path}"])
    wait_until(lambda: "Waiting for the command of 3 sets" in receiver.log, "it waits")
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.wait() == CONSUMER_FAILED
    reasons = sorted(f["reason"] for f in receiver.summary()["commands"]["failures"])
    # Two at a time: the third had not begun.
    assert reasons == ["ended: told to stop"] * 2 + ["not started: told to stop"]


def test_ctrl_c_ends_the_run_and_not_the_commands(observation: Path, tmp_path: Path) -> None:
    """A terminal sends its signal to the receiver's whole process group."""
    program = script(
        tmp_path,
        "go = path.with_name('go')\nwhile not go.exists(): time.sleep(0.01)",
    )
    receiver = start_receiver(
        tmp_path,
        observation,
        {
            "reception.transport": "tcp",
            "reception.max_scans": 0,
            "consumer.command": f'["{program}","{{path}}"]',
        },
    )
    assert send(receiver, observation, {"transmission.transport": "tcp"}).returncode == 0
    wait_until(lambda: "Closed" in receiver.log, "the set is closed")
    receiver.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Waiting for the command of 1 sets" in receiver.log, "it waits")
    (tmp_path / "go").touch()
    assert receiver.wait() == 128 + signal.SIGINT, receiver.log
    assert receiver.summary()["commands"] == {"run": 1, "failed": 0, "failures": []}


def test_a_program_that_is_not_there_is_known_at_once(observation: Path, tmp_path: Path) -> None:
    values = {
        "reception.datamodel": observation,
        "reception.outputfilename": tmp_path / "new.ms",
        "consumer.command": "no-such-program {path}",
    }
    for flags in ([], ["--check"]):
        done = run("emu-recv", *flags, *options(values))
        assert done.returncode == 2
        assert "consumer.command: there is no program no-such-program" in done.stderr


def test_a_program_that_goes_away_is_a_failure(observation: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "os.unlink(sys.argv[0])")
    receiver = received_with(tmp_path, observation, [program, "{path}"])
    assert receiver.wait() == CONSUMER_FAILED, receiver.log
    reasons = [failure["reason"] for failure in receiver.summary()["commands"]["failures"]]
    assert any("No such file" in reason or "exit code 2" in reason for reason in reasons), reasons
    assert os.path.lexists(tmp_path / "received-p3.ms")


def test_a_command_that_nothing_would_run_is_told(observation: Path, tmp_path: Path) -> None:
    values = {"reception.consumer": "null", "consumer.command": "true", "reception.idle_timeout": 1}
    receiver = start_receiver(tmp_path, observation, values)
    assert "consumer.command is never run" in receiver.log
    receiver.kill()
