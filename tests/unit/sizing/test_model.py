from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.command.errors import ConfigError
from receive.measurement_set.write.convert import MAX_THREADS
from receive.run.polling import POLL_S
from receive.sizing.costs import LOOK_S, MEMORY, QUIET_S, WORK, Costs
from receive.sizing.model import DEFAULT_SITE, WRITER_THREADS, Requirement, Site, limits, size
from receive.sizing.report import lines
from receive.sizing.shape import Shape, Wire
from receive.stream.network.tcp import LOST_CHECK_S


def costs(**cpu_s: float) -> Costs:
    """Return costs that are 0 but for those given."""
    return Costs(
        cpu_s=dict.fromkeys(WORK, 0.0) | cpu_s,
        memory_bytes={"process": 1e8, "stream": 1e6, "writer": 1e7, "set_row": 100.0},
        cpu_error=0.2,
        cpu_floor=0.1,
        date="2026-01-01 00:00 UTC",
        machine="a machine",
        document={},
    )


UDP = Wire("udp", 8900)
TCP = Wire("tcp", 65536)
SHAPE = Shape(2080, 256, 0.5, 64)
"""4 heaps of 4,526,080 bytes twice a second; 513 packets of UDP a heap."""
LOOKS = 2 / 1.02
"""Twice a second a look finds an integration, and the next one comes 10 ms later."""


def test_cpu_is_the_sum_of_what_each_kind_of_work_costs() -> None:
    made = costs(udp_byte=1e-9, udp_packet=1e-6, heap=1e-3, look=2e-3, stream=3e-3, process=4e-3)
    expected = 36_208_640e-9 + 8 * 513e-6 + 8e-3 + LOOKS * 2e-3 + 4 * 3e-3 + 4e-3
    assert size(SHAPE, made, UDP, writes=False).cpu_cores == pytest.approx(expected)
    # Over TCP neither bytes nor packets of UDP cost anything.
    expected = 36_208_640 * 5e-9 + 8e-3 + LOOKS * 2e-3 + 4 * 3e-3 + 4e-3
    tcp = replace(made, cpu_s=made.cpu_s | {"tcp_byte": 5e-9})
    assert size(SHAPE, tcp, TCP, writes=False).cpu_cores == pytest.approx(expected)


def test_writing_costs_bytes_rows_and_integrations_and_nothing_where_nothing_is_written() -> None:
    made = costs(set_byte=1e-9, set_row=1e-6, set_dump=1e-3)
    expected = SHAPE.set_bytes_per_s * 1e-9 + 2 * 2080e-6 + 2e-3
    written = size(SHAPE, made, UDP)
    assert written.cpu_cores == pytest.approx(expected)
    assert (written.disks, written.set_bytes_per_s) == (1, pytest.approx(SHAPE.set_bytes_per_s))
    passed_on = size(SHAPE, made, UDP, writes=False)
    assert (passed_on.cpu_cores, passed_on.disks, passed_on.set_bytes_per_s) == (0, 0, 0)


def test_what_each_receiver_does_anew_is_counted_for_each() -> None:
    # A receiver may have 0.5 core, of which 4 s/s of rows a receiver for each stream take 0.4.
    made = costs(
        process=0.01, set_row=0.02 / 2080, stream=0.1, set_byte=1.0 / SHAPE.set_bytes_per_s
    )
    needed = size(SHAPE, made, UDP, Site(writer_threads=1))
    # 1.0 of bytes and 0.04 of rows: two receivers take 0.54 each, three (of 2 streams) no less.
    assert needed.receivers == 4
    assert needed.streams_each == 1
    share = SHAPE.share(4)
    bytes_ = share.set_bytes_per_s / SHAPE.set_bytes_per_s
    assert bytes_ == pytest.approx(0.25, rel=0.05)
    assert needed.cpu_cores == pytest.approx(4 * 0.01 + 4 * 0.04 + 4 * 0.1 + 1.0, rel=0.02)


