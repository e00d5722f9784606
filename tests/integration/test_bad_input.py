"""What users get wrong ends in one clear line and the exit code that says what kind it was."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import ok, options, run, send, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.patient

CONFIG, INPUT, OUTPUT, NETWORK, NOTHING, LOST = 2, 3, 4, 5, 6, 7


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """8 channels, 28 baselines, 20 integrations."""
    return simulated_set(num_antennas=8, integrations=20, channels=8)


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A model that a test may spoil."""
    return shutil.copytree(model, tmp_path / "model.ms")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    yield from mounted(tmp_path / "disk", "size=24m")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that nobody may write to, not even root."""
    yield from mounted(tmp_path / "disk", "size=1m,ro")


def mounted(folder: Path, how: str) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", how, "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def refused(command: str, code: int, *words: str, arguments: list[Any]) -> None:
    """Expect one line on standard error that holds the words, and the exit code."""
    done = run(command, *arguments)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{command}: error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0], lines[0]


def receive_arguments(datamodel: Path, tmp_path: Path, **values: Any) -> list[Any]:
    settings = {
        "reception.bind_hostname": "127.0.0.1",
        "reception.port_start": 0,
        "reception.datamodel": datamodel,
        "reception.outputfilename": tmp_path / "received.ms",
        "reception.idle_timeout": 0.5,
    } | {key.replace("__", "."): value for key, value in values.items()}
    return options(settings)


BOTH = pytest.mark.parametrize("command", ["emu-recv", "emu-send"])


def refused_input(command: str, path: Path, tmp_path: Path, *words: str) -> None:
    arguments = [path] if command == "emu-send" else receive_arguments(path, tmp_path)
    refused(command, INPUT, *words, arguments=arguments)


@BOTH
def test_missing_input(command: str, tmp_path: Path) -> None:
    refused_input(command, tmp_path / "none.ms", tmp_path, "none.ms", "does not exist")


@BOTH
def test_input_that_is_a_file(command: str, tmp_path: Path) -> None:
    (tmp_path / "file.ms").write_text("no set")
    refused_input(command, tmp_path / "file.ms", tmp_path, "file.ms")


@BOTH
def test_input_that_is_a_folder_of_something_else(command: str, tmp_path: Path) -> None:
    (tmp_path / "folder.ms").mkdir()
    refused_input(command, tmp_path / "folder.ms", tmp_path, "folder.ms", "Measurement Set")


@BOTH
def test_input_that_is_another_kind_of_table(command: str, model: Path, tmp_path: Path) -> None:
    refused_input(command, model / "ANTENNA", tmp_path, "ANTENNA", "Measurement Set")


@BOTH
def test_input_without_rows(command: str, copy: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.ms"
    with table(str(copy), ack=False) as full:
        full.copy(str(empty), deep=True, copynorows=True).close()
    refused_input(command, empty, tmp_path, "empty.ms", "no rows")


@BOTH
@pytest.mark.parametrize("keep", [0, 100])
def test_truncated_input(command: str, copy: Path, tmp_path: Path, keep: int) -> None:
    # All of them: a receiver does not look at the visibilities of its model.
    for path in copy.glob("table.f*"):
        with path.open("r+b") as file:
            file.truncate(keep)
    refused_input(command, copy, tmp_path, "model.ms")


@BOTH
def test_input_without_a_column_header(command: str, copy: Path, tmp_path: Path) -> None:
    (copy / "table.dat").write_bytes(b"")
    refused_input(command, copy, tmp_path, "model.ms")


@BOTH
def test_locked_input(command: str, copy: Path, tmp_path: Path) -> None:
    hold = (
        "import sys; from casacore.tables import table; "
        f"t = table({str(copy)!r}, readonly=False, lockoptions='permanent', ack=False); "
        "t.putcell('TIME', 0, t.getcell('TIME', 0)); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        refused_input(command, copy, tmp_path, "model.ms", "lock")
        holder.communicate()


def test_output_that_exists(model: Path, tmp_path: Path) -> None:
    (tmp_path / "received.ms").mkdir()
    refused(
        "emu-recv",
        OUTPUT,
        "received.ms",
        "exists",
        "reception.overwrite",
        arguments=receive_arguments(model, tmp_path),
    )


def test_overwrite_spares_what_is_no_set(model: Path, tmp_path: Path) -> None:
    precious = tmp_path / "received.ms" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    arguments = receive_arguments(model, tmp_path, reception__overwrite=True)
    refused("emu-recv", OUTPUT, "received.ms", "not a Measurement Set", arguments=arguments)
    assert precious.read_text() == "years of work"


def test_output_in_no_folder(model: Path, tmp_path: Path) -> None:
    arguments = receive_arguments(
        model, tmp_path, reception__outputfilename=tmp_path / "none" / "received.ms"
    )
    refused("emu-recv", OUTPUT, "none", "no folder", arguments=arguments)


def test_output_that_cannot_be_written(model: Path, tmp_path: Path, read_only_disk: Path) -> None:
    arguments = receive_arguments(
        model, tmp_path, reception__outputfilename=read_only_disk / "received.ms"
    )
    refused("emu-recv", OUTPUT, "received.ms", arguments=arguments)


def test_disk_too_small_for_the_observation(
    simulated_set: SimulatedSets, tmp_path: Path, small_disk: Path
) -> None:
    long = simulated_set(num_antennas=16, integrations=60, channels=128)
    arguments = receive_arguments(
        long, tmp_path, reception__outputfilename=small_disk / "received.ms"
    )
    refused("emu-recv", OUTPUT, "received.ms", "free", arguments=arguments)


def test_disk_that_fills_up_keeps_what_was_closed(
    simulated_set: SimulatedSets, tmp_path: Path, small_disk: Path
) -> None:
    """The observation would fit when it begins; then somebody else fills the disk."""
    sent = simulated_set(num_antennas=8, integrations=100, channels=32, noise=1)
    output = small_disk / "received.ms"
    values = {"reception.outputfilename": output, "reception.transport": "tcp"}
    receiver = start_receiver(tmp_path, sent, values | {"reception.max_dumps": 0}, flags=["-v"])
    # 28 baselines x 32 channels take 36 kB an integration; 6 MB let some of them through.
    free = shutil.disk_usage(small_disk).free
    (small_disk / "somebody-else").write_bytes(b"x" * max(0, free - 6_000_000))
    send(receiver, sent, {"transmission.transport": "tcp", "reader.num_repeats": 4})
    assert receiver.wait() == OUTPUT, receiver.log
    assert str(output) in receiver.log
    closed = receiver.log.count(" closed\n")
    assert closed > 0
    (small_disk / "somebody-else").unlink()
    ok("ms-recover", output)
    with table(str(output), ack=False) as main:
        assert main.nrows() >= closed * 28
        assert not main.getcol("FLAG", 0, closed * 28).all()
        assert np.isfinite(main.getcol("DATA", 0, closed * 28)).all()


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"transmission.channels_per_stream": 9}, CONFIG, ["9", "8 channels"]),
        (
            {"transmission.channels_per_stream": 2, "reception.num_ports": 3},
            CONFIG,
            ["num_ports = 3", "4 ports"],
        ),
        ({"reception.channels": "6:4"}, CONFIG, ["6:4", "8 channels"]),
        (
            {"reception.channels": "1:2", "transmission.channels_per_stream": 2},
            CONFIG,
            ["1:2", "multiples of 2"],
        ),
        ({"reception.process_index": 3, "reception.process_count": 2}, CONFIG, ["process_index"]),
        ({"reception.buffer_memory": 1000}, CONFIG, ["buffer_memory", "at least 4"]),
        ({"reception.consumer": "no-such"}, CONFIG, ["no-such", "mswriter"]),
        ({"reception.consumer": "json.JSONDecoder"}, CONFIG, ["consume"]),
        ({"reception.ring_heap": 4}, CONFIG, ["ring_heap", "reception.ring_heaps"]),
        ({"reception.transport": "inproc"}, CONFIG, ["inproc", "not available"]),
        ({"reception.bind_hostname": "192.0.2.1"}, NETWORK, ["192.0.2.1", "not an address"]),
        ({"reception.bind_hostname": "no.such.host.invalid"}, NETWORK, ["no.such.host.invalid"]),
        (
            {
                "reception.bind_hostname": "239.255.42.9",
                "reception.interface_address": "192.0.2.1",
            },
            NETWORK,
            ["239.255.42.9", "192.0.2.1"],
        ),
        ({"reception.idle_timeout": 0.2}, NOTHING, ["nothing arrived"]),
    ],
)
def test_receiver_configuration(
    model: Path, tmp_path: Path, values: dict[str, Any], code: int, words: list[str]
) -> None:
    arguments = receive_arguments(model, tmp_path) + options(values)
    refused("emu-recv", code, *words, arguments=arguments)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_port_in_use(model: Path, tmp_path: Path, transport: str) -> None:
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as occupied:
        occupied.bind(("127.0.0.1", 0))
        if transport == "tcp":
            occupied.listen()
        port = occupied.getsockname()[1]
        arguments = receive_arguments(
            model, tmp_path, reception__port_start=port, reception__transport=transport
        )
        refused("emu-recv", NETWORK, str(port), "in use", arguments=arguments)


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"reader.start_chan": 8}, CONFIG, ["start_chan", "8"]),
        ({"reader.num_repeats": 0}, CONFIG, ["num_repeats"]),
        ({"transmission.channels_per_stream": 9}, CONFIG, ["channels_per_stream", "9"]),
        ({"transmission.endpoints": "127.0.0.1:5000-5003"}, CONFIG, ["endpoints"]),
        ({"transmission.target_host": "no.such.host.invalid"}, NETWORK, ["no.such.host.invalid"]),
    ],
)
def test_sender_configuration(
    model: Path, values: dict[str, Any], code: int, words: list[str]
) -> None:
    refused("emu-send", code, *words, arguments=[*options(values), model])


def test_too_many_channels_asked_for_are_clamped(model: Path, tmp_path: Path) -> None:
    receiver = start_receiver(tmp_path, model, {"reception.channels": "2:6"})
    sent = send(receiver, model, {"reader.start_chan": 2, "reader.num_chan": 100})
    assert sent.returncode == 0
    assert "num_chan" in sent.stderr
    assert receiver.wait() == 0, receiver.log


@BOTH
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad.json", '{"reception": {"transport": "tcp",}', ["bad.json"]),
        ("bad.json", '{"reception.transport": "tcp", "reception.transport": "udp"}', ["twice"]),
        ("bad.yaml", "reception: [tcp\n", ["bad.yaml"]),
        ("bad.yaml", "- reception\n", ["bad.yaml"]),
        ("bad.ini", "reception.transport tcp\n", ["bad.ini"]),
        ("bad.ini", "[reception]\ntransport = carrier pigeon\n", ["carrier pigeon", "udp"]),
        ("bad.ini", b"\xff\xfe\x00binary", ["bad.ini"]),
    ],
)
def test_malformed_configuration_file(
    command: str, model: Path, tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments: list[Any] = ["-c", path]
    arguments += [model] if command == "emu-send" else receive_arguments(model, tmp_path)
    refused(command, CONFIG, *words, arguments=arguments)


def test_loss_is_a_failure_when_asked(model: Path, tmp_path: Path) -> None:
    values = {"transmission.channels_per_stream": 4, "reception.dump_timeout": 0.2}
    receiver = start_receiver(tmp_path, model, values, flags=["--fail-on-loss"])
    silent = f"127.0.0.1:{receiver.ports[0]},127.0.0.1:{_closed_port()}"
    send(receiver, model, values | {"transmission.endpoints": silent})
    wait_until(lambda: receiver.process.poll() is not None, "the receiver has ended")
    assert receiver.wait() == LOST, receiver.log
    assert "DATA WERE LOST" in receiver.log


def _closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(("number", "code"), [("INT", 130), ("TERM", 143)])
def test_signals_close_the_set(model: Path, tmp_path: Path, number: str, code: int) -> None:
    receiver = start_receiver(
        tmp_path, model, {"reception.max_scans": 0, "reception.transport": "tcp"}, flags=["-v"]
    )
    send(receiver, model, {"transmission.transport": "tcp", "reader.num_timestamps": 7})
    wait_until(lambda: "integration 7 closed" in receiver.log, "all have been written")
    subprocess.run(["kill", f"-{number}", str(receiver.process.pid)], check=True)
    assert receiver.wait() == code, receiver.log
    with table(str(tmp_path / "received-s1.ms"), ack=False) as main:
        assert main.nrows() == 7 * 28
    assert not (tmp_path / "received-s1.ms" / ".vis-receive").exists()


def test_each_scan_makes_a_set(model: Path, tmp_path: Path) -> None:
    receiver = start_receiver(
        tmp_path, model, {"reception.max_scans": 2, "reception.transport": "tcp"}
    )
    for scan in (5, 6):
        sent = send(
            receiver, model, {"transmission.transport": "tcp", "transmission.scan_id": scan}
        )
        assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    for index, scan in ((1, 5), (2, 6)):
        with table(str(tmp_path / f"received-s{index}.ms"), ack=False) as main:
            assert main.nrows() == 20 * 28
            assert (main.getcol("SCAN_NUMBER") == scan).all()
