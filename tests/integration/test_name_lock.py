"""Two receivers with one output's name, and what a killed one leaves behind."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from receive.command.errors import OutputError
from receive.measurement_set.write.name_lock import NameLock, held_by
from receive.measurement_set.write.try_folder import make_try_folder
from tests.commands import ok, options, run, send, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

DUMPS = 12
TCP = {"reception.transport": "tcp"}
SENT_TCP = {"transmission.transport": "tcp"}


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """6 baselines x 4 channels, 12 integrations."""
    return simulated_set(num_antennas=4, integrations=DUMPS, channels=4, noise=1)


def column(path: Path, name: str = "DATA") -> np.ndarray:
    with table(str(path), ack=False) as opened:
        values: np.ndarray = opened.getcol(name)
    return values


def second(tmp_path: Path, observation: Path, output: str, **values: Any) -> RunningReceiver:
    """Start another receiver, that writes into the same folder."""
    folder = tmp_path / "second"
    folder.mkdir()
    settings = {key.replace("__", "."): value for key, value in values.items()}
    settings["reception.outputfilename"] = tmp_path / output
    return start_receiver(folder, observation, TCP | settings, ready=False)


@pytest.mark.parametrize(
    ("of_first", "output", "of_second"),
    [
        ({}, "received.ms", {}),
        ({}, "received.ms", {"reception__overwrite": "true"}),
        ({}, "received.ms", {"consumer__max_dumps_per_ms": 5}),
        ({"consumer.max_dumps_per_ms": 5}, "received.ms", {}),
        ({"consumer.max_dumps_per_ms": 5}, "received-p2.ms", {"reception__overwrite": "true"}),
        ({"reception.max_scans": 2}, "received-s2.ms", {}),
        ({"reception.max_scans": 2, "consumer.max_dumps_per_ms": 5}, "received-s1-p3.ms", {}),
    ],
)
def test_a_second_receiver_of_a_name_is_refused_before_it_is_ready(
    tmp_path: Path,
    observation: Path,
    started: list[RunningReceiver],
    of_first: dict[str, Any],
    output: str,
    of_second: dict[str, Any],
) -> None:
    first = start_receiver(tmp_path, observation, TCP | of_first)
    started.append(first)
    other = second(tmp_path, observation, output, **of_second)
    assert other.wait() == 4, other.log
    assert not (other.folder / "ready.json").exists()
    (line,) = [line for line in other.log.splitlines() if line.startswith("emu-recv: error: ")]
    for word in (output, f"process {first.process.pid} on {socket.gethostname()}", "another name"):
        assert word in line
    # Nothing of the first has changed.
    for _ in range(of_first.get("reception.max_scans", 1)):
        assert send(first, observation, SENT_TCP).returncode == 0
    assert first.wait() == 0, first.log
    sets = [Path(path) for path in first.summary()["sets"]]
    received = np.concatenate([column(path) for path in sets])
    sent = column(observation)
    assert np.array_equal(received, np.concatenate([sent] * (len(received) // len(sent))))
    assert sorted(tmp_path.glob("*.ms")) == sorted(sets)
    assert not list(tmp_path.glob(".received*"))


def test_a_set_that_has_begun_is_not_replaced_either(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    first = start_receiver(tmp_path, observation, TCP | {"reception.max_scans": 0}, flags=["-v"])
    started.append(first)
    assert send(first, observation, SENT_TCP).returncode == 0
    wait_until(lambda: "Closed" in first.log, "the first scan is closed")
    # A set that is closed is of a running receiver all the same.
    done = run(
        *("emu-simulate", "--array", "meerkat", "--num-antennas", "4", "--integrations", "2"),
        *("--overwrite", tmp_path / "received-s1.ms"),
    )
    assert done.returncode == 4, done.stderr
    assert f"process {first.process.pid} on " in done.stderr
    assert np.array_equal(column(tmp_path / "received-s1.ms"), column(observation))


def test_check_says_so_and_leaves_nothing(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    first = start_receiver(tmp_path, observation, TCP)
    started.append(first)
    arguments = options(
        {
            "reception.datamodel": observation,
            "reception.outputfilename": tmp_path / "received.ms",
            "reception.overwrite": "true",
        }
    )
    before = {entry.name for entry in tmp_path.iterdir()}
    done = run("emu-recv", "--check", *arguments)
    assert done.returncode == 4
    assert f"process {first.process.pid} on " in done.stderr
    assert {entry.name for entry in tmp_path.iterdir()} == before
    assert send(first, observation, SENT_TCP).returncode == 0
    assert first.wait() == 0
    ok("emu-recv", "--check", *arguments)


def test_several_receivers_of_one_command_have_a_name_each(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    streams = {"transmission.channels_per_stream": 2}
    both = start_receiver(tmp_path, observation, TCP | streams, flags=["--processes", "2"])
    started.append(both)
    other = second(tmp_path, observation, "received-r1.ms")
    assert other.wait() == 4, other.log
    assert "received-r1.ms is in use by another receiver" in other.log
    assert send(both, observation, SENT_TCP | streams).returncode == 0
    assert both.wait() == 0, both.log


def leave_behind(folder: Path, observation: Path) -> list[Path]:
    """Make what receivers that were killed leave beside their sets."""
    left = [folder / name for name in (".received.ms.1.new", ".received.ms.4711.new")]
    left += [folder / ".received-p2.ms.9.new", folder / ".received.ms.1.probe"]
    for path in left[:-1]:
        shutil.copytree(observation, path)
    left[-1].mkdir()
    trial = folder / ".received.ms.abcdefgh.try"
    shutil.copytree(observation, trial / "received.ms")
    (trial / "in-use").touch()
    lock = folder / ".received.ms.lock"
    lock.write_text('{"pid": 1, "host": "elsewhere", "since": "2026-01-01T00:00:00Z"}')
    return [*left, trial]


def test_what_a_killed_receiver_left_is_removed_by_the_next(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    left = leave_behind(tmp_path, observation)
    others = [tmp_path / ".received.ms.txt", tmp_path / ".other.ms.1.new"]
    for path in others:
        path.mkdir()
    receiver = start_receiver(tmp_path, observation, TCP)
    started.append(receiver)
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in others)
    assert send(receiver, observation, SENT_TCP).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert np.array_equal(column(tmp_path / "received.ms"), column(observation))
    assert not (tmp_path / ".received.ms.lock").exists()


def test_tables_that_were_made_aside_are_removed_when_their_maker_is_dead(
    tmp_path: Path,
    observation: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[RunningReceiver],
) -> None:
    aside = tmp_path / "temporary"
    aside.mkdir()
    monkeypatch.setenv("TMPDIR", str(aside))
    left, held = make_try_folder(aside, "vis-receive")
    os.close(held)
    in_use, held = make_try_folder(aside, "vis-receive")
    (aside / ".vis-receive.txt").touch()
    receiver = start_receiver(tmp_path, observation, TCP)
    started.append(receiver)
    assert not left.exists()
    assert sorted(aside.iterdir()) == sorted([in_use, aside / ".vis-receive.txt"])
    os.close(held)


def test_nothing_is_removed_while_its_owner_lives(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    """Whatever their numbers: a process's number comes again, and containers share them."""
    first = start_receiver(tmp_path, observation, TCP)
    started.append(first)
    left = leave_behind_new(tmp_path, observation)
    other = second(tmp_path, observation, "received.ms", reception__overwrite="true")
    assert other.wait() == 4, other.log
    assert all(path.exists() for path in left)
    first.kill()
    # What it leaves behind is there, and its lock is not held any more.
    assert (tmp_path / ".received.ms.lock").exists()
    again = start_receiver(tmp_path, observation, TCP | {"reception.overwrite": "true"})
    started.append(again)
    assert not any(path.exists() for path in left)


