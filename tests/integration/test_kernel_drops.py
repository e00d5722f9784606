"""What the kernel drops is counted apart from what the network loses."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from casacore.tables import table

from receive.stream.network import sockets
from tests.commands import send, start_receiver
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.running import Running
    from tests.simulated import SimulatedSets

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """60 integrations of 66 baselines x 16 channels, 36 kB each."""
    return simulated_set(num_antennas=12, integrations=60, channels=16)


def history(ms: Path) -> str:
    with table(str(ms / "HISTORY"), ack=False) as lines:
        return "\n".join(lines.getcol("MESSAGE"))


def test_a_stopped_receiver_knows_what_the_kernel_dropped(
    observation: Path, tmp_path: Path
) -> None:
    per_stream = {"transmission.channels_per_stream": 8}
    receiver = start_receiver(
        tmp_path,
        observation,
        per_stream | {"reception.buffer_size": 100_000, "reception.idle_timeout": 8},
    )
    receiver.process.send_signal(signal.SIGSTOP)
    try:
        sent = send(receiver, observation, per_stream)
    finally:
        receiver.process.send_signal(signal.SIGCONT)
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    [scan] = summary["scans"]
    # Each stream's 60 heaps are 13 packets each, of which the buffer holds some dozens.
    dropped = [group["kernel_dropped_packets"] for group in scan["groups"]]
    assert all(500 < count < 1000 for count in dropped), dropped
    assert scan["kernel_dropped_packets"] == sum(dropped) == summary["kernel_dropped_packets"]
    line = f"kernel dropped {sum(dropped)} packets"
    assert receiver.log.count(f"; {line}\n") == 2  # the log's and the summary's
    assert line in history(tmp_path / "received.ms")
    assert f"; kernel dropped {dropped[1]} packets" in history(tmp_path / "received.ms")
    warnings = [text for text in receiver.log.splitlines() if "WARNING The kernel dropped" in text]
    assert len(warnings) == 1
    assert "-o reception.buffer_size=400000" in warnings[0]


def test_a_quiet_run_reports_none(observation: Path, tmp_path: Path) -> None:
    receiver = start_receiver(tmp_path, observation)
    assert send(receiver, observation, {"transmission.rate": 20e6}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    assert summary["kernel_dropped_packets"] == 0
    assert summary["scans"][0]["kernel_dropped_packets"] == 0
    assert "kernel dropped 0 packets" in history(tmp_path / "received.ms")
    assert "The kernel dropped" not in receiver.log


def test_tcp_has_nothing_to_drop(observation: Path, tmp_path: Path) -> None:
    tcp = {"reception.transport": "tcp", "transmission.transport": "tcp"}
    receiver = start_receiver(tmp_path, observation, tcp)
    assert send(receiver, observation, tcp).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert receiver.summary()["kernel_dropped_packets"] is None
    assert "kernel dropped" not in receiver.log


def test_each_scan_has_its_own_count(receive: Receive) -> None:
    """Drops of a first scan are not told again of the second."""
    observation = Observation(times=4, per_stream=8)
    running = receive(observation, reception__max_scans=2)
    with Sender(running.ports) as sender:
        sender.send(0, observation.stream(0))
        running.recorder.wait_for(4)
        wait_until(lambda: bool(running.recorder.ended), "the first scan has ended")
        running.view.claim_kernel_drops(7)
        sender.send(0, Observation(times=4, per_stream=8, scan_id=99).stream(0))
        outcome = running.finish()
    assert [scan.kernel_dropped_total for scan in outcome.scans] == [0, 7]


def test_a_too_small_buffer_is_one_warning_with_the_command(
    observation: Path, tmp_path: Path
) -> None:
    wanted = 1 << 30
    limit = sockets.rmem_max_bytes()
    if limit is None or limit >= wanted:
        pytest.skip("the kernel of this machine grants a GiB of socket buffer")
    per_stream = {"transmission.channels_per_stream": 2}
    receiver = start_receiver(tmp_path, observation, per_stream | {"reception.buffer_size": wanted})
    receiver.process.send_signal(signal.SIGTERM)
    receiver.wait()
    warnings = [text for text in receiver.log.splitlines() if "socket buffer" in text]
    assert len(warnings) == 1
    assert warnings[0].endswith(f"sudo sysctl -w net.core.rmem_max={wanted}")
