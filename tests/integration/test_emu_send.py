"""emu-send on real sockets, received with spead2's own receiver and compared with the set."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import spead2
import spead2.recv
from casacore.tables import table

from emulator.send import tcp
from emulator.send.app import main
from receive import cli
from receive.errors import InputError
from receive.measurement_set.reader import SetReader
from tests.unit.measurement_set.made_by_casacore import WIDTH_HZ, make_set, subtable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNIX_EPOCH_MJD_S = 40587 * 86400
FAST = "transmission.time_interval=-1"
COMMAND = [sys.executable, "-m", "emulator.send.app"]
FINAL_LINE = re.compile(
    r"emu-send: sent (\d+) dumps in (\d+) streams: (\d+) bytes in ([\d.]+) s, (\d+) bytes/s \(.*\)"
)


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@dataclass
class Stream:
    """What came in one stream."""

    first: dict[str, Any] = field(default_factory=dict)
    dumps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def times_mjd_s(self) -> list[float]:
        names = ("visibility_timestamp_count", "visibility_timestamp_fraction")
        counts = [[int(dump[name]) for name in names] for dump in self.dumps]
        return [count + UNIX_EPOCH_MJD_S + fraction / 2**32 for count, fraction in counts]

    @property
    def records(self) -> list[Any]:
        return [dump["correlator_output_data"] for dump in self.dumps]


class Receiver:
    """Spead2's own receiver, a stream for each port, on ports that the system chose."""

    def __init__(self, streams: int, *, transport: str = "udp", group: str | None = None) -> None:
        self.transport = transport
        self._host = group or "127.0.0.1"
        self._streams = []
        self.ports = []
        for _ in range(streams):
            opened = self._open(group)
            config = spead2.recv.StreamConfig(max_heaps=4, allow_out_of_order=True)
            ring = spead2.recv.RingStreamConfig(heaps=4096)
            stream = spead2.recv.Stream(spead2.ThreadPool(), config, ring)
            if transport == "tcp":
                stream.add_tcp_reader(opened)
            else:
                stream.add_udp_reader(opened)
            self.ports.append(opened.getsockname()[1])
            opened.close()  # spead2 has its own duplicate
            self._streams.append(stream)

    def _open(self, group: str | None, port: int = 0) -> socket.socket:
        kind = socket.SOCK_STREAM if self.transport == "tcp" else socket.SOCK_DGRAM
        opened = socket.socket(socket.AF_INET, kind)
        if group is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((group, port))
            request = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        else:
            opened.bind(("127.0.0.1", port))
        if self.transport == "tcp":
            opened.listen()
        return opened

    def join(self, group: str, port: int) -> None:
        """Listen to a port of a group that another receiver has, in place of one's own."""
        opened = self._open(group, port)
        ring = spead2.recv.RingStreamConfig(heaps=4096)
        stream = spead2.recv.Stream(spead2.ThreadPool(), spead2.recv.StreamConfig(), ring)
        stream.add_udp_reader(opened)
        opened.close()
        self._streams = [stream]

    @property
    def options(self) -> list[str]:
        """Arguments of emu-send that send to here."""
        endpoints = ",".join(f"{self._host}:{port}" for port in self.ports)
        return [
            f"-otransmission.endpoints={endpoints}",
            f"-otransmission.transport={self.transport}",
        ]

    def collect(self) -> list[Stream]:
        """Return what came until the end of each stream."""
        return [self._collect(stream) for stream in self._streams]

    @staticmethod
    def _collect(stream: Any) -> Stream:
        result = Stream()
        group = spead2.ItemGroup()
        for heap in stream:
            updated = group.update(heap)
            values = {name: item.value for name, item in updated.items()}
            if "correlator_output_data" in values:
                result.dumps.append(values)
            else:
                assert heap.is_start_of_stream()
                assert not result.first
                result.first = values
        stream.stop()
        return result

    def stop(self) -> None:
        for stream in self._streams:
            stream.stop()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def receiver(stack: ExitStack, streams: int, **how: Any) -> Receiver:
    made = Receiver(streams, **how)
    stack.callback(made.stop)
    return made


