"""What is sent arrives, bit for bit: transports, styles of sender, streams, receivers."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from receive.stream.table.shared_types import Reason
from tests.integration.senders import HARDWARE_ID, MID, Observation, Sender, send_older_style
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.recorder import Taken
    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely


def assert_same(
    taken: list[Taken], observation: Observation, indices: Any = None, *, fd: bool = True
) -> None:
    """Every integration, every channel, bit for bit, in order, each once."""
    indices = range(observation.times) if indices is None else indices
    assert [t.ticks for t in taken] == [observation.ticks(i) for i in indices]
    for came, index in zip(taken, indices, strict=True):
        sent = observation.records[index]
        assert not came.flags.any()
        assert came.visibilities.tobytes() == np.ascontiguousarray(sent["VIS"]).tobytes()
        assert np.array_equal(came.tci, sent["TCI"])
        assert np.array_equal(came.fd, sent["FD"] if fd else np.zeros_like(sent["FD"]))


def send_all(observation: Observation, ports: list[int], *, tcp: bool = False) -> None:
    """Send an observation in Low's style, dump by dump over all streams."""
    with Sender(ports, tcp=tcp) as sender:
        for stream in range(len(ports)):
            sender.send(stream, observation.start(stream))
        for index in range(observation.times):
            for stream in range(len(ports)):
                sender.send(stream, observation.low(index, stream))
        sender.end(observation)


@pytest.mark.parametrize("per_stream", [1, 2, 3, 8])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_low_style_arrives_bit_for_bit(receive: Receive, transport: str, per_stream: int) -> None:
    observation = Observation(per_stream=per_stream, packet_payload=500)
    running = receive(observation, reception__transport=transport)
    send_all(observation, running.ports, tcp=transport == "tcp")
    outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost
    (ledger,) = outcome.scans
    assert ledger.scan_id == observation.scan_id
    assert ledger.expected == observation.times * len(observation.groups)
    assert ledger.payload_bytes == observation.records.nbytes
    assert not ledger.refused.any()
    assert {t.scan_id for t in running.recorder.taken} == {observation.scan_id}
    payload = running.recorder.taken[0].payload
    assert (payload.hardware_id, payload.phase_bin_id, payload.phase_bin_count) == (
        HARDWARE_ID,
        3,
        5,
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("data_first", [False, True])
def test_mid_style_arrives_bit_for_bit(
    receive: Receive, transport: str, *, data_first: bool
) -> None:
    observation = Observation(per_stream=3, dtype=MID, packet_payload=500)
    running = receive(observation, reception__transport=transport, reception__telescope="mid")
    with Sender(running.ports, tcp=transport == "tcp") as sender:
        for index in range(observation.times):
            for stream in range(3):
                sender.send(stream, observation.mid(index, stream, data_first=data_first))
        sender.end(observation)
        outcome = running.finish()
    assert_same(running.recorder.taken, observation)
    assert [s.scan_id for s in outcome.scans] == [observation.scan_id]
    assert not outcome.lost


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_older_style_arrives_bit_for_bit(receive: Receive, transport: str) -> None:
    """Descriptors in every heap, FD = 0, too large a channel count in the last stream."""
    observation = Observation(per_stream=3, scan_id=12345678901234567890)
    running = receive(observation, reception__transport=transport)
    send_older_style(observation, running.ports, tcp=transport == "tcp")
    outcome = running.finish()
    assert_same(running.recorder.taken, observation, fd=False)
    assert [s.scan_id for s in outcome.scans] == [observation.scan_id]
    assert not outcome.lost


def test_all_items_arrive_without_start_and_with_pointers_in_the_first_packet_only(
    receive: Receive,
) -> None:
    observation = Observation(per_stream=4, packet_payload=300)
    running = receive(observation)
    with Sender(running.ports) as sender:
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.mid(index, stream, repeat_pointers=False))
        sender.end(observation)
        assert not running.finish().lost
    assert_same(running.recorder.taken, observation)


