"""Why a run and its scans ended, as its files, its last line and its exit code tell."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from casacore.tables import table

from tests.commands import BIN, TIMEOUT_S, options, send, start_receiver
from tests.integration.monitored import STREAMS, Monitored
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.integration.running import Running
    from tests.simulated import SimulatedSets

    Receive = Callable[..., Running]

MODEL, SOME = 300, 12
LOSS, INCOMPLETE = "--fail-on-loss", "--fail-on-incomplete"


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """6 baselines x 8 channels, which are 2 streams."""
    return simulated_set(num_antennas=4, integrations=MODEL, channels=8)


@pytest.fixture
def sending() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts a sender of an integration each 50 ms."""
    started = []

    def start(receiver: RunningReceiver, ms: Path, **more: Any) -> subprocess.Popen[bytes]:
        values = STREAMS | {
            "transmission.endpoints": receiver.endpoints,
            "transmission.time_interval": 0.05,
        }
        values |= {f"transmission.{key}": value for key, value in more.items()}
        process = subprocess.Popen(
            [BIN / "emu-send", *options(values), ms],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(TIMEOUT_S)


def closed(receiver: RunningReceiver) -> int:
    """Return how many integrations a receiver with -v has closed."""
    return receiver.log.count(" closed\n")


def history(path: Path) -> list[str]:
    with table(str(path / "HISTORY"), ack=False) as opened:
        return list(opened.getcol("MESSAGE"))


@pytest.mark.parametrize(
    ("transport", "ended_by", "flags", "code"),
    [
        ("udp", "idle", [], 0),
        ("tcp", "peer-lost", [], 0),
        ("udp", "idle", [LOSS], 7),
        ("tcp", "peer-lost", [LOSS], 7),
        ("udp", "idle", [INCOMPLETE], 7),
        ("tcp", "peer-lost", [INCOMPLETE], 7),
        ("tcp", "peer-lost", [INCOMPLETE, "--processes", "2"], 7),
        ("udp", "idle", [LOSS, "--processes", "2"], 7),
    ],
)
def test_a_sender_that_is_killed(
    tmp_path: Path,
    model: Path,
    sending: Any,
    started: list[RunningReceiver],
    transport: str,
    ended_by: str,
    flags: list[str],
    code: int,
) -> None:
    values = STREAMS | {"reception.transport": transport, "reception.idle_timeout": 6}
    receiver = start_receiver(tmp_path, model, values, flags=["-v", *flags])
    started.append(receiver)
    sender = sending(receiver, model, transport=transport)
    wait_until(lambda: closed(receiver) >= SOME, "some integrations are there")
    sender.kill()
    assert receiver.wait() == code, receiver.log
    summary = receiver.summary()
    [scan] = summary["scans"]
    # Of two receivers one may have got an integration more.
    came = scan["model_integrations_received"]
    said = f"{came} of the model's {MODEL} integrations; the sender did not end its streams"
    assert SOME // 2 <= came < MODEL
    assert receiver.last_line.startswith(f"received {scan['integrations']} integrations")
    assert receiver.last_line.endswith(f", ended_by={ended_by}: DATA WERE LOST: {said}")
    assert "nothing was lost" not in receiver.log
    assert (summary["ended_by"], summary["exit_code"], summary["error"]) == (ended_by, code, None)
    assert summary["lost"]
    assert summary["incomplete"]
    assert scan["ended_by"] == ended_by
    assert (scan["streams_ended"], scan["streams_not_ended"]) == (0, 2)
    assert scan["model_integrations"] == MODEL
    assert scan["integrations_left_out"] == MODEL - came
    assert f"scan 1 ended_by={ended_by}: {said}" in receiver.log
    if "--processes" not in flags:
        assert f"scan 1 ended_by={ended_by}: {said}" in history(tmp_path / "received.ms")
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("count", "flags", "code"),
    [(MODEL, [LOSS, INCOMPLETE], 0), (SOME, [LOSS], 0), (SOME, [INCOMPLETE], 7)],
)
def test_a_sender_that_ends_its_streams_may_end_where_it_likes(
    tmp_path: Path, model: Path, transport: str, count: int, flags: list[str], code: int
) -> None:
    values = STREAMS | {"reception.transport": transport}
    receiver = start_receiver(tmp_path, model, values, flags=flags)
    sends = STREAMS | {
        "transmission.transport": transport,
        "reader.num_timestamps": count,
        "transmission.time_interval": 0.005,
    }
    assert send(receiver, model, sends).returncode == 0
    assert receiver.wait() == code, receiver.log
    whole = count == MODEL
    said = "nothing was lost" if whole else f"{SOME} of the model's {MODEL} integrations"
    assert receiver.last_line.endswith(f", ended_by=streams-ended: {said}")
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"]) == ("streams-ended", code)
    assert not summary["lost"]
    assert summary["incomplete"] == (not whole)
    ended = "scan 1 ended_by=streams-ended" + ("" if whole else f": {said}")
    assert ended in history(tmp_path / "received.ms")


