"""Why a run and its scans ended, as its files, its last line and its exit code tell."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from casacore.tables import table

from tests.commands import BIN, TIMEOUT_S, options, run, send, start_receiver
from tests.integration.monitored import Monitored
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.integration.running import Running
    from tests.simulated import SimulatedSets

    Receive = Callable[..., Running]

MODEL, SOME = 60, 12
STREAMS = {"transmission.channels_per_stream": 4}
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


def last_line(receiver: RunningReceiver) -> str:
    (line,) = [line for line in receiver.log.splitlines() if line.startswith("received ")]
    return line


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
    assert last_line(receiver).startswith(f"received {scan['integrations']} integrations")
    assert last_line(receiver).endswith(f", ended_by={ended_by}: DATA WERE LOST: {said}")
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
    assert last_line(receiver).endswith(f", ended_by=streams-ended: {said}")
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
    assert f"ended ({way}) before the sender ended its streams" in last_line(receiver)
    assert "nothing was lost" not in receiver.log


def test_as_many_as_were_asked_for_are_all(tmp_path: Path, model: Path) -> None:
    values = STREAMS | {"reception.max_dumps": SOME}
    receiver = start_receiver(tmp_path, model, values, flags=[LOSS, INCOMPLETE])
    send(receiver, model, STREAMS | {"transmission.time_interval": 0.005})
    assert receiver.wait() == 0, receiver.log
    assert last_line(receiver).endswith(", ended_by=max-dumps: nothing was lost")
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
    assert "ended_by=no-consumer: DATA WERE LOST" in last_line(receiver)


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
    assert last_line(receiver).endswith(f", ended_by=stopped: DATA WERE LOST: {said}")


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
        sender._sockets[1].close()
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


# --- every end leaves its own summary ------------------------------------------------------------


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
    assert sum(summary["heaps_refused_outside_scans"].values()) == MODEL
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
    assert last_line(receiver).endswith(", ended_by=signal: nothing came")


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
