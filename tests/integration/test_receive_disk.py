"""A disk that stalls, fills up and comes back: what it did not take is counted, the rest kept."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from receive.measurement_set.read.source import SetSource
from receive.measurement_set.write.writer import SetWriter
from tests.commands import BIN, ok, options, send, start_receiver
from tests.integration.test_bad_input import mounted
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.running import Running
    from tests.simulated import SimulatedSets

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

OUTPUT = 4
INTEGRATIONS, CHANNELS, BASELINES = 200, 32, 28
STALLED_AT, GOES_ON_AT = 30, 130


@pytest.fixture(scope="module")
def sent(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 32 channels, 30 kB an integration, 200 of them."""
    return simulated_set(num_antennas=8, integrations=INTEGRATIONS, channels=CHANNELS, noise=1)


def columns(path: Path) -> tuple[np.ndarray, ...]:
    with table(str(path), ack=False) as opened:
        return opened.getcol("TIME"), opened.getcol("DATA"), opened.getcol("FLAG")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk on which nothing is written from the 30th integration on until the event is set."""
    goes_on = threading.Event()
    write, calls = SetWriter.write, []

    def stalling(self: SetWriter, payload: Any) -> None:
        calls.append(payload.ticks)
        if len(calls) == STALLED_AT:
            goes_on.wait()
        write(self, payload)

    monkeypatch.setattr(SetWriter, "write", stalling)
    yield goes_on
    goes_on.set()


def test_a_disk_that_stalls_holds_up_nobody_and_goes_on(
    receive: Receive, tmp_path: Path, sent: Path, disk: threading.Event
) -> None:
    class Model:
        model = SetSource(sent).model()
        per_stream = CHANNELS // 2

    received = tmp_path / "received.ms"
    running = receive(
        Model,
        reception__consumer="mswriter,tests.integration.recorder.Recorder",
        reception__datamodel=str(sent),
        reception__outputfilename=str(received),
        # 110 integrations, of which the disk may have those that the window does not need: what
        # is left to the others is a second's worth, also for a busy machine.
        reception__ring_heaps=55,
        reception__buffer_memory=110 * BASELINES * CHANNELS * 34,
        reception__transport="tcp",
    )
    values = {
        "transmission.transport": "tcp",
        "transmission.endpoints": ",".join(f"127.0.0.1:{port}" for port in running.ports),
        "transmission.channels_per_stream": CHANNELS // 2,
        "transmission.time_interval": 0.02,
    }
    with subprocess.Popen([BIN / "emu-send", *options(values), sent]) as sender:
        wait_until(lambda: len(running.recorder.taken) >= GOES_ON_AT, "the stall is long")
        disk.set()
        assert sender.wait(60) == 0
    outcome = running.finish()
    dropped = outcome.dropped["mswriter"]
    assert 20 < dropped < INTEGRATIONS - STALLED_AT
    assert outcome.dropped["tests.integration.recorder.Recorder"] == 0
    assert not outcome.errors
    assert outcome.lost
    (scan,) = outcome.scans
    assert scan.missing == 0
    assert len(running.recorder.taken) == INTEGRATIONS

    time, data, flag = columns(received)
    all_time, all_data, _ = columns(sent)
    assert np.array_equal(time, all_time)
    by_dump = flag.reshape(INTEGRATIONS, -1)
    kept = ~by_dump.any(axis=1)
    assert np.array_equal(by_dump.all(axis=1), ~kept)
    assert (~kept).sum() == dropped
    # A busy machine's disk may drop some of the others too; none of the stall are kept but those
    # that had been waiting.
    assert kept[:STALLED_AT].sum() > STALLED_AT / 2
    assert kept[STALLED_AT:GOES_ON_AT].sum() < 60
    # It recovered by itself.
    assert kept[-20:].sum() > 10
    data, all_data = (each.reshape(INTEGRATIONS, -1) for each in (data, all_data))
    assert np.array_equal(data[kept], all_data[kept])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    yield from mounted(tmp_path / "disk", "size=24m")


def test_a_full_disk_ends_the_set_only_and_is_used_again_when_it_comes_back(
    tmp_path: Path, sent: Path, small_disk: Path
) -> None:
    output = small_disk / "received.ms"
    values = {
        "reception.outputfilename": output,
        "reception.transport": "tcp",
        "reception.consumer": "mswriter,null",
        "reception.overwrite": "true",
    }
    sending = {"transmission.transport": "tcp"}
    receiver = start_receiver(tmp_path, sent, values, flags=["-v"])
    # Somebody else takes what is left but for some integrations.
    elsewhere = small_disk / "somebody-else"
    free = shutil.disk_usage(small_disk).free
    elsewhere.write_bytes(b"x" * max(0, free - 4_000_000))
    assert send(receiver, sent, sending).returncode == 0
    assert receiver.wait() == OUTPUT, receiver.log
    summary = receiver.summary()
    (scan,) = summary["scans"]
    # The network and the other consumer have not noticed.
    assert scan["heaps_missing"] == 0
    assert scan["integrations"] == INTEGRATIONS
    assert summary["consumers"]["dropped"]["null"] == 0
    (error,) = summary["consumers"]["errors"]
    assert str(output) in error

    closed = receiver.log.count(" closed\n")
    elsewhere.unlink()
    ok("ms-recover", output)
    _, data, flag = columns(output)
    rows = closed * BASELINES
    assert 0 < rows <= len(data)
    assert not flag[:rows].any()
    assert np.array_equal(data[:rows], columns(sent)[1][:rows])

    again = start_receiver(tmp_path, sent, values, flags=["--fail-on-loss"])
    assert send(again, sent, sending).returncode == 0
    assert again.wait() == 0, again.log
    assert np.array_equal(columns(output)[1], columns(sent)[1])