@pytest.mark.parametrize(
    ("way", "flags", "code"),
    [
        ("signal", [], 143),
        ("signal", ["--processes", "2"], 143),
        ("stopped", [LOSS], 0),
        ("stopped", [INCOMPLETE], 7),
    ],
)
def test_one_that_is_told_to_stop(
    tmp_path: Path,
    model: Path,
    sending: Any,
    started: list[RunningReceiver],
    way: str,
    flags: list[str],
    code: int,
) -> None:
    running = Monitored(tmp_path, model, {}, flags=["-v", *flags])
    receiver = running.receiver
    started.append(receiver)
    sending(receiver, model)
    wait_until(lambda: closed(receiver) >= SOME, "some integrations are there")
    if way == "signal":
        receiver.process.send_signal(signal.SIGTERM)
    else:
        assert running.ask("/stop", "POST")[0] == 202
    assert receiver.wait() == code, receiver.log
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"], summary["error"]) == (way, code, None)
    [scan] = summary["scans"]
    assert scan["ended_by"] == way
    assert scan["integrations_left_out"] == 0
    assert f"ended ({way}) before the sender ended its streams" in receiver.last_line
    assert "nothing was lost" not in receiver.log


def test_as_many_as_were_asked_for_are_all(tmp_path: Path, model: Path) -> None:
    values = STREAMS | {"reception.max_dumps": SOME}
    receiver = start_receiver(tmp_path, model, values, flags=[LOSS, INCOMPLETE])
    send(receiver, model, STREAMS | {"transmission.time_interval": 0.005})
    assert receiver.wait() == 0, receiver.log
    assert receiver.last_line.endswith(", ended_by=max-dumps: nothing was lost")
    summary = receiver.summary()
    assert (summary["ended_by"], summary["scans"][0]["ended_by"]) == ("max-dumps", "max-dumps")


