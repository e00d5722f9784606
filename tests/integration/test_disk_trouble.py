"""Disks in trouble while data come: what they do not take is lost and known, and nothing else."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import BIN, options, start_receiver
from tests.integration.senders import Observation, Sender
from tests.integration.slow_disk import FAST, RATE
from tests.integration.test_bad_input import mounted
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

DUMPS, BASELINES = 150, 28
"""Integrations in the set: more than a sender sends before its test stops it."""
STOPPED = 128 + signal.SIGTERM
WRITTEN = re.compile(r"integration \d+ closed$", re.MULTILINE)
CLOSED = re.compile(r"Closed (\S+): (\d+) integrations$", re.MULTILINE)


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 512 channels: 150 integrations of 0.7 MB."""
    return simulated_set(num_antennas=8, integrations=DUMPS, channels=512, noise=1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 MiB."""
    yield from mounted(tmp_path / "disk", "size=600m")


class Run:
    """A receiver that writes on a disk, with another consumer beside, and its sender."""

    def __init__(
        self, folder: Path, disk: Path, sent: Path, integrations: int = 0, **values: Any
    ) -> None:
        self.sent, self.disk = sent, disk
        self._stop = not integrations
        settings = {
            "reception.transport": "tcp",
            "reception.consumer": "mswriter,null",
            "reception.outputfilename": disk / "received.ms",
        } | {key.replace("__", "."): value for key, value in values.items()}
        self.receiver = start_receiver(folder, sent, settings, flags=["-v"])
        sending = {
            "transmission.transport": "tcp",
            "transmission.endpoints": self.receiver.endpoints,
            "transmission.time_interval": 0.1,
            "reader.num_timestamps": integrations,
        }
        self._sender = subprocess.Popen(
            [BIN / "emu-send", *options(sending), sent],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def after(self, integrations: int) -> None:
        """Wait until so many are written."""
        wait_until(lambda: self.written() >= integrations, f"{integrations} are written")

    def written(self) -> int:
        return len(WRITTEN.findall(self.receiver.log))

    def until(self, words: str) -> None:
        wait_until(lambda: words in self.receiver.log, words)

    def end(self, *codes: int) -> dict[str, Any]:
        """End it; return the summary, in which the other consumer lacks nothing."""
        if self._stop:
            self._sender.terminate()
        said, _ = self._sender.communicate(timeout=60)
        assert self._sender.returncode == (STOPPED if self._stop else 0)
        self.dumps = int(said.split()[2])
        assert self.receiver.wait() in (codes or (0,)), self.receiver.log
        summary = self.receiver.summary()
        (scan,) = summary["scans"]
        assert scan["heaps_missing"] == 0
        assert scan["integrations"] == self.dumps
        assert summary["consumers"]["dropped"]["null"] == 0
        assert summary["consumers"]["unwritten"]["null"] == 0
        assert set(summary["sets"]) == {path for path, _ in CLOSED.findall(self.receiver.log)}
        return summary

    def lost(self, summary: dict[str, Any]) -> int:
        """Return what could not be written, which the account says wherever it is asked."""
        unwritten: int = summary["consumers"]["unwritten"]["mswriter"]
        assert summary["lost"] is (unwritten > 0)
        if unwritten:
            said = f"consumer mswriter could not write {unwritten} integrations"
            assert said in self.receiver.log
        return unwritten


@pytest.fixture
def begin(tmp_path: Path, observation: Path, started: list[RunningReceiver]) -> Callable[..., Run]:
    def begun(disk: Path, **values: Any) -> Run:
        run = Run(tmp_path, disk, observation, **values)
        started.append(run.receiver)
        return run

    return begun


def column(path: Path | str, name: str) -> np.ndarray:
    with table(str(path), ack=False) as opened:
        values: np.ndarray = opened.getcol(name)
    return values


def history(path: Path | str) -> str:
    with table(f"{path}/HISTORY", ack=False) as lines:
        return "\n".join(lines.getcol("MESSAGE"))


def kept(sets: list[str], sent: Path) -> np.ndarray:
    """Return which integrations the sets hold, all of which have their rows, once and in order."""
    times = np.concatenate([column(path, "TIME") for path in sets])
    assert np.array_equal(times, column(sent, "TIME")[: len(times)])
    return unflagged(sets, sent)


def unflagged(sets: list[str], sent: Path) -> np.ndarray:
    """Return which of the integrations that the sets hold have data, as they were sent."""
    flags = np.concatenate([column(path, "FLAG").reshape(-1, BASELINES * 512 * 4) for path in sets])
    data = np.concatenate([column(path, "DATA").reshape(-1, BASELINES * 512 * 4) for path in sets])
    times = np.concatenate([column(path, "TIME") for path in sets])[::BASELINES]
    good = ~flags.all(axis=1)
    assert not flags[good].any()
    index = np.searchsorted(column(sent, "TIME")[::BASELINES], times)
    all_data = column(sent, "DATA").reshape(DUMPS, -1)
    assert np.array_equal(data[good], all_data[index[good]])
    return good


def fill(disk: Path) -> Path:
    """Leave nothing of a disk to others."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                size = 0 if file.write(bytes(size)) < size else size
            except OSError:
                size //= 2
    return filler


@pytest.mark.parametrize("per_set", [0, 7])
def test_a_disk_that_is_full_for_a_while_costs_what_came_meanwhile(
    begin: Callable[..., Run], disk: Path, observation: Path, per_set: int
) -> None:
    run = begin(disk, consumer__max_dumps_per_ms=per_set)
    run.after(10)
    filler = fill(disk)
    run.until("could not be written for")
    run.after(run.written())
    filler.unlink()
    run.until("writing again")
    summary = run.end()
    lost = run.lost(summary)
    good = kept(summary["sets"], observation)
    assert (~good).sum() == lost > 0
    assert good[:10].all()
    assert good[-1]
    # It was lost in one piece, and the next that came was kept.
    assert np.diff(good.astype(int)).tolist().count(1) == 1
    told = "\n".join(history(path) for path in summary["sets"])
    assert f"{lost} integrations could not be written, and are flagged" in told
    # None of the sets holds only what was lost.
    assert all(not column(path, "FLAG").all() for path in summary["sets"])
    assert {path.name for path in disk.iterdir()} == {Path(path).name for path in summary["sets"]}


def test_fail_on_loss_counts_what_could_not_be_written(
    tmp_path: Path, observation: Path, disk: Path, started: list[RunningReceiver]
) -> None:
    values = {"reception.outputfilename": disk / "received.ms", "reception.transport": "tcp"}
    receiver = start_receiver(tmp_path, observation, values, flags=["--fail-on-loss", "-v"])
    started.append(receiver)
    sending = {
        "transmission.transport": "tcp",
        "transmission.endpoints": receiver.endpoints,
        "transmission.time_interval": 0.1,
    }
    with subprocess.Popen([BIN / "emu-send", *options(sending), observation]):
        wait_until(lambda: len(WRITTEN.findall(receiver.log)) > 4, "some are written")
        filler = fill(disk)
        wait_until(lambda: "could not be written for" in receiver.log, "it is full")
        filler.unlink()
        assert receiver.wait() == 7, receiver.log
    assert receiver.summary()["consumers"]["errors"] == []


def test_a_limit_ends_the_trying(begin: Callable[..., Run], disk: Path, observation: Path) -> None:
    run = begin(disk, integrations=60, consumer__retry=1)
    run.after(5)
    fill(disk)
    summary = run.end(4)
    (error,) = summary["consumers"]["errors"]
    assert error.startswith("no space left for ")
    assert summary["consumers"]["unconsumed"]["mswriter"] > 0
    (path,) = summary["sets"]
    good = unflagged([path], observation)
    assert good[:5].all()


def test_a_disk_that_is_full_to_the_end_leaves_no_empty_part_and_runs_no_command(
    tmp_path: Path, begin: Callable[..., Run], disk: Path, observation: Path
) -> None:
    given = tmp_path / "given"
    appends = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
    command = json.dumps([sys.executable, "-c", appends, str(given), "{path}"])
    run = begin(disk, integrations=60, consumer__max_dumps_per_ms=6, consumer__command=command)
    run.after(9)
    filler = fill(disk)
    summary = run.end(4)
    filler.unlink()
    (error,) = summary["consumers"]["errors"]
    assert "no space left" in error
    assert sorted(given.read_text().splitlines()) == sorted(summary["sets"])
    good = unflagged(summary["sets"], observation)
    assert good.sum() == run.dumps - run.lost(summary)
    assert all(not column(path, "FLAG").all() for path in summary["sets"])
    assert {path.name for path in disk.iterdir()} == {Path(path).name for path in summary["sets"]}
    # A set says so that is closed later; if none was open any more, the last line does.
    line = f"{run.dumps - len(good)} integrations could not be kept, and are in no set"
    assert line in history(summary["sets"][-1]) + error


@pytest.mark.parametrize("how", ["moved", "removed"])
def test_a_folder_that_is_gone_for_a_while(
    tmp_path: Path, begin: Callable[..., Run], observation: Path, how: str
) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    run = begin(folder, consumer__max_dumps_per_ms=5)
    run.until("Closed")
    folder.rename(away)
    run.until("could not be written for")
    if how == "removed":
        shutil.rmtree(away)
        folder.mkdir()
    else:
        away.rename(folder)
    run.until("writing again")
    summary = run.end()
    there = [path for path in summary["sets"] if Path(path).exists()]
    if how == "moved":
        # What was being written when it was moved has gone on, and was closed where it was then.
        there = sorted(str(path) for path in folder.iterdir())
        there.sort(key=lambda path: (len(path), path))
        good = kept(there, observation)
        assert (~good).sum() == run.lost(summary) > 0
        assert len(there) == len(summary["sets"])
    assert unflagged(there, observation)[-1]
    assert run.lost(summary) > 0


def test_a_folder_that_comes_and_goes_ends_nothing(
    tmp_path: Path, begin: Callable[..., Run], observation: Path
) -> None:
    """At any moment: while sets are made, and while they are closed."""
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    run = begin(folder, consumer__max_dumps_per_ms=1)
    draw, over = random.Random(1), threading.Event()
    run.after(1)
    for _ in range(40):
        folder.rename(away)
        over.wait(draw.uniform(0, 0.03))
        away.rename(folder)
        over.wait(draw.uniform(0, 0.2))
    # 4 if it was away when the last integration came.
    summary = run.end(0, 4)
    assert run.lost(summary) > 0
    # The lock stays if the folder was away at the end; it is nobody's.
    found = sorted(map(str, folder.glob("*.ms")), key=lambda path: (len(path), path))
    good = unflagged(found, observation)
    assert good.sum() == run.dumps - run.lost(summary)


def test_a_set_that_is_moved_while_it_is_written_goes_on_and_is_closed_there(
    tmp_path: Path, begin: Callable[..., Run], disk: Path, observation: Path
) -> None:
    run = begin(disk)
    run.after(5)
    elsewhere = disk / "elsewhere.ms"
    (disk / "received.ms").rename(elsewhere)
    # What somebody puts in its place is not the receiver's.
    (disk / "received.ms").mkdir()
    (disk / "received.ms" / "table.dat").write_text("somebody's")
    run.after(run.written() + 2)
    summary = run.end()
    assert summary["sets"] == [str(elsewhere)]
    assert "was moved while it was written, and is now" in run.receiver.log
    assert not run.lost(summary)
    assert kept([str(elsewhere)], observation).all()
    assert [path.name for path in (disk / "received.ms").iterdir()] == ["table.dat"]


@pytest.mark.parametrize("overwrite", ["false", "true"])
def test_a_set_that_is_removed_while_it_is_written_is_lost_and_another_begun(
    begin: Callable[..., Run], disk: Path, observation: Path, overwrite: str
) -> None:
    run = begin(disk, reception__overwrite=overwrite)
    run.after(5)
    shutil.rmtree(disk / "received.ms")
    shutil.copytree(observation, disk / "received.ms")
    before = column(disk / "received.ms", "DATA")
    run.until("was removed while it was written")
    run.after(run.written() + 2)
    summary = run.end()
    (path,) = summary["sets"]
    assert path == str(disk / "received-p2.ms")
    good = unflagged([path], observation)
    assert good.all()
    assert run.lost(summary) == run.dumps - len(good)
    assert f"{run.dumps - len(good)} integrations could not be kept" in history(path)
    assert np.array_equal(column(disk / "received.ms", "DATA"), before)


def test_a_disk_that_becomes_read_only_for_a_while(
    tmp_path: Path, begin: Callable[..., Run], disk: Path, observation: Path
) -> None:
    """What has its files open goes on; the next part waits."""
    place, read_only = tmp_path / "place", tmp_path / "read-only"
    for mount_point in (place, read_only):
        mount_point.mkdir()
        subprocess.run(["mount", "--bind", disk, mount_point], check=True)
    # A mount that is being written to cannot be made read-only: another one is put over it.
    subprocess.run(["mount", "-o", "remount,bind,ro", read_only], check=True)
    try:
        run = begin(place, consumer__max_dumps_per_ms=4)
        run.until("Closed")
        subprocess.run(["mount", "--bind", read_only, place], check=True)
        run.until("could not be written for")
        subprocess.run(["umount", place], check=True)
        run.until("writing again")
        summary = run.end()
        good = kept(sorted(summary["sets"], key=lambda path: (len(path), path)), observation)
        assert (~good).sum() == run.lost(summary) > 0
        assert good[-1]
        assert len(list(place.iterdir())) == len(summary["sets"])
    finally:
        for mount_point in (read_only, place):
            subprocess.run(["umount", "--lazy", mount_point], check=True)


def test_a_disk_that_cannot_keep_what_it_took_is_told_of(
    tmp_path: Path, begin: Callable[..., Run], observation: Path
) -> None:
    """A file system that believes to have more space than there is behind it."""
    for behind in mounted(tmp_path / "behind", "size=24m"):
        image = behind / "image"
        with image.open("wb") as file:
            file.truncate(400 << 20)
        # Its own structures are there from the beginning; what is written later is not.
        ok_to_mount = subprocess.run(
            ["mkfs.ext4", "-q", "-m", "0", "-J", "size=4", image], capture_output=True, check=False
        )
        place = tmp_path / "place"
        place.mkdir()
        how = ["mount", "-o", "loop,errors=continue", image, place]
        if (
            ok_to_mount.returncode
            or subprocess.run(how, capture_output=True, check=False).returncode
        ):
            pytest.skip("mounting an image takes root and a loop device")
        try:
            run = begin(place, integrations=60, consumer__direct_io="false")
            summary = run.end(4)
            errors = summary["consumers"]["errors"]
            assert any("could not keep all" in error for error in errors), run.receiver.log
            assert run.lost(summary) > 0
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)