def send(ms: Path, *arguments: str) -> int:
    return cli.run("emu-send", main, [*arguments, str(ms)])


def option(**values: Any) -> list[str]:
    return [f"-o{name.replace('__', '.')}={value}" for name, value in values.items()]


def columns(path: Path, *names: str) -> list[Any]:
    with table(str(path), ack=False) as opened:
        return [opened.getcol(name) for name in names]


def by_time(column: Any, baselines: int) -> Any:
    return column.reshape(-1, baselines, *column.shape[1:])


def assert_streams_hold(streams: list[Stream], ms: Path, baselines: int, width_hz: float) -> None:
    """Compare DATA, FD, TCI and times of a set of four polarisations with what came."""
    names = ("DATA", "FLAG", "WEIGHT_SPECTRUM", "TIME", "INTERVAL", "EXPOSURE", "TIME_CENTROID")
    data, flag, weights, time, interval, exposure, centroid = (
        by_time(column, baselines) for column in columns(ms, *names)
    )
    fraction = np.clip(weights.min(axis=3) / (width_hz * exposure[..., None]), 0, 1)
    fd = np.clip(np.rint(255 * np.sqrt(fraction)), 1, 255)
    fd[flag.any(axis=3)] = 0
    tci = np.clip(np.rint((centroid - time) / interval * 256), -128, 127)
    for stream in streams:
        assert stream.times_mjd_s == time[:, 0].tolist()
    for index in range(len(data)):
        records = np.concatenate([stream.records[index] for stream in streams])
        assert np.array_equal(records["VIS"], data[index].transpose(1, 0, 2))
        assert np.array_equal(records["FD"], fd[index].T)
        assert np.array_equal(records["TCI"], np.broadcast_to(tci[index], records.shape))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a set of 3 baselines, 4 times, 8 channels, with flags, weights and centroids."""
    path = make_set(tmp_path / "small.ms", channels=8)
    rng = np.random.default_rng(5)
    with subtable(path, "") as main_table:
        shape = (main_table.nrows(), 8, 4)
        main_table.putcol("FLAG", rng.random(shape) < 0.1)
        weights = rng.uniform(0, 1.2, shape) * WIDTH_HZ * 8
        main_table.putcol("WEIGHT_SPECTRUM", weights.astype(np.float32))
        centroid = main_table.getcol("TIME") + rng.uniform(-3.9, 3.9, shape[0])
        main_table.putcol("TIME_CENTROID", centroid)
    return path


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("per_stream", "streams"), [(1, 8), (2, 4), (3, 3), (0, 1)])
def test_real_set_arrives_as_it_is(
    lofar_ms: Path, stack: ExitStack, transport: str, per_stream: int, streams: int
) -> None:
    there = receiver(stack, streams, transport=transport)
    arguments = option(transmission__channels_per_stream=per_stream)
    assert send(lofar_ms, "-o", FAST, *there.options, *arguments) == 0
    assert_streams_hold(there.collect(), lofar_ms, 28, 24414.0625)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_weights_and_centroids_of_a_small_set(
    small: Path, stack: ExitStack, transport: str
) -> None:
    there = receiver(stack, 3, transport=transport)
    arguments = option(transmission__channels_per_stream=3, transmission__sender_threads=2)
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    assert_streams_hold(there.collect(), small, 3, WIDTH_HZ)


def test_start_heap_of_low_says_everything_but_the_data(small: Path, stack: ExitStack) -> None:
    there = receiver(stack, 2)
    arguments = option(
        reader__start_chan=1,
        transmission__channels_per_stream=4,
        transmission__channel_id_offset=1000,
        transmission__scan_id=2**40 + 5,
        transmission__hardware_id=77,
    )
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    streams = there.collect()
    for number, stream in enumerate(streams):
        time_s = int(4.8e9 - UNIX_EPOCH_MJD_S)
        assert stream.first == {
            "visibility_timestamp_count": time_s,
            "visibility_timestamp_fraction": 0,
            "visibility_channel_id": 1001 + 4 * number,
            "visibility_channel_count": [4, 3][number],
            "visibility_polarisation_id": 0,
            "visibility_baseline_count": 3,
            "visibility_phase_bin_id": 0,
            "visibility_phase_bin_count": 1,
            "scan_id": 2**40 + 5,
            "visibility_hardware_id": 77,
        }
        for dump in stream.dumps:
            assert sorted(dump) == [
                "correlator_output_data",
                "visibility_timestamp_count",
                "visibility_timestamp_fraction",
            ]
    (data,) = columns(small, "DATA")
    records = np.concatenate([stream.records[1] for stream in streams])
    assert np.array_equal(records["VIS"], data[3:6, 1:].transpose(1, 0, 2))


def test_data_heaps_of_mid_say_everything(small: Path, stack: ExitStack) -> None:
    there = receiver(stack, 2)
    arguments = option(transmission__channels_per_stream=4, reception__telescope="mid")
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    for number, stream in enumerate(there.collect()):
        assert stream.first == {}
        assert len(stream.dumps) == 4
        for dump in stream.dumps:
            assert len(dump) == 11
            assert dump["visibility_channel_id"] == 4 * number
            assert dump["scan_id"] == 1
            assert dump["correlator_output_data"].dtype.names == ("TCI", "FD", "CCI", "VIS")
            assert dump["correlator_output_data"].itemsize == 35


def test_two_polarisations_take_the_outer_slots(tmp_path: Path, stack: ExitStack) -> None:
    ms = make_set(tmp_path / "two.ms", pols=2)
    there = receiver(stack, 1)
    assert send(ms, "-o", FAST, *there.options) == 0
    (stream,) = there.collect()
    (data,) = columns(ms, "DATA")
    assert np.array_equal(stream.records[0]["VIS"][:, :, [0, 3]], data[:3].transpose(1, 0, 2))
    assert not stream.records[0]["VIS"][:, :, [1, 2]].any()


def test_repeats_go_on_in_time(small: Path, stack: ExitStack) -> None:
    there = receiver(stack, 1)
    arguments = option(reader__num_repeats=3, reader__num_timestamps=2)
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    (stream,) = there.collect()
    assert stream.times_mjd_s == [4.8e9 + 8 * dump for dump in range(6)]
    for dump in range(6):
        assert np.array_equal(stream.records[dump], stream.records[3 * (dump // 3)])
    assert not np.array_equal(stream.records[0], stream.records[3])


def test_repeats_at_the_same_time(small: Path, stack: ExitStack) -> None:
    there = receiver(stack, 1)
    arguments = option(reader__num_repeats=2, reader__repeat_same_time="yes")
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    (stream,) = there.collect()
    assert stream.times_mjd_s == [4.8e9 + 8 * (dump // 2) for dump in range(8)]


def test_rows_that_are_missing_are_sent_as_not_correlated(
    small: Path, tmp_path: Path, stack: ExitStack
) -> None:
    holed = tmp_path / "holed.ms"
    with table(str(small), ack=False) as opened:
        opened.selectrows([0, 1, 2, 5, 3, 6, 7, 8]).copy(str(holed), deep=True).close()
    there = receiver(stack, 1)
    assert send(holed, "-o", FAST, *there.options) == 0
    (stream,) = there.collect()
    data, flag = columns(small, "DATA", "FLAG")
    second = stream.records[1]
    assert second.shape == (8, 3)
    assert not second["FD"][:, 1].any()
    assert not second["VIS"][:, 1].any()
    assert np.array_equal(second["VIS"][:, [0, 2]], data[[3, 5]].transpose(1, 0, 2))
    assert np.array_equal(second["FD"][:, 0] == 0, flag[3].any(axis=1))


def test_two_receivers_of_one_group(small: Path, stack: ExitStack) -> None:
    group = "239.7.7.7"
    first = receiver(stack, 1, group=group)
    second = receiver(stack, 0, group=group)
    second.join(group, first.ports[0])
    loopback = "-oreception.interface_address=127.0.0.1"
    assert send(small, "-o", FAST, loopback, *first.options) == 0
    for there in (first, second):
        assert_streams_hold(there.collect(), small, 3, WIDTH_HZ)


def test_ports_follow_target_port_start(small: Path, stack: ExitStack) -> None:
    there = receiver(stack, 1)
    target = option(
        transmission__target_port_start=there.ports[0], transmission__target_host="localhost"
    )
    assert send(small, "-o", FAST, *target) == 0
    assert_streams_hold(there.collect(), small, 3, WIDTH_HZ)


def test_every_packet_says_what_its_heap_is(small: Path, stack: ExitStack) -> None:
    """With repeat_pointers a packet that is not the first carries all item pointers too."""
    numbers = {}
    for repeat in ("true", "false"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.setblocking(False)
            target = option(
                transmission__target_port_start=listener.getsockname()[1],
                transmission__repeat_pointers=repeat,
                transmission__max_packet_size=400,
                reader__num_timestamps=1,
            )
            assert send(small, "-o", FAST, *target) == 0
            # What was sent over loopback has come when sending returns.
            packets = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    packets.append(listener.recv(65536))
        assert max(map(len, packets)) == 400
        # A header of 8 bytes ends with the number of item pointers; the first is the heap's number.
        pointers = [struct.unpack_from(">6xHQ", packet) for packet in packets]
        of_data_heap = [number for number, heap in pointers if heap & 0xFFFFFFFFFFFF == 2]
        numbers[repeat] = (len(of_data_heap), set(of_data_heap[1:]))
    # Number, length, offset and length here; then count and fraction of the time, and the data.
    assert numbers == {"true": (3, {7}), "false": (3, {4})}


def test_final_line_adds_up(
    small: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    there = receiver(stack, 4)
    arguments = option(transmission__channels_per_stream=2, transmission__rate=200000)
    assert send(small, "-o", FAST, *there.options, *arguments) == 0
    matched = FINAL_LINE.fullmatch(capsys.readouterr().out.strip())
    assert matched is not None
    dumps, streams, sent_bytes = (int(matched[group]) for group in (1, 2, 3))
    assert (dumps, streams) == (4, 4)
    assert sent_bytes > 4 * 8 * 3 * 34
    # One burst may go out at once; what comes after it is held back.
    assert float(matched[4]) > (sent_bytes - 5000) / 200000 * 0.9


def test_check_sends_nothing(
    small: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    there = receiver(stack, 3)
    arguments = option(transmission__channels_per_stream=3)
    assert send(small, "--check", "-o", FAST, *there.options, *arguments) == 0
    out = capsys.readouterr().out
    assert "3 of 3 channels, 2 in the last" in out
    there.stop()
    assert all(not stream.first for stream in there.collect())


def test_clipped_centroids_warn_once(
    small: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    with subtable(small, "") as main_table:
        main_table.putcol("TIME_CENTROID", main_table.getcol("TIME") + 100)
    there = receiver(stack, 1)
    assert send(small, "-o", FAST, *there.options) == 0
    assert capsys.readouterr().err.count("TIME_CENTROID") == 1
    (stream,) = there.collect()
    assert (stream.records[3]["TCI"] == 127).all()


def test_many_streams(tmp_path: Path, stack: ExitStack) -> None:
    ms = make_set(tmp_path / "wide.ms", channels=200, times=2)
    for transport in ("udp", "tcp"):
        there = receiver(stack, 200, transport=transport)
        arguments = option(transmission__channels_per_stream=1, transmission__rate=5000000)
        assert send(ms, "-o", FAST, *there.options, *arguments) == 0
        assert_streams_hold(there.collect(), ms, 3, WIDTH_HZ)


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
    assert_streams_hold([Receiver._collect(stream)], small, 3, WIDTH_HZ)
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
        for stream in there._streams:
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
    assert [list(stream) for stream in there._streams] == [[], []]


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
        (["transmission.transport=ibverbs"], 2, "not available in this version"),
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
