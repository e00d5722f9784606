"""What emu-send sent: spead2's own receiver on real sockets, and what should have come."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import spead2
import spead2.recv
from casacore.tables import table

from emulator.send.app import main
from receive.command import cli
from tests.unit.measurement_set.made_by_casacore import WIDTH_HZ, make_set, subtable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

UNIX_EPOCH_MJD_S = 40587 * 86400
FAST = "transmission.time_interval=-1"
COMMAND = [sys.executable, "-m", "emulator.send.app"]


@contextlib.contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Undo what a command does to logging."""
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
        self.streams = []
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
            self.streams.append(stream)

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
        self.streams = [stream]

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
        return [self.collected(stream) for stream in self.streams]

    @staticmethod
    def collected(stream: Any) -> Stream:
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
        for stream in self.streams:
            stream.stop()


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


def make_small_set(path: Path) -> Path:
    """Make a set of 3 baselines, 4 times, 8 channels, with flags, weights and centroids."""
    path = make_set(path, channels=8)
    rng = np.random.default_rng(5)
    with subtable(path, "") as main_table:
        shape = (main_table.nrows(), 8, 4)
        main_table.putcol("FLAG", rng.random(shape) < 0.1)
        weights = rng.uniform(0, 1.2, shape) * WIDTH_HZ * 8
        main_table.putcol("WEIGHT_SPECTRUM", weights.astype(np.float32))
        centroid = main_table.getcol("TIME") + rng.uniform(-3.9, 3.9, shape[0])
        main_table.putcol("TIME_CENTROID", centroid)
    return path
