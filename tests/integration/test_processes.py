"""``emu-recv --processes N``: several receivers on one machine as one command."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands import RunningReceiver, ok, options, run, send, start_receiver
from tests.conftest import LOFAR_SETS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.simulated import SimulatedSets

PROCESSES = 3
STREAMS = {"transmission.channels_per_stream": 2}
THREE = ["--processes", str(PROCESSES)]


@pytest.fixture(scope="module")
def simulated(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 12 channels, which are 6 streams."""
    return simulated_set(
        num_antennas=8,
        integrations=12,
        channels=12,
        noise=0.1,
        weights="random",
        flag_fraction=0.05,
    )


def pids(receiver: RunningReceiver) -> list[int]:
    """Return the process ids of the receivers, in order."""
    found = re.search(r"receivers \(processes ([\d, ]+)\)", receiver.log)
    assert found, receiver.log
    return [int(number) for number in found[1].split(", ")]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def sets(receiver: RunningReceiver) -> list[Path]:
    return [receiver.folder / f"received-r{index}.ms" for index in range(PROCESSES)]


def receive_as_one(folder: Path, ms: Path, transport: str) -> Path:
    folder.mkdir()
    receiver = start_receiver(folder, ms, STREAMS | {"reception.transport": transport})
    assert send(receiver, ms, STREAMS | {"transmission.transport": transport}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    return folder / "received.ms"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("source", ["simulated", *LOFAR_SETS])
def test_their_sets_joined_are_what_one_receiver_writes(
    tmp_path: Path, source: str, transport: str, request: pytest.FixtureRequest
) -> None:
    ms: Path = request.getfixturevalue(source)
    values = STREAMS | {"reception.transport": transport}
    receiver = start_receiver(tmp_path, ms, values, flags=[*THREE, "--fail-on-loss"])
    ready = json.loads((tmp_path / "ready.json").read_text())
    assert ready.keys() == {"pid", "host", "ports"}
    assert ready["pid"] == receiver.process.pid
    assert receiver.log.count("INFO Ready: ") == PROCESSES + 1
    sent = send(receiver, ms, STREAMS | {"transmission.transport": transport})
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    assert not summary["lost"]
    [scan] = summary["scans"]
    assert scan["heaps_expected"] == scan["heaps_received"] > 0
    assert len(scan["groups"]) == len(receiver.ports)
    assert [one["exit_code"] for one in summary["processes"]] == [0] * PROCESSES
    assert "nothing was lost" in receiver.log
    for line in receiver.log.splitlines():
        if "Closed" in line:
            assert re.match(r"\[r[012]\] ", line)
    first, second, third = sets(receiver)
    joined = tmp_path / "joined.ms"
    ok("ms-concat", joined, third, first, second)
    one = receive_as_one(tmp_path / "one", ms, transport)
    ok("ms-diff", one, joined, "--ignore", "HISTORY", "--atol", "TIME_CENTROID=2e-6")
    ok("ms-diff", "--round-trip", ms, joined)


def test_check_prints_each_share_and_divides_the_memory(simulated: Path) -> None:
    common = options(STREAMS | {"reception.datamodel": simulated})
    told = ok("emu-recv", "--check", *THREE, *common)
    assert re.findall(r"receiver r(\d), \d of 3", told) == ["0", "1", "2"]
    assert re.findall(r"channels (\d+) to (\d+)", told) == [("0", "3"), ("4", "7"), ("8", "11")]
    assert re.findall(r"ports (\d+)-(\d+)", told) == [
        ("41000", "41001"),
        ("41002", "41003"),
        ("41004", "41005"),
    ]
    assert [f"recv-vis-r{index}.ms" in told for index in range(PROCESSES)] == [True] * PROCESSES


@pytest.mark.parametrize(
    "arguments",
    [
        ["--processes", "0"],
        ["--processes", "two"],
        ["--processes", "2", "-o", "reception.process_index=0"],
        ["--processes", "2", "-o", "reception.process_count=2"],
    ],
)
def test_wrong_usage(simulated: Path, arguments: list[str]) -> None:
    done = run("emu-recv", *arguments, "-o", f"reception.datamodel={simulated}")
    assert done.returncode == 2, done.stderr


def test_more_processes_than_streams_are_refused(tmp_path: Path, simulated: Path) -> None:
    receiver = start_receiver(
        tmp_path, simulated, STREAMS, flags=["--processes", "7"], ready=False
    )  # fmt: skip
    assert receiver.wait() == 2
    assert "reception.process_count = 7 is more than the 6 streams" in receiver.log
    assert not (tmp_path / "ready.json").exists()


def test_one_that_cannot_begin_stops_the_others(tmp_path: Path, simulated: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        # The third stream's port, which is that of the second receiver.
        port = taken.getsockname()[1] - 2
        values = STREAMS | {"reception.transport": "tcp", "reception.port_start": port}
        receiver = start_receiver(tmp_path, simulated, values, flags=THREE, ready=False)
        assert receiver.wait() == 5, receiver.log
    assert "Receiver r1" in receiver.log
    assert "before all were ready: the others are stopped" in receiver.log
    assert not any(path.exists() for path in sets(receiver))
    assert not (tmp_path / "ready.json").exists()


def test_one_that_is_killed_is_named_and_the_others_go_on(
    tmp_path: Path, simulated: Path, started: list[RunningReceiver]
) -> None:
    # UDP: a sender does not notice.
    receiver = start_receiver(tmp_path, simulated, STREAMS, flags=THREE)
    started.append(receiver)
    os.kill(pids(receiver)[1], signal.SIGKILL)
    wait_until(lambda: "Receiver r1" in receiver.log, "it is named")
    assert "ended with exit code 137: the others go on without its channels" in receiver.log
    send(receiver, simulated, STREAMS)
    assert receiver.wait() == 137, receiver.log
    summary = receiver.summary()
    assert summary["lost"]
    assert [one["summary"] for one in summary["processes"]] == [True, False, True]
    assert [one["exit_code"] for one in summary["processes"]] == [0, 137, 0]
    assert "DATA WERE LOST" in receiver.log
    first, second, third = sets(receiver)
    assert not second.exists()
    joined = tmp_path / "joined.ms"
    assert run("ms-concat", joined, first, third).returncode == 3
    ok("ms-concat", "--gaps", "fill", joined, first, third)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on(
    tmp_path: Path, simulated: Path, number: signal.Signals, started: list[RunningReceiver]
) -> None:
    receiver = start_receiver(
        tmp_path, simulated, STREAMS | {"reception.max_scans": 0}, flags=THREE
    )
    started.append(receiver)
    children = pids(receiver)
    assert send(receiver, simulated, STREAMS).returncode == 0
    wait_until(lambda: receiver.log.count("Closed ") == PROCESSES, "all have closed their sets")
    receiver.process.send_signal(number)
    assert receiver.wait() == 128 + number, receiver.log
    assert not any(map(is_alive, children))
    assert len(receiver.summary()["scans"]) == 1
    assert "ERROR" not in receiver.log


def test_no_orphans_are_left_when_the_parent_is_killed(
    tmp_path: Path, simulated: Path, started: list[RunningReceiver]
) -> None:
    receiver = start_receiver(
        tmp_path, simulated, STREAMS | {"reception.max_scans": 0}, flags=THREE
    )
    started.append(receiver)
    children = pids(receiver)
    sent = send(receiver, simulated, STREAMS)
    assert sent.returncode == 0, sent.stderr
    written = [receiver.folder / f"received-r{index}-s1.ms" for index in range(PROCESSES)]
    wait_until(lambda: all(path.exists() for path in written), "all are writing")
    receiver.kill()
    wait_until(lambda: not any(map(is_alive, children)), "the receivers have ended")
    # They were told to stop, as by SIGTERM: what they were writing is closed.
    for path in written:
        assert "needs nothing" in ok("ms-recover", path)


def test_losses_can_be_a_failure(tmp_path: Path, simulated: Path) -> None:
    receiver = start_receiver(tmp_path, simulated, STREAMS, flags=[*THREE, "--fail-on-loss"])
    # All but the last stream arrive: of the third receiver's two, one is missing.
    nowhere = ",".join([*receiver.endpoints.split(",")[:-1], "127.0.0.1:9"])
    send(receiver, simulated, STREAMS | {"transmission.endpoints": nowhere})
    assert receiver.wait() == 7, receiver.log
    summary = receiver.summary()
    assert [one["exit_code"] for one in summary["processes"]] == [0, 0, 7]
    assert [group["missing"] for group in summary["scans"][0]["groups"]] == [0, 0, 0, 0, 0, 12]
