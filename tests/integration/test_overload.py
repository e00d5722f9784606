"""Ten times what the disk takes: the command drops whole integrations, counts them and recovers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import BIN, TIMEOUT_S, options, start_receiver
from tests.integration import slow_disk
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.timely

INTEGRATIONS, CHANNELS, BASELINES, STREAMS = 800, 128, 28, 2
INTERVAL_S = 0.02
TOO_MUCH = 10
SET_BYTES = BASELINES * CHANNELS * 4 * (8 + 4)
"""DATA and WEIGHT_SPECTRUM of an integration."""
BUFFER_BYTES = STREAMS * (BASELINES * CHANNELS // STREAMS * 34 + 2 * 4096 + 64)
# Streams may be a second apart on a busy machine; consumers may hold two thirds, for seven seconds.
WINDOW = 50
BUFFERS = WINDOW + 1 + 6
FAST_AT = 200
SLOW_DISK = "tests.integration.slow_disk.SlowDisk"
MIB = 1 << 20


@pytest.fixture(scope="module")
def sent(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 128 channels, 122 kB an integration, 800 of them."""
    return simulated_set(num_antennas=8, integrations=INTEGRATIONS, channels=CHANNELS, noise=1)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[Any]]]:
    """Processes that are gone when the test is over."""
    started: list[subprocess.Popen[Any]] = []
    yield started
    for process in started:
        process.kill()
        process.wait(TIMEOUT_S)


@pytest.fixture
def fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that makes the disk fast when it is there; until then it takes a tenth."""
    monkeypatch.setenv(slow_disk.RATE, str(SET_BYTES / INTERVAL_S / TOO_MUCH))
    monkeypatch.setenv(slow_disk.FAST, str(tmp_path / "fast"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return tmp_path / "fast"


def receiving(tmp_path: Path, ms: Path, **values: Any) -> RunningReceiver:
    return start_receiver(
        tmp_path,
        ms,
        {
            "reception.consumer": SLOW_DISK,
            "reception.buffer_memory": BUFFERS * BUFFER_BYTES,
            "reception.ring_heaps": WINDOW,
            "transmission.channels_per_stream": CHANNELS // STREAMS,
        }
        | values,
        flags=["-v"],
    )


def sending(
    receiver: RunningReceiver, ms: Path, transport: str, **values: Any
) -> subprocess.Popen[bytes]:
    given = {
        "transmission.endpoints": receiver.endpoints,
        "transmission.transport": transport,
        "transmission.channels_per_stream": CHANNELS // STREAMS,
        "transmission.time_interval": INTERVAL_S,
    }
    return subprocess.Popen(
        [BIN / "emu-send", *options(given | values), ms],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def closed(receiver: RunningReceiver) -> int:
    """How many integrations are written."""
    return receiver.log.count(" closed\n")


def memory_bytes(receiver: RunningReceiver, name: str) -> int | None:
    """``VmRSS`` or ``VmHWM`` of a receiver; None when it has ended."""
    status = Path(f"/proc/{receiver.process.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def most_memory_bytes(receiver: RunningReceiver) -> int:
    """Wait for a receiver's end; return the most memory that it had until shortly before."""
    most = 0

    def ended() -> bool:
        nonlocal most
        most = memory_bytes(receiver, "VmHWM") or most
        return receiver.process.poll() is not None

    wait_until(ended, "the receiver has ended", TIMEOUT_S)
    return most


def columns(path: Path) -> tuple[np.ndarray, ...]:
    with table(str(path), ack=False) as opened:
        return tuple(opened.getcol(name) for name in ("TIME", "DATA", "FLAG"))


def by_heap(values: np.ndarray) -> np.ndarray:
    """Return a column by integration, baseline, stream, and what a stream carries of it."""
    return values.reshape(INTEGRATIONS, BASELINES, STREAMS, -1)