def test_cores_leave_room_and_the_range_is_the_error() -> None:
    made = costs(heap=0.9 / 8)
    needed = size(SHAPE, made, UDP, Site(core_use=1.0))
    assert (needed.cores, needed.cpu_range) == (1, pytest.approx((0.7, 1.1)))
    assert size(SHAPE, made, UDP, Site(core_use=0.5)).cores == 2
    assert size(SHAPE, made, UDP, Site(core_use=0.4)).cores == 3


def test_an_error_of_more_than_all_does_not_make_cpu_negative() -> None:
    wild = replace(costs(process=1.0), cpu_error=1.5)
    assert size(SHAPE, wild, UDP).cpu_range == pytest.approx((0, 1.0 + 1.5 * 1.1))


def test_memory_is_the_buffers_that_bridge_a_stall_and_what_is_beside_them() -> None:
    # 4 buffers, and 5 s of 2 a second; slots of 4,526,080 bytes and twice 4,096, a multiple of 64.
    slot = 4_534_272
    needed = size(SHAPE, costs(), UDP, Site(stall_s=5.0))
    assert needed.buffer_memory_bytes == 14 * 4 * slot
    assert needed.memory_bytes == 14 * 4 * slot + 1e8 + 4e6 + 1e7 + 2080 * 100
    without = size(SHAPE, costs(), UDP, Site(stall_s=0.0), writes=False)
    assert without.memory_bytes == 4 * 4 * slot + 1e8 + 4e6


def test_a_disk_and_a_port_hold_whole_receivers() -> None:
    rate = SHAPE.share(4).set_bytes_per_s
    # Two and a half shares to a disk: with two receivers of two, each on a disk of its own.
    site = Site(disk_bytes_per_s=2.5 * rate, link_use=1.0)
    needed = size(SHAPE, costs(), UDP, site)
    assert (needed.receivers, needed.disks, needed.ports) == (2, 2, 1)
    port = SHAPE.share(4).wire_bytes_per_s(UDP)
    needed = size(SHAPE, costs(), UDP, Site(port_bytes_per_s=1.5 * port, link_use=1.0))
    assert (needed.receivers, needed.ports) == (4, 4)
    assert size(SHAPE, costs(), UDP, Site(port_bytes_per_s=9 * port)).ports == 1


def test_a_receiver_has_no_more_memory_than_it_may() -> None:
    whole = size(SHAPE, costs(), UDP).memory_bytes
    needed = size(SHAPE, costs(), UDP, Site(receiver_memory_bytes=0.6 * whole))
    assert needed.receivers == 4
    assert needed.limits[0].what == "the memory of a receiver"


def test_what_no_number_of_receivers_mends_is_named_with_how_far_it_is_off() -> None:
    # A stream of 2 heaps a second at 0.5 s each takes a whole core, and may have half of one.
    needed = size(SHAPE, costs(heap=0.5), UDP)
    (limit,) = needed.impossible
    assert (limit.what, limit.load) == ("the network thread of a stream", pytest.approx(2.0))
    (told,) = [line for line in lines(SHAPE, needed, DEFAULT_SITE, costs()) if "too much" in line]
    assert "the network thread of a stream, however many receivers: 2.0 times" in told
    assert told.endswith("give fewer channels a stream")
    assert needed.receivers == 1  # more would be no remedy
    assert not size(SHAPE, costs(heap=0.2), UDP).impossible


def test_the_collector_is_one_thread_however_many_cores_there_are() -> None:
    needed = size(SHAPE, costs(look=0.3), UDP)  # two a second
    (limit,) = needed.impossible
    assert (limit.what, limit.load) == (
        "the thread that collects integrations",
        pytest.approx(0.3 * LOOKS / 0.5),
    )
    assert limit.mend == "give longer integrations"


