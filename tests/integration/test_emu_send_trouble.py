"""emu-send in trouble: late and lost receivers, signals, wrong options, wrong input."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import struct
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import spead2
import spead2.recv

from emulator.send import tcp
from receive.command.errors import InputError
from receive.measurement_set.read.reader import SetReader
from tests.integration.spead_receiver import (
    COMMAND,
    FAST,
    Receiver,
    assert_streams_hold,
    logging_as_it_was,
    make_small_set,
    option,
    receiver,
    send,
)
from tests.unit.measurement_set.made_by_casacore import WIDTH_HZ, make_set, subtable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_as_it_was():
        yield


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_small_set(tmp_path / "small.ms")


def test_receiver_that_starts_a_moment_later(
    small: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The port is only bound, and refuses, until the sender says that it is waiting."""
    bound = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    bound.bind(("127.0.0.1", 0))
    config = spead2.recv.StreamConfig()
    ring = spead2.recv.RingStreamConfig(heaps=64)
    stream = spead2.recv.Stream(spead2.ThreadPool(), config, ring)
    stack.callback(stream.stop)

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "trying again" in record.getMessage():
                bound.listen()
                stream.add_tcp_reader(bound)

    handler = Listen()
    logging.getLogger("emulator.send.tcp").addHandler(handler)
    stack.callback(logging.getLogger("emulator.send.tcp").removeHandler, handler)
    target = option(
        transmission__transport="tcp", transmission__target_port_start=bound.getsockname()[1]
    )
    assert send(small, "-o", FAST, *target) == 0
    assert_streams_hold([Receiver.collected(stream)], small, 3, WIDTH_HZ)
    assert "connection refused; trying again for 10 s" in capsys.readouterr().err


def test_nobody_listens(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tcp.TcpTransmitter, "connect_patience_s", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        target = option(transmission__transport="tcp", transmission__target_port_start=port)
        assert send(small, *target) == 5
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"emu-send: error: no TCP connection to 127.0.0.1:{port}: connection")


@pytest.mark.parametrize("reset", [False, True])
def test_connection_lost_in_mid_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reset: bool
) -> None:
    """Also while the sender waits because the receiver reads nothing."""
    ms = make_set(tmp_path / "large.ms", antennas=40, channels=64, times=2)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        target = option(
            transmission__transport="tcp",
            transmission__target_port_start=listener.getsockname()[1],
            transmission__buffer_size=4096,
        )
        command = [*COMMAND, "-o", FAST, *target, str(ms)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sender:
            accepted, _ = listener.accept()
            accepted.recv(1000)
            if reset:
                linger = struct.pack("ii", 1, 0)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            accepted.close()
            _, err = sender.communicate(timeout=60)
    assert sender.returncode == 5
    last = err.splitlines()[-1]
    assert last.startswith("emu-send: error: ")
    assert "127.0.0.1" in last
    assert "Traceback" not in err


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_streams(
    small: Path, stack: ExitStack, signum: signal.Signals, code: int
) -> None:
    there = receiver(stack, 2)
    arguments = option(transmission__channels_per_stream=4, transmission__time_interval=3600)
    command = [*COMMAND, *there.options, *arguments, str(small)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sender:
        # The first dump goes out at once; when both streams have it, the next is an hour away.
        firsts = []
        for stream in there.streams:
            group = spead2.ItemGroup()
            group.update(stream.get())
            firsts.append(group.update(stream.get()))
        sender.send_signal(signum)
        out, err = sender.communicate(timeout=60)
    assert all("correlator_output_data" in first for first in firsts)
    assert sender.returncode == code
    assert "sent 1 dumps in 2 streams" in out
    assert f"{signum.name}: stopping after this dump" in err
    # The end heaps came: the streams are over without anybody stopping them.
    assert [list(stream) for stream in there.streams] == [[], []]


def test_second_signal_does_not_wait_for_a_receiver_that_is_stuck(tmp_path: Path) -> None:
    ms = make_set(tmp_path / "large.ms", antennas=40, channels=64, times=2)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        target = option(
            transmission__transport="tcp",
            transmission__target_port_start=listener.getsockname()[1],
            transmission__buffer_size=4096,
        )
        command = [*COMMAND, "-o", FAST, *target, str(ms)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sender:
            accepted, _ = listener.accept()
            # More than the start heap: a data heap is on its way, and nobody reads the rest.
            received = 0
            while received < 10000:
                received += len(accepted.recv(4096))
            sender.send_signal(signal.SIGTERM)
            assert sender.stderr is not None
            while "stopping after this dump" not in sender.stderr.readline():
                pass
            sender.send_signal(signal.SIGTERM)
            _, err = sender.communicate(timeout=8)
            accepted.close()
    assert sender.returncode == 143
    assert "left unfinished" in err


def test_a_signal_ends_the_wait_for_a_receiver(small: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        target = option(
            transmission__transport="tcp", transmission__target_port_start=bound.getsockname()[1]
        )
        command = [*COMMAND, *target, str(small)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sender:
            assert sender.stderr is not None
            assert "trying again" in sender.stderr.readline()
            sender.send_signal(signal.SIGTERM)
            sender.communicate(timeout=8)
    assert sender.returncode == 143


def test_set_that_cannot_be_read_to_the_end_ends_its_streams(
    small: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = SetReader.integration

    def fail_at_the_third(self: SetReader, index: int, *args: Any, **kwargs: Any) -> Any:
        if index == 2:
            raise InputError("the disk is gone")
        return read(self, index, *args, **kwargs)

    monkeypatch.setattr(SetReader, "integration", fail_at_the_third)
    there = receiver(stack, 2)
    arguments = option(transmission__channels_per_stream=4)
    assert send(small, "-o", FAST, *there.options, *arguments) == 3
    assert [len(stream.dumps) for stream in there.collect()] == [2, 2]
    assert capsys.readouterr().err.splitlines()[-1] == "emu-send: error: the disk is gone"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["reader.start_chan=8"], 2, "reader.start_chan 8 is past the end"),
        (["reader.num_repeats=0"], 2, "reader.num_repeats"),
        (["transmission.channels_per_stream=9"], 2, "more than the 8 channels"),
        (["transmission.transport=inproc"], 2, "not available"),
        (["transmission.transport=ibverbs"], 2, "needs reception.interface_address"),
        (["transmission.method=vys"], 2, "not available in this version"),
        (["transmission.ratte=1"], 2, "transmission.rate"),
        (["transmission.endpoints=h:1-3"], 2, "has 3 ports, but there are 1 streams"),
        (["transmission.target_host=no.such.host.invalid"], 5, "no.such.host.invalid"),
        (
            ["transmission.target_host=239.1.1.1", "reception.interface_address=192.0.2.1"],
            5,
            "multicast cannot leave by 192.0.2.1",
        ),
        (["transmission.target_host=255.255.255.255"], 5, "255.255.255.255:41000"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_wrong_options_end_in_one_line(
    small: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    message: str,
) -> None:
    assert send(small, *(f"-o{one}" for one in options)) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("emu-send: error: ")
    assert message in line


@pytest.mark.parametrize("case", ["missing", "file", "no data", "truncated"])
def test_wrong_input_ends_the_real_command_with_3(small: Path, case: str) -> None:
    if case == "no data":
        with subtable(small, "") as main_table:
            main_table.removecols(["DATA"])
    elif case == "truncated":
        (small / "table.f0").write_bytes((small / "table.f0").read_bytes()[:100])
    else:
        shutil.rmtree(small)
        if case == "file":
            small.write_text("no set")
    done = subprocess.run(
        [*COMMAND, str(small)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"emu-send: error: {small}")