def test_a_complete_dump_is_handed_on_while_the_next_is_held_back(receive: Receive) -> None:
    observation = Observation(per_stream=4, times=5)
    running = receive(observation)
    with Sender(running.ports) as sender:
        for index in range(observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
            assert running.recorder.wait_for(index + 1)[-1].ticks == observation.ticks(index)
        sender.end(observation)
        assert not running.finish().lost


def test_a_complete_dump_at_a_time_unknown_to_the_model_is_handed_on_too(
    receive: Receive,
) -> None:
    observation = Observation(per_stream=4, times=4)
    running = receive(observation)
    hour = 3600 << 32
    with Sender(running.ports) as sender:
        for index in range(observation.times):
            for stream in range(2):
                ticks = observation.ticks(index) + hour
                sender.send(stream, observation.low(index, stream, ticks))
            taken = running.recorder.wait_for(index + 1)
            assert taken[-1].ticks == observation.ticks(index) + hour
            assert taken[-1].model_index is None
        sender.end(observation)
        assert not running.finish().lost


def test_two_receivers_of_one_group_both_receive_everything(receive: Receive) -> None:
    observation = Observation(per_stream=4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    group = "239.255.41.7"
    both = [
        receive(
            Observation(per_stream=4, channels=4),
            reception__bind_hostname=group,
            reception__interface_address="127.0.0.1",
            reception__port_start=port,
        )
        for _ in range(2)
    ]
    observation = Observation(per_stream=4, channels=4)
    with Sender([port], host=group) as sender:
        sender.send(0, observation.stream(0))
        for running in both:
            assert not running.finish().lost
            assert_same(running.recorder.taken, observation)


def test_a_receiver_that_joins_late_takes_what_is_left(
    receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    observation = Observation(per_stream=4)
    heaps = [observation.stream(stream) for stream in range(2)]
    # Each of Low's small heaps is one packet here: the start heap and four data heaps went by.
    observation.packet_payload = 1 << 16
    running = receive(observation)
    with Sender(running.ports) as sender:
        for index in range(4, observation.times):
            for stream in range(2):
                sender.send(stream, observation.low(index, stream))
        sender.end(observation)
        outcome = running.finish()
    assert heaps
    assert_same(running.recorder.taken, observation, range(4, observation.times))
    assert outcome.scans[0].expected == 12
    assert not outcome.lost
    # The start heap would have brought the scan id.
    assert caplog.text.count("The scan id is not known") == 1
    assert outcome.scans[0].scan_id == 0


def test_a_tcp_sender_may_start_before_the_receiver(receive: Receive) -> None:
    observation = Observation(per_stream=8)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sending = threading.Thread(
        target=send_all, args=(observation, [port]), kwargs={"tcp": True}, daemon=True
    )
    sending.start()
    running = receive(observation, reception__transport="tcp", reception__port_start=port)
    assert not running.finish().lost
    sending.join()
    assert_same(running.recorder.taken, observation)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_of_several_processes_receives_its_share_only(receive: Receive, index: int) -> None:
    whole = Observation(channels=8, per_stream=2)
    running = receive(whole, reception__process_index=index, reception__process_count=3)
    groups = range(index * 4 // 3, (index + 1) * 4 // 3)
    assert len(running.ports) == len(groups)
    with Sender(running.ports) as sender:
        for time in range(whole.times):
            for port, group in enumerate(groups):
                sender.send(port, whole.mid(time, group))
                sender.send(port, whole.mid(time, (group + 2) % 4))
        for port, group in enumerate(groups):
            sender.send(port, whole.end(group))
        outcome = running.finish()
    first, last = whole.groups[groups[0]][0], sum(whole.groups[groups[-1]])
    assert not outcome.lost
    assert running.refused(Reason.CHANNEL) == whole.times * len(groups)
    for time, taken in enumerate(running.recorder.taken):
        assert taken.channel_id == first
        sent = np.ascontiguousarray(whole.records[time, first:last]["VIS"])
        assert taken.visibilities.tobytes() == sent.tobytes()


def test_a_span_of_the_channels_is_received(receive: Receive) -> None:
    whole = Observation(channels=8, per_stream=2, channel_id_offset=100)
    running = receive(whole, reception__channels="4:4", transmission__channel_id_offset=100)
    with Sender(running.ports) as sender:
        for time in range(whole.times):
            for port, group in enumerate((2, 3)):
                sender.send(port, whole.mid(time, group))
        sender.end(whole)
        assert not running.finish().lost
    for time, taken in enumerate(running.recorder.taken):
        assert taken.channel_id == 4
        sent = np.ascontiguousarray(whole.records[time, 4:]["VIS"])
        assert taken.visibilities.tobytes() == sent.tobytes()


@pytest.mark.parametrize("threads", [0, 1])
def test_many_tiny_dumps_flat_out_over_skewed_streams_lose_nothing(
    receive: Receive, threads: int
) -> None:
    """Eight streams of one channel, each sent by a thread of its own, as the scheduler likes."""
    observation = Observation(times=2000, channels=8, per_stream=1, antennas=2)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__receiver_threads=threads,
        reception__consumer="null",
        reception__buffer_memory=256 << 20,
    )
    heaps = [observation.stream(stream) for stream in range(8)]
    with Sender(running.ports, tcp=True) as sender:
        senders = [
            threading.Thread(target=sender.send, args=(stream, heaps[stream]), daemon=True)
            for stream in range(8)
        ]
        for thread in senders:
            thread.start()
        for thread in senders:
            thread.join()
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert (ledger.dumps, ledger.missing) == (2000, 0), ledger.as_dict()
    assert not ledger.refused.any()


def test_one_stream_after_another_is_bounded_by_the_pool(receive: Receive) -> None:
    """A whole stream before the next begins: more dumps are open than the window names."""
    observation = Observation(times=100, channels=3, per_stream=1)
    running = receive(observation, reception__transport="tcp")
    with Sender(running.ports, tcp=True) as sender:
        for stream in range(3):
            sender.send(stream, observation.stream(stream))
            wait_until(lambda stream=stream: running.view.has_ended(stream))
        outcome = running.finish()
    assert not outcome.lost
    assert_same(running.recorder.taken, observation)