def test_only_the_tiles_are_shared_out_among_threads() -> None:
    tiles = costs(set_byte=1.2 / SHAPE.set_bytes_per_s)
    assert size(SHAPE, tiles, UDP, Site(writer_threads=4)).receivers == 1
    assert size(SHAPE, tiles, UDP, Site(writer_threads=1)).receivers == 4
    rows = costs(set_row=1.2 / (2 * 2080))
    assert size(SHAPE, rows, UDP, Site(writer_threads=4)).impossible


def test_integrations_that_one_look_finds_cost_one_look() -> None:
    rapid = Shape(10, 4, 0.001, 4)
    # A thousand a second, and 10 ms from look to look, which finds the one and ten more.
    looks = size(rapid, costs(look=1e-4), UDP, writes=False)
    assert looks.cpu_cores == pytest.approx(1000 / 11 * 1e-4)


def test_connections_that_are_quiet_between_integrations_are_asked_after() -> None:
    made = costs(quiet_tcp=0.1)
    assert size(replace(SHAPE, interval_s=1.0), made, TCP).cpu_cores == 0.1
    assert size(replace(SHAPE, interval_s=0.01), made, TCP, Site(stall_s=0)).cpu_cores == 0
    assert size(SHAPE, made, UDP).cpu_cores == 0


def test_how_long_the_receiver_waits_is_what_the_model_thinks() -> None:
    assert (LOOK_S, QUIET_S) == (POLL_S, LOST_CHECK_S)


def test_the_writer_has_as_many_threads_as_the_model_thinks() -> None:
    assert WRITER_THREADS == MAX_THREADS


STEPS = st.integers(1, 4)


@given(
    st.integers(1, 400), st.integers(1, 50), st.integers(1, 60), st.floats(0.01, 10), STEPS, STEPS,
    STEPS,
)  # fmt: skip
def test_more_of_anything_never_takes_less(
    baselines: int,
    per_stream: int,
    streams: int,
    interval_s: float,
    more_baselines: int,
    more_streams: int,
    faster: int,
) -> None:
    made = costs(
        udp_byte=1e-8, udp_packet=1e-6, heap=1e-4, look=1e-4, stream=1e-3, process=0.1,
        set_byte=1e-8, set_row=1e-6, set_dump=1e-3,
    )  # fmt: skip
    small = Shape(baselines, streams * per_stream, interval_s, per_stream)
    large = Shape(
        baselines * more_baselines,
        streams * more_streams * per_stream,
        interval_s / faster,
        per_stream,
    )
    site = Site(disk_bytes_per_s=1e7, port_bytes_per_s=1e7)
    one, other = size(small, made, UDP, site), size(large, made, UDP, site)
    for name in ("receivers", "cores", "memory_bytes", "disks", "ports", "wire_bytes_per_s"):
        assert getattr(other, name) >= getattr(one, name), name


@given(st.integers(1, 64), st.floats(0.001, 100))
def test_the_receivers_are_the_fewest_that_are_enough(streams: int, busy: float) -> None:
    shape = Shape(100, 4 * streams, 1.0, 4)
    made = costs(set_byte=busy / shape.set_bytes_per_s)
    needed: Requirement = size(shape, made, UDP)
    if not needed.impossible:
        assert needed.limits[0].load <= 1
    if needed.receivers > 1:
        fewer = limits(shape.share(needed.receivers - 1), made, UDP, DEFAULT_SITE, writes=True)
        assert fewer[0].load > 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"core_use": 0.0}, "core use = 0"),
        ({"core_use": 1.5}, "core use = 1.5"),
        ({"link_use": -1.0}, "link use = -1"),
        ({"disk_bytes_per_s": 0.0}, "disk bytes per s = 0"),
        ({"port_bytes_per_s": float("nan")}, "port bytes per s = nan"),
        ({"stall_s": -1.0}, "stall = -1 s"),
    ],
)
def test_a_site_that_cannot_be_is_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words) + ".*give "):
        Site(**values)


def test_the_kinds_of_memory_are_those_of_the_made_up_costs() -> None:
    assert costs().memory_bytes.keys() == MEMORY.keys()
