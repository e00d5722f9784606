"""What is not of the interface is refused, counted under its reason, and harms nothing."""

from __future__ import annotations

import random
import resource
import struct
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.errors import NothingReceivedError
from receive.stream.table.shared_types import Reason
from tests.integration.senders import (
    BASELINES,
    CHANNEL,
    COUNT,
    DATA,
    FRACTION,
    HARDWARE,
    SCAN,
    Observation,
    Sender,
    little,
    packets_of,
)
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

Heap = list[bytes]


def short(o: Observation) -> Heap:
    return o.mid(3, 0, data=o.data_bytes(3, 0)[:-34])


def long(o: Observation) -> Heap:
    return o.mid(3, 0, data=o.data_bytes(3, 0) + bytes(34))


def other_record(o: Observation) -> Heap:
    return o.mid(3, 0, data=bytes(len(o.data_bytes(3, 0)) // 34 * 35))


def huge(o: Observation) -> Heap:
    return o.mid(3, 0, data=bytes(1 << 20))


def head_room_overrun(o: Observation) -> Heap:
    items = o.time_items(o.ticks(3))
    return packets_of(900, items, [(0x5000, bytes(5000)), (DATA, o.data_bytes(3, 0))])


def tail_room_overrun(o: Observation) -> Heap:
    items = o.time_items(o.ticks(3))
    return packets_of(900, items, [(DATA, o.data_bytes(3, 0)), (0x5000, bytes(5000))])


def without_time(o: Observation) -> Heap:
    return o.mid(3, 0, without=(COUNT, FRACTION))


def other_items(o: Observation) -> Heap:
    return packets_of(900, {0x1600: 77, 0x4101: 5}, [(0x1800, bytes(500))])


def no_data(o: Observation) -> Heap:
    return packets_of(900, o.time_items(o.ticks(3)), [(SCAN, bytes(8))])


def other_flavour(o: Observation) -> Heap:
    """SPEAD-64-40: the same kind of packet, with 24 bits of item number."""
    pointers = [
        (1 << 63) | item << 40 | value for item, value in ((1, 900), (2, 8), (3, 0), (4, 8))
    ]
    head = struct.pack(">BBBBHH", 0x53, 4, 3, 5, 0, len(pointers))
    return [head + struct.pack(">4Q", *pointers) + bytes(8)]


def baselines_wrong(o: Observation) -> Heap:
    return o.mid(3, 0, items={BASELINES: little(o.baselines + 1)})


def channel_between(o: Observation) -> Heap:
    return o.mid(3, 0, items={CHANNEL: little(1)})


def channel_past(o: Observation) -> Heap:
    return o.mid(3, 0, items={CHANNEL: little(1000)})


def rest_only(o: Observation) -> Heap:
    """The first packet, which alone says what the heap is, was lost."""
    return o.mid(3, 0, repeat_pointers=False)[1:]


MALFORMED = [
    (short, Reason.SIZE),
    (long, Reason.SIZE),
    (other_record, Reason.SIZE),
    (huge, Reason.SIZE),
    (head_room_overrun, Reason.SIZE),
    (tail_room_overrun, Reason.SIZE),
    (without_time, Reason.ITEMS),
    (other_items, Reason.ITEMS),
    (no_data, Reason.ITEMS),
    (other_flavour, Reason.ITEMS),
    (baselines_wrong, Reason.BASELINES),
    (channel_between, Reason.CHANNEL),
    (channel_past, Reason.CHANNEL),
    (rest_only, Reason.UNPLACEABLE),
]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("make", "reason"), MALFORMED, ids=lambda value: getattr(value, "__name__", "")
)
def test_each_kind_of_malformed_heap_is_counted_under_its_reason(
    receive: Receive, make: Callable[[Observation], Heap], reason: Reason, transport: str
) -> None:
    observation = Observation(per_stream=4, packet_payload=300)
    foreign = Observation(per_stream=4, packet_payload=300, first_heap_count=5000)
    running = receive(observation, reception__transport=transport)
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            if index == 2:
                sender.send(0, make(foreign))
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost
    (ledger,) = outcome.scans
    assert ledger.refused_total(reason) == 1
    assert ledger.refused.sum() == 1


def test_only_malformed_heaps_are_nothing_and_the_error_says_what_came(receive: Receive) -> None:
    observation = Observation()
    running = receive(observation, reception__idle_timeout=0.3)
    with Sender(running.ports) as sender:
        sender.send(0, short(observation) + baselines_wrong(observation))
        with pytest.raises(NothingReceivedError, match="size 1, baselines 1"):
            running.finish()


def foreign_datagrams(rng: random.Random) -> Heap:
    """Other protocols, and noise."""
    dns = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\7example\3com\0\0\1\0\1"
    rtp = struct.pack(">BBHII", 0x80, 96, 1, 2, 3) + bytes(160)
    http = b"GET / HTTP/1.1\r\nHost: correlator\r\n\r\n"
    noise = [rng.randbytes(rng.randrange(1, 1400)) for _ in range(200)]
    magic = [b"\x53\x04\x02\x06" + rng.randbytes(rng.randrange(0, 200)) for _ in range(200)]
    return [dns, rtp, http, b"\0", *noise, *magic]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_other_protocols_and_noise_harm_nothing(receive: Receive, transport: str) -> None:
    observation = Observation(per_stream=4, packet_payload=300)
    running = receive(observation, reception__transport=transport)
    foreign = foreign_datagrams(random.Random(5))
    tcp = transport == "tcp"
    if tcp:
        for _ in range(3):
            with Sender(running.ports, tcp=True) as sender:
                sender.send(0, foreign)
    with Sender(running.ports, tcp=tcp) as sender:
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
                if not tcp:
                    sender.send(stream, [b"", *foreign[index::10]])
            running.recorder.wait_for(index + 1)
        sender.end(observation)
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


@pytest.mark.parametrize("cut", [1, 7, 8, 40, 80, 200])
def test_a_truncated_packet_loses_its_heap_only(receive: Receive, cut: int) -> None:
    observation = Observation(per_stream=4, packet_payload=300)
    running = receive(observation, reception__dump_timeout=0.2)
    with Sender(running.ports) as sender:
        for index in range(observation.times):
            for stream in range(2):
                packets = observation.low(index, stream)
                if (index, stream) == (4, 1):
                    packets[2] = packets[2][:-cut] if cut < 100 else packets[2][:cut]
                sender.send(stream, packets)
        sender.end(observation)
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert (ledger.expected, ledger.missing) == (20, 1)
    assert running.recorder.taken[4].present == (True, False)
    taken = [t for index, t in enumerate(running.recorder.taken) if index != 4]
    assert_same(taken, observation, [index for index in range(10) if index != 4])


BOGUS_UNIX_S = {"1970": 5, "far future": 4_000_000_000, "tomorrow": 1_700_086_400}


@pytest.mark.parametrize("per_stream", [4, 8])
@pytest.mark.parametrize("when", ["before the start", "first", "middle", "last"])
@pytest.mark.parametrize("year", BOGUS_UNIX_S)
@pytest.mark.parametrize("hours", [0, 1])
def test_a_single_bogus_time_loses_no_real_data(
    receive: Receive, year: str, when: str, per_stream: int, hours: int
) -> None:
    """In the model's time range, and an hour after it."""
    observation = Observation(per_stream=per_stream)
    streams = range(len(observation.groups))
    running = receive(observation, reception__dump_timeout=0.2)
    # From elsewhere, so its heap count has nothing to do with the others.
    bogus = Observation(per_stream=per_stream, first_heap_count=70000).low(
        0, 0, BOGUS_UNIX_S[year] << 32
    )
    view = running.view

    def send_bogus(sender: Sender) -> None:
        before = int(view.begun[0])
        sender.send(0, bogus)
        wait_until(lambda: view.begun[0] > before)
        running.look_twice()

    with Sender(running.ports) as sender:
        if when == "before the start":
            send_bogus(sender)
        for stream in streams:
            sender.send(stream, observation.start(stream))
        if when == "first":
            running.look_twice()
            send_bogus(sender)
        for index in range(observation.times):
            for stream in streams:
                ticks = observation.ticks(index) + (hours * 3600 << 32)
                sender.send(stream, observation.low(index, stream, ticks))
            if index == 4 and when == "middle":
                send_bogus(sender)
        if when == "last":
            send_bogus(sender)
        sender.end(observation)
        outcome = running.finish()
    assert [t.ticks - (hours * 3600 << 32) for t in running.recorder.taken] == [
        observation.ticks(index) for index in range(observation.times)
    ]
    assert not any(t.flags.any() for t in running.recorder.taken)
    (ledger,) = outcome.scans
    assert (ledger.missing, ledger.scan_id) == (0, observation.scan_id)
    refused = running.refused(Reason.BAD_TIME) + running.refused(Reason.LATE)
    assert refused == running.view.counters.sum() == 1


def test_a_flood_of_bogus_times_loses_no_real_data(receive: Receive) -> None:
    observation = Observation(times=40, per_stream=4)
    rng = random.Random(3)
    flood = Observation(per_stream=4, first_heap_count=70000)
    running = receive(observation, reception__dump_timeout=0.2)
    with Sender(running.ports) as sender:
        for stream in range(2):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            for _ in range(20):
                ticks = rng.randrange(1 << 63, 1 << 64)
                sender.send(index % 2, flood.low(0, index % 2, ticks))
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost
    assert running.refused(Reason.BAD_TIME) == running.view.counters.sum() == 800


def test_a_bogus_time_that_waits_when_the_receiver_is_stopped_is_counted(receive: Receive) -> None:
    observation = Observation()
    running = receive(observation, reception__dump_timeout=60.0)
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        for index in range(observation.times):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(observation.times)
        sender.send(0, observation.low(0, 0, 1 << 63))
        entries = observation.times + 1
        wait_until(lambda: running.view.head == entries, "it waits")
        outcome = running.end()
    assert_same(running.recorder.taken, observation)
    assert running.refused(Reason.BAD_TIME) == running.view.counters.sum() == 1
    assert outcome.scans[0].refused.sum() == 1


@pytest.mark.parametrize("unknown", ["compute", "reject"])
def test_times_before_between_and_after_the_models(receive: Receive, unknown: str) -> None:
    observation = Observation(times=6, interval_s=4.0)
    running = receive(observation, reception__unknown_times=unknown)
    # A quarter of the interval is 1 s: 0.75 s beside an integration still belongs to it.
    offsets_s = {-1: 0.0, 0: 0.75, 1: -0.75, 2: 2.0, 3: 0.0, 5: 0.0, 6: 0.0, 7: 0.0}
    known = [0, 1, 3, 5]
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        for index, offset_s in offsets_s.items():
            ticks = observation.ticks(index) + round(offset_s * 2**32)
            sender.send(0, observation.low(max(0, min(index, 5)), 0, ticks))
        sender.end(observation)
        running.finish()
    came = [t for t in running.recorder.taken if not t.flags.any()]
    assert [t.model_index for t in came if t.model_index is not None] == known
    assert len(came) == (len(offsets_s) if unknown == "compute" else len(known))
    assert running.refused(Reason.BAD_TIME) == (0 if unknown == "compute" else 4)


def test_twenty_thousand_mutated_packets_harm_nothing(receive: Receive) -> None:
    observation = Observation(per_stream=4, packet_payload=300, antennas=3)
    running = receive(
        observation,
        reception__max_scans=0,
        reception__dump_timeout=0.1,
    )
    rng = random.Random(20)
    source = Observation(per_stream=4, packet_payload=300, antennas=3, seed=2)
    originals: list[bytes] = []
    for stream in range(2):
        originals += source.start(stream) + source.end(stream)
        for index in range(5):
            originals += source.low(index, stream) + source.mid(index, stream)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Sender(running.ports) as sender:
        for number in range(20_000):
            sender.send(number % 2, [mutated(rng.choice(originals), rng)])
            if number % 500 == 499:
                running.drain()
        running.drain()
        running.look_twice()
        running.settle()
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert grown_kib < 64 << 10
        real = Observation(
            per_stream=4, packet_payload=300, antennas=3, seed=9, scan_id=99,
            first_heap_count=(1 << 48) - 1000,
        )  # fmt: skip
        for stream in range(2):
            sender.send(stream, real.start(stream))
        for index in range(real.times):
            for stream in range(2):
                sender.send(stream, real.low(index, stream))
        sender.end(real)
        wait_until(lambda: len(running.recorder.ended) and running.recorder.ended[-1].scan_id == 99)
        outcome = running.end()
    assert_same([t for t in running.recorder.taken if t.scan_id == 99], real)
    assert len(outcome.scans) > 1
    for ledger in outcome.scans:
        assert ledger.expected == int(ledger.received.sum()) + ledger.missing


def mutated(packet: bytes, rng: random.Random) -> bytes:
    changed = bytearray(packet)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(changed[: rng.randrange(1, len(changed))])
    if kind == 1:
        return bytes(changed) + rng.randbytes(rng.randrange(1, 50))
    for _ in range(rng.randrange(1, 6)):
        # Mostly in the header and the item pointers, where it matters.
        end = min(len(changed), 120) if kind < 4 else len(changed)
        changed[rng.randrange(end)] = rng.randrange(256)
    return bytes(changed)


def test_scan_ids_that_do_not_fit_their_heap_are_none(receive: Receive) -> None:
    observation = Observation()
    running = receive(observation)

    def heap(index: int) -> Heap:
        items = {**observation.time_items(observation.ticks(index)), HARDWARE: little(1)}
        # The scan id is announced for the last byte of the heap.
        content: list[tuple[int, Any]] = [(DATA, observation.data_bytes(index, 0)), (0x5000, b"xx")]
        return packets_of(index + 1, items, [*content, (SCAN, b"\1")])

    with Sender(running.ports) as sender:
        for index in range(observation.times):
            sender.send(0, heap(index))
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert [scan.scan_id for scan in outcome.scans] == [0]
