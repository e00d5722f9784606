"""The run folder: what a receiver tells the containers beside it, and the sender that asks."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from receive.pod.run_folder import RunFolder
from tests.commands import RunningReceiver, ok, options, run, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulated import SimulatedSets

_STARTED: list[RunningReceiver] = []


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    return simulated_set(num_antennas=4, integrations=5, channels=8, noise=1)


@pytest.fixture(autouse=True)
def started() -> Iterator[list[RunningReceiver]]:
    """Hold the receivers of a test, which end with it."""
    _STARTED.clear()
    yield _STARTED
    for receiver in _STARTED:
        receiver.kill()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = tmp_path / "run"
    made.mkdir()
    return RunFolder(made)


def receiving(
    folder: RunFolder, observation: Path, *flags: str, name: str = "received.ms", **values: Any
) -> RunningReceiver:
    there = folder.path.parent / f"receiver-{name}"
    there.mkdir(exist_ok=True)
    settings = {key.replace("__", "."): value for key, value in values.items()}
    settings = {"reception.outputfilename": folder.path.parent / name} | settings
    flags = ("--run-folder", str(folder.path), *flags)
    receiver = start_receiver(there, observation, settings, flags=flags, ready=False)
    _STARTED.append(receiver)
    return receiver


def send(folder: RunFolder, ms: Path, **values: Any) -> subprocess.CompletedProcess[str]:
    settings = {key.replace("__", "."): value for key, value in values.items()}
    settings = {"transmission.time_interval": -1} | settings
    return run("emu-send", *options(settings), "--receiver", folder.path, ms)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_sender_waits_for_the_receiver_beside_it_and_the_marker_tells_of_the_end(
    folder: RunFolder, observation: Path, transport: str
) -> None:
    sent: list[subprocess.CompletedProcess[str]] = []
    # The sender's own transport does not matter: it takes the receiver's.
    sender = threading.Thread(
        target=lambda: sent.append(send(folder, observation, transmission__rate="10MB"))
    )
    sender.start()
    receiver = receiving(
        folder, observation, reception__transport=transport, transmission__channels_per_stream=4
    )
    assert receiver.wait() == 0, receiver.log
    sender.join()
    assert sent[0].returncode == 0, sent[0].stderr
    output = folder.path.parent / "received.ms"
    assert not folder.is_held()
    result = folder.result()
    assert result is not None
    assert (result["status"], result["exit_code"], result["attempt"]) == ("complete", 0, 0)
    assert result["sets"] == [str(output)]
    assert result["base"] == str(output)
    assert result["lost"] is False
    assert result["error"] is None
    assert (result["ended_by"], result["incomplete"]) == ("streams-ended", False)
    assert result["summary"]["scans"][0]["heaps_received"] == 10
    ok("ms-diff", "--round-trip", observation, output)


def test_each_of_two_receivers_is_sent_its_own_channels(tmp_path: Path, observation: Path) -> None:
    folders = []
    receivers = []
    for index in (0, 1):
        path = tmp_path / f"run{index}"
        path.mkdir()
        folders.append(RunFolder(path))
        values = {
            "reception__process_index": index,
            "reception__process_count": 2,
            "transmission__channels_per_stream": 4,
            "reception__transport": "tcp",
        }
        receivers.append(receiving(folders[index], observation, name=f"{index}.ms", **values))
    for path in folders:
        done = send(path, observation)
        assert done.returncode == 0, done.stderr
    assert [receiver.wait() for receiver in receivers] == [0, 0]
    results = [path.result() or {} for path in folders]
    assert [result["sets"] for result in results] == [
        [str(tmp_path / "0-r0.ms")],
        [str(tmp_path / "1-r1.ms")],
    ]
    ok("ms-concat", tmp_path / "whole.ms", tmp_path / "0-r0.ms", tmp_path / "1-r1.ms")
    ok("ms-diff", "--round-trip", observation, tmp_path / "whole.ms")


@pytest.mark.parametrize("stage", ["run", "ready"])
def test_a_stopped_receiver_leaves_a_marker_that_says_so(
    folder: RunFolder, observation: Path, stage: str
) -> None:
    """Also before it has loaded anything, where the first process of a container may be deaf."""
    receiver = receiving(folder, observation)
    wait_until(getattr(folder, stage), f"it tells that it has come to {stage}")
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.wait() == 143
    result = folder.result()
    assert result is not None
    assert (result["status"], result["exit_code"]) == ("stopped", 143)
    assert result["ended_by"] == "signal"


def test_a_killed_receiver_releases_the_lock_and_leaves_no_marker(
    folder: RunFolder, observation: Path
) -> None:
    receiver = receiving(folder, observation)
    wait_until(folder.ready, "it is ready")
    assert folder.is_held()
    receiver.kill()
    assert not folder.is_held()
    assert folder.result() is None
    assert folder.ready() is None
    told = folder.run()
    assert told is not None
    assert told["folder"] == str(folder.path.parent)
    assert told["attempt"] == 0


def test_a_receiver_that_cannot_begin_says_so_to_those_beside_it(
    folder: RunFolder, observation: Path, tmp_path: Path
) -> None:
    receiver = receiving(folder, tmp_path / "none.ms")
    assert receiver.wait() == 3
    result = folder.result()
    assert result is not None
    assert (result["status"], result["exit_code"], result["sets"]) == ("failed", 3, [])
    assert "none.ms" in result["error"]
    assert result["ended_by"] == "error"
    done = send(folder, observation)
    assert done.returncode == 5
    assert "ended before it was ready" in done.stderr


def test_a_wrong_configuration_is_told_too(folder: RunFolder, observation: Path) -> None:
    receiver = receiving(folder, observation, "-o", "reception.nonsense=1")
    assert receiver.wait() == 2
    result = folder.result()
    assert result is not None
    assert result["exit_code"] == 2
    assert "reception.nonsense" in result["error"]
    done = send(folder, observation)
    assert done.returncode == 5
    assert "ended before it was ready" in done.stderr


def test_a_sender_without_a_receiver_gives_up(folder: RunFolder, observation: Path) -> None:
    done = send(folder, observation, results__start_timeout=0.3)
    assert done.returncode == 5
    assert "no receiver began there in results.start_timeout = 0.3 s" in done.stderr


def test_a_sender_that_is_told_where_to_send_is_not_told_twice(
    folder: RunFolder, observation: Path
) -> None:
    done = send(folder, observation, transmission__endpoints="127.0.0.1:5000")
    assert done.returncode == 2
    assert "transmission.endpoints with --receiver" in done.stderr


def test_two_receivers_cannot_share_a_folder(folder: RunFolder, observation: Path) -> None:
    receiving(folder, observation)
    wait_until(folder.ready, "it is ready")
    second = receiving(folder, observation, name="second.ms")
    assert second.wait() == 4
    assert "another receiver is at work there" in second.log
    assert folder.ready() is not None


def test_what_an_earlier_run_left_is_gone_when_the_next_has_begun(
    folder: RunFolder, observation: Path
) -> None:
    first = receiving(folder, observation)
    wait_until(folder.ready, "it is ready")
    first.process.send_signal(signal.SIGTERM)
    first.wait()
    assert folder.result() is not None
    receiving(folder, observation)
    wait_until(folder.is_held, "the next one has begun")
    wait_until(folder.ready, "it is ready")
    assert folder.result() is None


def test_several_receivers_of_one_command_have_no_run_folder(
    folder: RunFolder, observation: Path
) -> None:
    receiver = receiving(folder, observation, "--processes", "2")
    assert receiver.wait() == 2
    assert "--run-folder is for one receiver" in receiver.log


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, observation: Path) -> None:
    done = run(
        "emu-recv", "-o", f"reception.datamodel={observation}", "--run-folder", tmp_path / "none"
    )
    assert done.returncode == 4
    assert "--run-folder" in done.stderr
    assert "No such file or directory" in done.stderr


def test_the_next_attempt_writes_beside_what_is_there(tmp_path: Path, observation: Path) -> None:
    base = tmp_path / "received.ms"
    for attempt, name in enumerate(("received.ms", "received-a1.ms", "received-a2.ms")):
        # Each attempt is a pod of its own.
        folder = RunFolder(tmp_path / f"run{attempt}")
        folder.path.mkdir()
        flags = ("--next-attempt", "--summary-file", str(base.with_name("received.summary.json")))
        receiver = receiving(folder, observation, *flags)
        done = send(folder, observation)
        assert done.returncode == 0, done.stderr
        assert receiver.wait() == 0, receiver.log
        result = folder.result()
        assert result is not None
        assert result["attempt"] == attempt
        assert result["sets"] == [str(base.with_name(name))]
        assert result["base"] == str(base)
    names = {path.name for path in base.parent.iterdir()}
    assert {"received.ms", "received-a1.ms", "received-a2.ms"} <= names
    assert {f"received.summary{mark}.json" for mark in ("", "-a1", "-a2")} <= names


def test_children_do_not_hold_the_lock(folder: RunFolder, observation: Path) -> None:
    """A command for closed sets may outlive a receiver that was killed."""
    seen = folder.path.parent / "seen"
    lists_its_files = (
        "import os, pathlib, sys; fds = os.listdir('/proc/self/fd');"
        "pathlib.Path(sys.argv[1]).write_text(' '.join(os.path.realpath('/proc/self/fd/' + f)"
        " for f in fds))"
    )
    command = [sys.executable, "-c", lists_its_files, str(seen)]
    receiver = receiving(folder, observation, consumer__command=json.dumps(command))
    done = send(folder, observation)
    assert done.returncode == 0, done.stderr
    assert receiver.wait() == 0, receiver.log
    assert seen.exists()
    assert str(folder.path) not in seen.read_text()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_sender_ends_well_with_a_receiver_that_has_enough(
    folder: RunFolder, observation: Path, transport: str
) -> None:
    receiver = receiving(
        folder, observation, reception__transport=transport, reception__max_dumps=2
    )
    # An hour in all, if it went on.
    done = send(folder, observation, transmission__time_interval=1, reader__num_repeats=1000)
    assert done.returncode == 0, done.stderr
    assert "has ended" in done.stderr
    assert receiver.wait() == 0, receiver.log


def test_a_sender_waits_for_the_names_of_its_hosts(observation: Path) -> None:
    done = run(
        "emu-send",
        "-o",
        "transmission.target_host=nobody.invalid",
        "--wait-hosts",
        "1",
        observation,
    )
    assert done.returncode == 5
    assert "Waiting for nobody.invalid to have an address" in done.stderr
    assert "the host nobody.invalid to send to has no address" in done.stderr
