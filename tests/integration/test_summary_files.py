"""Every run leaves its own summary, and no ready file: those of an earlier one never remain."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import options, run, send, start_receiver
from tests.integration.monitored import STREAMS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

INTEGRATIONS = 60


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """6 baselines x 8 channels, which are 2 streams."""
    return simulated_set(num_antennas=4, integrations=INTEGRATIONS, channels=8)


def left_by_an_earlier_run(folder: Path) -> None:
    (folder / "ready.json").write_text('{"pid": 1, "host": "127.0.0.1", "ports": [9]}')
    (folder / "summary.json").write_text('{"lost": false, "exit_code": 0, "scans": []}')


@pytest.mark.parametrize("flags", [[], ["--processes", "2"]], ids=str)
@pytest.mark.parametrize(
    ("why", "code"),
    [
        ("no model", 3),
        ("no such key", 2),
        ("port in use", 5),
        ("output exists", 4),
        ("no consumer", 2),
        ("a constructor that fails", 8),
    ],
)
def test_one_that_cannot_begin(
    tmp_path: Path, model: Path, why: str, code: int, flags: list[str]
) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    (tmp_path / "there.ms").mkdir()
    (tmp_path / "there-r0.ms").mkdir()
    values: dict[str, Any] = STREAMS | {
        "reception.datamodel": tmp_path / "none.ms" if why == "no model" else model,
        "reception.outputfilename": tmp_path / "received.ms",
        "reception.bind_hostname": "127.0.0.1",
        "reception.port_start": 0,
    }
    values |= {
        "no model": {},
        "no such key": {"reception.nonsense": 1},
        "port in use": {
            "reception.transport": "tcp",
            "reception.port_start": taken.getsockname()[1] - 1,
        },
        "output exists": {"reception.outputfilename": tmp_path / "there.ms"},
        "no consumer": {"reception.consumer": "nobody"},
        "a constructor that fails": {"reception.consumer": "json.JSONDecodeError"},
    }[why]
    if why == "a constructor that fails":
        values["reception.consumer"] = "failing.Failing"
        (tmp_path / "failing.py").write_text(
            "class Failing:\n"
            "    def __init__(self, config, tm): raise RuntimeError('it is broken')\n"
            "    async def consume(self, payload): ...\n"
        )
    left_by_an_earlier_run(tmp_path)
    files = ["--ready-file", tmp_path / "ready.json", "--summary-file", tmp_path / "summary.json"]
    with taken:
        done = run("emu-recv", *flags, *options(values), *files, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["ended_by"], summary["exit_code"]) == ("error", code)
    assert summary["lost"]
    assert summary["incomplete"]
    assert summary["scans"] == []
    # The line that was said, to the letter.
    assert f"emu-recv: error: {summary['error']}\n" in done.stderr
    assert not (tmp_path / "ready.json").exists()
    assert not [path.name for path in tmp_path.iterdir() if "partial" in path.name]


@pytest.mark.parametrize(
    "wrong", [["--processes", "0"], ["--no-such-option"], ["--parent", "me"]], ids=str
)
def test_wrong_usage_leaves_its_own_too(tmp_path: Path, wrong: list[str]) -> None:
    left_by_an_earlier_run(tmp_path)
    files = ["--ready-file", tmp_path / "ready.json", "--summary-file", tmp_path / "summary.json"]
    assert run("emu-recv", *files, *wrong).returncode == 2
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["ended_by"], summary["exit_code"]) == ("error", 2)
    assert "wrong usage" in summary["error"]
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize(
    "more", [["--check"], ["--help"], ["--check", "--no-such-option"]], ids=str
)
def test_what_runs_nothing_touches_nothing(tmp_path: Path, model: Path, more: list[str]) -> None:
    left_by_an_earlier_run(tmp_path)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    files = ["--ready-file", tmp_path / "ready.json", "--summary-file", tmp_path / "summary.json"]
    run("emu-recv", *files, *options({"reception.datamodel": model}), *more)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_nothing_that_could_be_used_came(tmp_path: Path, model: Path) -> None:
    left_by_an_earlier_run(tmp_path)
    receiver = start_receiver(tmp_path, model, STREAMS | {"reception.idle_timeout": 6})
    # Twice as many channels a heap as expected.
    sends = {
        "transmission.channels_per_stream": 8,
        "transmission.endpoints": receiver.endpoints.partition(",")[0],
    }
    assert send(receiver, model, sends).returncode == 0
    assert receiver.wait() == 6, receiver.log
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"]) == ("idle", 6)
    assert "were refused" in summary["error"]
    assert sum(summary["heaps_refused_outside_scans"].values()) == INTEGRATIONS
    assert not (tmp_path / "ready.json").exists()


def test_a_killed_receiver_leaves_no_summary_and_its_ready_file_goes_with_the_next(
    tmp_path: Path, model: Path
) -> None:
    left_by_an_earlier_run(tmp_path)
    receiver = start_receiver(tmp_path, model, STREAMS)
    assert not (tmp_path / "summary.json").exists()
    receiver.kill()
    assert (tmp_path / "ready.json").exists()
    again = run(
        "emu-recv",
        *options({"reception.datamodel": tmp_path / "none.ms"}),
        *("--ready-file", tmp_path / "ready.json"),
    )
    assert again.returncode == 3
    assert not (tmp_path / "ready.json").exists()


def test_one_of_several_processes_that_is_killed_is_the_error(
    tmp_path: Path, model: Path, started: list[RunningReceiver]
) -> None:
    receiver = start_receiver(tmp_path, model, STREAMS, flags=["--processes", "2"])
    started.append(receiver)
    children = receiver.log.partition("receivers (processes ")[2].partition(")")[0].split(", ")
    subprocess.run(["kill", "-KILL", children[1]], check=True)
    wait_until(lambda: "Receiver r1" in receiver.log, "it is named")
    send(receiver, model, STREAMS)
    assert receiver.wait() == 137, receiver.log
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"]) == ("error", 137)
    assert f"receiver r1 (process {children[1]}) ended with exit code 137" in summary["error"]
    assert summary["incomplete"]
    assert not (tmp_path / "ready.json").exists()


def test_a_ready_file_goes_when_packets_cannot_come_any_more(tmp_path: Path, model: Path) -> None:
    """Before the sets are closed and their commands have run, as /readyz tells."""
    go_on = tmp_path / "go-on"
    command = ["sh", "-c", f"while [ ! -e {go_on} ]; do sleep 0.02; done"]
    receiver = start_receiver(
        tmp_path, model, STREAMS | {"consumer.command": json.dumps(command)}
    )  # fmt: skip
    assert send(receiver, model, STREAMS).returncode == 0
    wait_until(lambda: not (tmp_path / "ready.json").exists(), "the ready file is gone")
    assert receiver.process.poll() is None
    assert not (tmp_path / "summary.json").exists()
    go_on.touch()
    assert receiver.wait() == 0, receiver.log


def test_the_ready_file_of_another_receiver_is_left(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(tmp_path, model, STREAMS)
    other = '{"pid": 1, "host": "127.0.0.1", "ports": [9]}'
    (tmp_path / "ready.json").write_text(other)
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.wait() == 143
    assert (tmp_path / "ready.json").read_text() == other
    assert receiver.summary()["ended_by"] == "signal"
    assert receiver.last_line.endswith(", ended_by=signal: nothing came")


def test_where_a_summary_leads_to_is_what_it_is(tmp_path: Path, model: Path) -> None:
    """A link to a file is followed; what it leads to never remains from an earlier run."""
    real = tmp_path / "elsewhere.json"
    real.write_text('{"exit_code": 0}')
    (tmp_path / "summary.json").symlink_to(real)
    done = run(
        "emu-recv",
        *options({"reception.datamodel": tmp_path / "none.ms"}),
        *("--summary-file", tmp_path / "summary.json"),
    )
    assert done.returncode == 3
    assert (tmp_path / "summary.json").is_symlink()
    assert json.loads(real.read_text())["exit_code"] == 3
    receiver = start_receiver(tmp_path, model, STREAMS, flags=["--summary-file", "/dev/stdout"])
    assert "Ready" in receiver.log
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.wait() == 143
    assert '"ended_by": "signal"' in receiver.log


def test_the_next_attempt_leaves_the_summary_of_the_first(tmp_path: Path, model: Path) -> None:
    left_by_an_earlier_run(tmp_path)
    before = (tmp_path / "summary.json").read_text()
    (tmp_path / "received.ms").mkdir()
    common = [
        "--next-attempt",
        *("--summary-file", tmp_path / "summary.json"),
        *options({"reception.outputfilename": tmp_path / "received.ms"}),
    ]
    refused = run("emu-recv", *common, "-o", "reception.nonsense=1")
    assert refused.returncode == 2
    assert run("emu-recv", *common, "-o", f"reception.datamodel={model}/none").returncode == 3
    assert (tmp_path / "summary.json").read_text() == before
    assert json.loads((tmp_path / "summary-a1.json").read_text())["exit_code"] == 3
