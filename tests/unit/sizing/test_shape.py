from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import spead2.send
from hypothesis import given
from hypothesis import strategies as st

from receive.command.errors import ConfigError
from receive.icd.items import ITEM_SETS
from receive.icd.records import RECORD_DTYPE
from receive.sizing.shape import Shape, Wire
from tests.bench.replay import FLAVOUR, PreparedHeap, _item, prepared

SHAPE = Shape.of_array(64, 256, 0.5, 64)
"""2,080 baselines x 64 channels x 34 bytes = 4,526,080 bytes in each of 4 heaps, twice a second."""


def test_bytes_and_heaps_are_those_counted_by_hand() -> None:
    assert SHAPE.baselines == 2080
    assert SHAPE.streams == 4
    assert SHAPE.heap_bytes == 4_526_080
    assert SHAPE.bytes_per_s == 36_208_640
    assert SHAPE.heaps_per_s == 8
    assert SHAPE.dumps_per_s == 2


def test_packets_and_headers_are_those_counted_by_hand() -> None:
    # A packet has 8 bytes of header, 4 + 3 pointers of 8, and room for 8,832 of 8,900 - 64.
    assert SHAPE.packets(Wire(packet_bytes=8900)) == [
        (3 * 512, 8896),
        (3, 4160),
        (512, 8896),
        (1, 4160),
    ]
    assert SHAPE.packets_per_s(Wire()) == 2 * 4 * 513
    # 8 of UDP, 20 of IP, 38 of Ethernet.
    heap = 512 * (8896 + 66) + 4160 + 66
    assert SHAPE.wire_bytes_per_s(Wire()) == 2 * 4 * heap


def test_large_packets_are_cut_into_frames() -> None:
    # 8,948 bytes of data in a segment of TCP in jumbo frames; 20 + 32 + 38 of headers.
    assert Wire("tcp", 65536).wire_bytes(65536) == 65536 + 8 * 90
    # 8,980 bytes in a fragment of UDP.
    assert Wire("udp", 65000).wire_bytes(8980) == 8980 + 8 + 2 * 58
    assert Wire("udp", 65000).wire_bytes(8972) == 8972 + 8 + 58
    assert Wire("udp", 1472, mtu_bytes=1500).wire_bytes(1472) == 1538


@pytest.mark.parametrize(
    ("baselines", "channels", "packet_bytes"),
    [(2080, 64, 8900), (136, 1, 1472), (2080, 1, 65536), (10, 3, 1473), (10, 3, 256)],
)
def test_packets_are_those_of_spead2(baselines: int, channels: int, packet_bytes: int) -> None:
    records = np.zeros((channels, baselines), RECORD_DTYPE["low"])
    made = PreparedHeap(prepared(records), packet_bytes).lengths.tolist()
    assert counted(Shape(baselines, channels, 1.0, channels), packet_bytes) == sorted(made)


def test_packets_of_mid_carry_all_its_items() -> None:
    records = np.zeros((5, 40), RECORD_DTYPE["mid"])
    heap = spead2.send.Heap(FLAVOUR)
    heap.repeat_pointers = True
    for item in ITEM_SETS["mid"].data:
        heap.add_item(_item(item, records.shape, records if item.axes else 0))
    made = [len(packet) for packet in spead2.send.PacketGenerator(heap, 1, 1472)]
    assert counted(Shape(40, 5, 1.0, 5, telescope="mid"), 1472) == sorted(made)


def counted(shape: Shape, packet_bytes: int) -> list[int]:
    counts = shape.packets(Wire(packet_bytes=packet_bytes))
    return sorted(size for count, size in counts for _ in range(count))


def test_a_last_stream_with_fewer_channels_is_counted_as_it_is() -> None:
    shape = Shape(10, 7, 1.0, 3)
    assert shape.streams == 3
    assert shape.bytes_per_s == 7 * 10 * 34
    assert counted(shape, 65536) == sorted([64 + 1020, 64 + 1020, 64 + 340])


def test_a_set_takes_what_its_columns_hold() -> None:
    # DATA 8 bytes, WEIGHT_SPECTRUM 4, FLAG a bit; UVW 24, four times 32, antennas 8, WEIGHT and
    # SIGMA 32 and FLAG_ROW a bit in each row.
    values, rows = 4 * 256 * 2080, 2080
    exact = values * (12 + 1 / 8) + rows * (96 + 1 / 8)
    assert exact <= SHAPE.set_dump_bytes <= 1.01 * exact  # the ends of tiles
    assert SHAPE.set_bytes_per_s == 2 * SHAPE.set_dump_bytes


def test_a_share_has_whole_streams_and_all_baselines() -> None:
    shape = Shape(10, 50, 1.0, 5)
    assert [shape.share(n).channels for n in (1, 2, 3, 4, 9, 10)] == [50, 25, 20, 15, 10, 5]
    assert shape.share(3).baselines == 10


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 300))
def test_no_share_is_less_than_its_part(streams: int, per_stream: int, receivers: int) -> None:
    shape = Shape(3, streams * per_stream, 1.0, per_stream)
    share = shape.share(receivers)
    assert share.channels % per_stream == 0
    assert share.streams * receivers >= shape.streams
    assert (share.streams - 1) * receivers < shape.streams


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 8), st.integers(1, 60))
def test_shares_are_those_that_the_receivers_take(
    streams: int, per_stream: int, fewer: int, receivers: int
) -> None:
    receivers = min(receivers, streams)
    channels = streams * per_stream - min(fewer, per_stream - 1)
    per_stream = min(per_stream, channels)
    shape = Shape(3, channels, 1.0, per_stream)
    # As receive.run.plan parts them.
    borders = [index * streams // receivers * per_stream for index in range(receivers)]
    taken = [end - begin for begin, end in pairwise([*borders, channels])]
    shares = shape.shares(receivers)
    assert sorted(own.channels for count, own in shares for _ in range(count)) == sorted(taken)
    assert sum(count * own.bytes_per_s for count, own in shares) == shape.bytes_per_s


@pytest.mark.parametrize(
    ("stations", "autocorrelations", "baselines"),
    [(2, False, 1), (2, True, 3), (512, True, 131328)],
)
def test_baselines_of_an_array(stations: int, autocorrelations: bool, baselines: int) -> None:
    shape = Shape.of_array(stations, 1, 1.0, 1, autocorrelations=autocorrelations)
    assert shape.baselines == baselines


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Shape.of_array(0, 1, 1.0, 1), "stations = 0"),
        (lambda: Shape.of_array(1, 1, 1.0, 1, autocorrelations=False), "stations = 1"),
        (lambda: Shape(1, 0, 1.0, 1), "channels = 0"),
        (lambda: Shape(1, 4, 1.0, 0), "channels_per_stream = 0"),
        (lambda: Shape(1, 4, 1.0, 5), "channels per stream = 5"),
        (lambda: Shape(1, 4, 0.0, 4), "interval = 0 s"),
        (lambda: Shape(1, 4, float("nan"), 4), "interval = nan s"),
        (lambda: Shape(1, 4, float("inf"), 4), "interval = inf s"),
        (lambda: Wire(packet_bytes=100), "packets of 100 bytes"),
        (lambda: Wire(packet_bytes=70000), "packets of 70000 bytes"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(make, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{words}.*give ") as told:
        make()
    assert "\n" not in str(told.value)