def test_one_whose_consumers_have_all_failed(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(
        "class Failing:\n"
        "    def __init__(self, config, tm): ...\n"
        "    async def consume(self, payload): raise RuntimeError('it is broken')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    values = STREAMS | {"reception.consumer": "failing.Failing"}
    receiver = start_receiver(tmp_path, model, values)
    send(receiver, model, STREAMS | {"transmission.time_interval": 0.02})
    assert receiver.wait() == 8, receiver.log
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"]) == ("no-consumer", 8)
    assert "it is broken" in summary["error"]
    assert summary["scans"][0]["ended_by"] == "no-consumer"
    assert "ended_by=no-consumer: DATA WERE LOST" in receiver.last_line


def test_a_defect_in_the_middle_of_a_scan(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaking.py").write_text(
        "from receive.stream.dumps.window import Window\n"
        "def broken(*_, **__): raise RuntimeError('a defect')\n"
        "class Breaking:\n"
        "    def __init__(self, config, tm): self.count = 0\n"
        "    async def consume(self, payload):\n"
        "        self.count += 1\n"
        f"        if self.count == {SOME}: Window.step = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    values = STREAMS | {"reception.consumer": "mswriter,breaking.Breaking"}
    receiver = start_receiver(tmp_path, model, values)
    send(receiver, model, STREAMS | {"transmission.time_interval": 0.02})
    assert receiver.wait() == 1, receiver.log
    summary = receiver.summary()
    assert (summary["ended_by"], summary["exit_code"]) == ("error", 1)
    assert "a defect" in summary["error"]
    [scan] = summary["scans"]
    came = scan["model_integrations_received"]
    assert SOME <= came < MODEL
    assert scan["ended_by"] == "error"
    assert (scan["streams_ended"], scan["streams_not_ended"]) == (0, 2)
    said = f"{came} of the model's {MODEL} integrations; ended (error)"
    assert f"scan 1 ended_by=error: {said}" in "\n".join(history(tmp_path / "received.ms"))


def test_each_of_several_scans_has_its_own_end(
    tmp_path: Path, model: Path, sending: Any, started: list[RunningReceiver]
) -> None:
    """One whole, one that ends early, one whose sender is killed, and the run that ends then."""
    values = STREAMS | {"reception.max_scans": 0, "reception.transport": "tcp"}
    running = Monitored(tmp_path, model, values, flags=["-v"])
    receiver = running.receiver
    started.append(receiver)
    for scan, count in ((1, MODEL), (2, SOME)):
        sends = STREAMS | {
            "transmission.transport": "tcp",
            "transmission.scan_id": scan,
            "reader.num_timestamps": count,
        }
        assert send(receiver, model, sends).returncode == 0
        wait_until(lambda scan=scan: receiver.log.count("Closed ") == scan, "its set is closed")
    before = closed(receiver)
    killed = sending(receiver, model, transport="tcp", scan_id=3)
    wait_until(lambda: closed(receiver) >= before + SOME, "some of the third are there")
    killed.kill()
    wait_until(lambda: receiver.log.count("Closed ") == 3, "its set is closed")
    assert running.ask("/stop", "POST")[0] == 202
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    assert summary["ended_by"] == "stopped"
    assert [scan["ended_by"] for scan in summary["scans"]] == [
        "streams-ended",
        "streams-ended",
        "peer-lost",
    ]
    assert [scan["incomplete"] for scan in summary["scans"]] == [False, True, True]
    said = f"scan 2: {SOME} of the model's {MODEL} integrations (and of 1 other scans not all)"
    assert receiver.last_line.endswith(f", ended_by=stopped: DATA WERE LOST: {said}")


@pytest.mark.parametrize(
    ("ended", "timeout_s", "by"),
    [((0, 1), 0, "streams-ended"), ((0,), 0, "lost-end"), ((), 1, "idle")],
    ids=str,
)
@pytest.mark.parametrize("times", [10, 6])
def test_ends_over_udp(
    receive: Receive, ended: Sequence[int], timeout_s: float, by: str, times: int
) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation, reception__idle_timeout=timeout_s)
    with Sender(running.ports) as sender:
        for stream in range(2):
            sender.send(stream, observation.start(stream))
            for index in range(times):
                sender.send(stream, observation.low(index, stream))
        for stream in ended:
            sender.send(stream, observation.end(stream))
        outcome = running.finish()
    [scan] = outcome.scans
    assert scan.end is not None
    assert outcome.ended_by == scan.end.by == by
    assert (scan.end.ended, scan.end.unended) == (len(ended), 2 - len(ended))
    assert outcome.incomplete == (times < 10 or not ended)
    # What was left out is no loss where a stream said that this was all.
    assert outcome.lost == (times < 10 and not ended)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("ends", [True, False])
def test_scans_that_follow_each_other_at_once(
    receive: Receive, transport: str, *, ends: bool
) -> None:
    """Of each it is known whether its streams ended, although the next has begun by then."""
    scans = [Observation(times=6, scan_id=7 + n, first_heap_count=1 + 100 * n) for n in range(3)]
    model = Observation(times=6)
    running = receive(model, reception__transport=transport, reception__max_scans=3)
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for number, observation in enumerate(scans):
            packets = observation.start(0)
            for index in range(observation.times):
                packets += observation.low(index, 0)
            sender.send(0, packets)
            if ends or number == 2:
                sender.end(observation)
            else:
                # Otherwise nothing says that what follows is no late heap.
                running.recorder.wait_for(6 * (number + 1))
        outcome = running.finish()
    by = [scan.end.by for scan in outcome.scans if scan.end is not None]
    assert by == ["streams-ended" if ends else "next-scan"] * 2 + ["streams-ended"]
    assert outcome.ended_by == "streams-ended"
    assert outcome.incomplete != ends
    assert not outcome.lost


def test_one_connection_of_several_that_breaks(receive: Receive) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation, reception__transport="tcp", reception__dump_timeout=0.5)
    with Sender(running.ports, tcp=True) as sender:
        for stream in range(2):
            sender.send(stream, observation.start(stream))
            for index in range(4):
                sender.send(stream, observation.low(index, stream))
        running.recorder.wait_for(4)
        sender.break_off(1)
        for index in range(4, 10):
            sender.send(0, observation.low(index, 0))
        sender.send(0, observation.end(0))
        outcome = running.finish()
    [scan] = outcome.scans
    assert scan.end is not None
    assert (outcome.ended_by, scan.end.by) == ("peer-lost", "peer-lost")
    assert (scan.end.ended, scan.end.unended, scan.missing) == (1, 1, 6)
    assert outcome.lost
    assert outcome.incomplete


def test_streams_that_end_without_data_are_told_of_and_waited_for(
    receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop from anybody must not end what has not begun."""
    observation = Observation(per_stream=4)
    running = receive(observation)
    told = "2 of 2 streams have ended without bringing any data"
    with Sender(running.ports) as sender:
        for stream in range(2):
            sender.send(stream, observation.start(stream) + observation.end(stream))
        wait_until(lambda: told in caplog.text, "it is told of")
        assert running.alive
        for stream in range(2):
            sender.send(stream, observation.stream(stream))
        outcome = running.finish()
    assert caplog.text.count(told) == 1
    assert not outcome.lost
    assert not outcome.incomplete
