"""The receiver is stopped for five seconds and goes on, as debuggers and busy machines do it."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import BIN, TIMEOUT_S, options, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.timely

STOPPED_S = 5.0
INTEGRATIONS, STREAMS = 400, 2
INTERVAL_S = 0.02


@pytest.fixture(scope="module")
def sent(simulated_set: SimulatedSets) -> Path:
    """120 baselines x 32 channels, 130 kB an integration: 400 of them in 8 s."""
    return simulated_set(
        num_antennas=15, autocorrelations=True, integrations=INTEGRATIONS, channels=32, noise=1
    )


@pytest.fixture
def sending() -> Iterator[list[subprocess.Popen[str]]]:
    """Senders that are gone when the test is over."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait(TIMEOUT_S)
        assert process.stderr is not None
        process.stderr.close()


def stop_for_a_while(
    receiver: RunningReceiver, ms: Path, transport: str, started: list[subprocess.Popen[str]]
) -> int:
    """Send, stop the receiver in the middle and let it go on; return its exit code."""
    values: dict[str, Any] = {
        "transmission.endpoints": receiver.endpoints,
        "transmission.transport": transport,
        "transmission.channels_per_stream": 32 // STREAMS,
        "transmission.time_interval": INTERVAL_S,
    }
    sender = subprocess.Popen(
        [BIN / "emu-send", *options(values), ms],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(sender)
    wait_until(lambda: receiver.log.count(" closed\n") > 20, "the first integrations are written")
    receiver.process.send_signal(signal.SIGSTOP)
    try:
        # What is tested is a time, so time has to pass.
        threading.Event().wait(STOPPED_S)
    finally:
        receiver.process.send_signal(signal.SIGCONT)
    assert sender.wait(TIMEOUT_S) == 0
    return receiver.wait()


def receiving(tmp_path: Path, ms: Path, transport: str) -> RunningReceiver:
    return start_receiver(
        tmp_path,
        ms,
        {
            "reception.transport": transport,
            "transmission.channels_per_stream": 32 // STREAMS,
            # A socket that holds less than comes in five seconds.
            "reception.buffer_size": "64 KiB",
            "reception.dump_timeout": 1,
        },
        flags=["-v"],
    )


def columns(path: Path) -> tuple[np.ndarray, ...]:
    with table(str(path), ack=False) as opened:
        return opened.getcol("TIME"), opened.getcol("DATA"), opened.getcol("FLAG")


def test_over_udp_what_was_lost_is_counted_and_the_rest_is_received(
    tmp_path: Path, sent: Path, sending: list[subprocess.Popen[str]]
) -> None:
    receiver = receiving(tmp_path, sent, "udp")
    assert stop_for_a_while(receiver, sent, "udp", sending) == 0, receiver.log
    summary = receiver.summary()
    assert summary["lost"]
    assert not summary["consumers"]["errors"]
    (scan,) = summary["scans"]
    assert scan["heaps_expected"] == scan["heaps_received"] + scan["heaps_missing"]
    # Five seconds are 250 integrations; a buffer holds a few of them.
    assert scan["heaps_missing"] > 100 * STREAMS
    assert scan["integrations"] == INTEGRATIONS, receiver.log

    time, data, flag = columns(tmp_path / "received.ms")
    all_time, all_data, _ = columns(sent)
    assert np.array_equal(time, all_time)
    by_stream = flag.reshape(INTEGRATIONS, -1, STREAMS, 32 // STREAMS * flag.shape[2])
    whole = ~by_stream.any(axis=(1, 3))
    assert np.array_equal(by_stream.all(axis=(1, 3)), ~whole)
    assert whole.sum() == scan["heaps_received"]
    # It goes on by itself: everything after the pause is there again.
    assert whole[:20].all()
    assert whole[-20:].all()
    data, all_data = (
        each.reshape(INTEGRATIONS, -1, STREAMS, 32 // STREAMS * flag.shape[2])
        for each in (data, all_data)
    )
    for stream in range(STREAMS):
        kept = whole[:, stream]
        assert np.array_equal(data[kept][:, :, stream], all_data[kept][:, :, stream])


def test_over_tcp_nothing_is_lost(
    tmp_path: Path, sent: Path, sending: list[subprocess.Popen[str]]
) -> None:
    receiver = receiving(tmp_path, sent, "tcp")
    assert stop_for_a_while(receiver, sent, "tcp", sending) == 0, receiver.log
    summary = receiver.summary()
    assert not summary["lost"], summary
    (scan,) = summary["scans"]
    assert scan["heaps_received"] == scan["heaps_expected"] == INTEGRATIONS * STREAMS
    for mine, theirs in zip(columns(tmp_path / "received.ms"), columns(sent), strict=True):
        assert np.array_equal(mine, theirs)