def test_a_signal_closes_within_seconds_whatever_waits(
    simulated_set: SimulatedSets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[RunningReceiver],
) -> None:
    """150 scans, of which the disk takes one in some seconds: what it has begun is closed."""
    sent = simulated_set(num_antennas=4, autocorrelations=True, integrations=2, channels=8)
    monkeypatch.setenv(RATE, "3000")
    monkeypatch.setenv(FAST, str(tmp_path / "never"))
    scans = 150
    receiver = start_receiver(
        tmp_path,
        sent,
        {
            "reception.transport": "tcp",
            "reception.max_scans": 0,
            "reception.consumer": "tests.integration.slow_disk.SlowDisk",
            "reception.buffer_memory": 1 << 26,
        },
    )
    started.append(receiver)
    with Sender(receiver.ports, tcp=True) as sender:
        for number in range(scans):
            scan = Observation(
                times=2, scan_id=1 + number, first_heap_count=1 + 100 * number,
                first_unix_s=1_700_000_000 + 60 * number,
            )  # fmt: skip
            sender.send(0, scan.stream(0))
        wait_until(lambda: receiver.log.count("ended_by=") >= scans, "all have come")
        receiver.process.send_signal(signal.SIGTERM)
        assert receiver.wait() == 143, receiver.log
    summary = receiver.summary()
    came = [(scan["scan_id"], scan["integrations"]) for scan in summary["scans"]]
    assert came == [(1 + number, 2) for number in range(scans)]
    (dropped,) = summary["consumers"]["unconsumed"].values()
    assert f"{dropped} integrations that waited for it are dropped" in receiver.log
    assert summary["lost"]
    rows = [column(path, "TIME").size // 10 for path in summary["sets"]]
    # The rest of the first minutes' work is not waited for, and each integration is accounted for.
    assert sum(rows) + dropped == 2 * len(summary["scans"])
    assert len(rows) < scans / 3
    assert not list(tmp_path.rglob(".vis-receive"))
