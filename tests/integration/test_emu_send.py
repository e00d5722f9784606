"""emu-send on real sockets, received with spead2's own receiver and compared with the set."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest
from casacore.tables import table

from tests.integration.spead_receiver import (
    FAST,
    UNIX_EPOCH_MJD_S,
    assert_streams_hold,
    columns,
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


FINAL_LINE = re.compile(
    r"emu-send: sent (\d+) dumps in (\d+) streams: (\d+) bytes in ([\d.]+) s, (\d+) bytes/s \(.*\)"
)


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