def leave_behind_new(folder: Path, observation: Path) -> list[Path]:
    left = [folder / ".received.ms.1.new", folder / f".received.ms.{os.getpid()}.old"]
    shutil.copytree(observation, folder / "received.ms")
    for path in left:
        shutil.copytree(observation, path)
    return left


def test_a_set_that_was_about_to_be_replaced_is_put_back(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    """Killed between the two steps that some file systems need."""
    shutil.copytree(observation, tmp_path / ".received.ms.77.old")
    receiver = start_receiver(tmp_path, observation, TCP, ready=False)
    started.append(receiver)
    assert receiver.wait() == 4, receiver.log
    assert "received.ms is put back" in receiver.log
    assert "received.ms exists already" in receiver.log
    assert np.array_equal(column(tmp_path / "received.ms"), column(observation))


def test_the_next_attempt_leaves_a_living_one_its_name(
    tmp_path: Path, observation: Path, started: list[RunningReceiver]
) -> None:
    first = start_receiver(tmp_path, observation, TCP)
    started.append(first)
    folder = tmp_path / "second"
    folder.mkdir()
    values = TCP | {"reception.outputfilename": tmp_path / "received.ms"}
    other = start_receiver(folder, observation, values, flags=["--next-attempt"])
    started.append(other)
    for receiver in (first, other):
        assert send(receiver, observation, SENT_TCP).returncode == 0
        assert receiver.wait() == 0, receiver.log
    for name in ("received.ms", "received-a1.ms"):
        assert np.array_equal(column(tmp_path / name), column(observation))


def test_a_file_system_without_locks_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OutputError, match=r"has no locks .*choose another folder") as caught:
        NameLock(tmp_path / "received.ms")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert held_by(tmp_path / "received.ms") is None


def test_a_lock_goes_with_the_folder_and_is_taken_anew_in_another_one(tmp_path: Path) -> None:
    folder, path = tmp_path / "data", tmp_path / "data" / "received.ms"
    folder.mkdir()
    lock = NameLock(path)
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    # In the new folder nobody has it yet; in the old one nobody else gets it.
    assert held_by(path) is None
    assert held_by(tmp_path / "moved" / "received.ms") is not None
    lock.renew()
    assert held_by(path) is not None
    lock.release()
    assert not list(folder.iterdir())


def test_whoever_shares_a_lock_keeps_out_only_who_wants_all(tmp_path: Path) -> None:
    first, other = NameLock(tmp_path / "obs-p1.ms"), NameLock(tmp_path / "obs-p2.ms")
    with pytest.raises(OutputError, match=r"obs\.ms is in use by another receiver"):
        NameLock(tmp_path / "obs.ms")
    first.release()
    with pytest.raises(OutputError, match=r"obs\.ms is in use"):
        NameLock(tmp_path / "obs.ms")
    other.release()
    with NameLock(tmp_path / "obs.ms"), pytest.raises(OutputError, match=r"obs-p2\.ms is in use"):
        NameLock(tmp_path / "obs-p2.ms")
    assert not list(tmp_path.iterdir())