def history(path: Path) -> str:
    with table(str(path / "HISTORY"), ack=False) as lines:
        return "\n".join(lines.getcol("MESSAGE"))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ten_times_what_the_disk_takes(
    tmp_path: Path, sent: Path, fast: Path, processes: list[subprocess.Popen[Any]], transport: str
) -> None:
    receiver = receiving(tmp_path, sent, **{"reception.transport": transport})
    sender = sending(receiver, sent, transport)
    processes += [receiver.process, sender]
    wait_until(lambda: closed(receiver) > FAST_AT // 4, "the disk is overloaded")
    before_bytes = memory_bytes(receiver, "VmRSS")
    wait_until(lambda: closed(receiver) > FAST_AT, "it has been for a while")
    assert sender.poll() is None
    fast.touch()
    most_bytes = most_memory_bytes(receiver)
    assert receiver.wait() == 0, receiver.log
    assert sender.wait(TIMEOUT_S) == 0

    # What came meanwhile is more than three times as much.
    assert before_bytes is not None
    assert most_bytes - before_bytes < 16 * MIB

    (scan,) = receiver.summary()["scans"]
    assert scan["heaps_expected"] == STREAMS * INTEGRATIONS
    assert scan["heaps_expected"] == scan["heaps_received"] + scan["heaps_missing"]
    dropped = receiver.summary()["consumers"]["dropped"][SLOW_DISK]
    assert f"consumer {SLOW_DISK} had no room for {dropped} integrations\n" in receiver.log
    assert f"WARNING Consumer {SLOW_DISK} had no room" in receiver.log
    if transport == "tcp":
        # Nothing is missing but what was refused for want of a buffer.
        assert scan["heaps_missing"] == scan["heaps_no_buffer"] == 0
    lines = history(tmp_path / "received.ms")
    (no_room,) = re.findall(r"\nscan 1: (\d+) of the heaps received found no room", lines)
    assert receiver.summary()["lost"]

    time, data, flag = columns(tmp_path / "received.ms")
    all_time, all_data, _ = columns(sent)
    assert np.array_equal(time, all_time)
    # Heaps are whole or wholly flagged, and HISTORY says how many of each there are.
    flag, data, all_data = (by_heap(values) for values in (flag, data, all_data))
    kept = ~flag.any(axis=(1, 3))
    assert np.array_equal(flag.all(axis=(1, 3)), ~kept)
    assert (~kept).sum() == int(no_room) + scan["heaps_missing"]
    for stream in range(STREAMS):
        taken = kept[:, stream]
        assert np.array_equal(data[taken][:, :, stream], all_data[taken][:, :, stream])
    if transport == "tcp":
        assert np.array_equal(kept[:, 0], kept[:, 1])
        assert int(no_room) == STREAMS * dropped
    # While the disk was too slow it wrote what it could, and that was data.
    whole = kept.all(axis=1)
    overloaded, recovered = whole[FAST_AT // 4 : FAST_AT], whole[-100:]
    assert 5 <= overloaded.sum() < FAST_AT // 3
    # Then the receiver recovered by itself, as far as a busy machine lets it.
    assert recovered.mean() > min(0.5, 2 * overloaded.mean())


def test_backpressure_makes_the_sender_wait_for_the_disk(
    tmp_path: Path, sent: Path, fast: Path, processes: list[subprocess.Popen[Any]]
) -> None:
    dumps, buffers = 300, 12
    receiver = receiving(
        tmp_path,
        sent,
        **{
            "reception.transport": "tcp",
            "reception.backpressure": "true",
            "reception.buffer_size": "64 KiB",
            "reception.buffer_memory": buffers * BUFFER_BYTES,
            "reception.ring_heaps": buffers // 2,
        },
    )
    sender = sending(receiver, sent, "tcp", **{"reader.num_timestamps": dumps})
    processes += [receiver.process, sender]
    wait_until(lambda: closed(receiver) > dumps // 6, "the disk has been too slow for a while")
    # It is made to wait: 12 MB of what is left are more than the sockets hold.
    assert sender.poll() is None
    before_bytes = memory_bytes(receiver, "VmRSS")
    fast.touch()
    most_bytes = most_memory_bytes(receiver)
    assert receiver.wait() == 0, receiver.log
    assert sender.wait(TIMEOUT_S) == 0
    assert before_bytes is not None
    assert most_bytes - before_bytes < 16 * MIB
    summary = receiver.summary()
    assert not summary["lost"], summary
    (scan,) = summary["scans"]
    assert scan["heaps_received"] == scan["heaps_expected"] == STREAMS * dumps
    assert not scan["heaps_no_buffer"]
    assert "no room" not in history(tmp_path / "received.ms")
    rows = dumps * BASELINES
    for mine, theirs in zip(columns(tmp_path / "received.ms"), columns(sent), strict=True):
        assert np.array_equal(mine, theirs[:rows])
