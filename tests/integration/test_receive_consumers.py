"""Consumers that are slow, raise, block or cannot be made: none of them harms the others."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from receive.command.errors import ConfigError, ConsumerError
from receive.consumers import runner
from receive.consumers.runner import ConsumerThread
from receive.stream.dumps.dump import Dump
from receive.stream.table.shared_types import Reason
from tests.integration.senders import Observation, Sender
from tests.integration.test_receive_streams import assert_same
from tests.integration.view import wait_until_over
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

HERE = "tests.integration.recorder"
TEN_BUFFERS = 10 * (4096 * 2 + 8 * 10 * 34 + 64)


def dump_of(pool: Any, ticks: int = 0) -> Dump:
    whole = np.ones(1, np.bool_)
    return Dump(0, ticks, 0, whole, whole, None, None, complete=True, pool=pool)


def pool_of_none() -> Any:
    """Return what a dump needs of its pool: where it returns to."""
    return SimpleNamespace(lock=threading.Lock(), returned=[])


def test_a_slow_consumer_loses_whole_dumps_is_told_so_and_recovers(receive: Receive) -> None:
    observation = Observation(times=60, packet_payload=500)
    running = receive(observation, reception__buffer_memory=TEN_BUFFERS, reception__ring_heaps=4)
    view = running.view
    running.recorder.gate.clear()
    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        for index in range(40):
            sender.send(0, observation.low(index, 0))
        running.drain()
        running.look_twice()
        assert view.free + view.lent <= 10
        running.recorder.gate.set()
        wait_until(lambda: not view.lent and view.window_is_empty)
        running.look_twice()
        for index in range(40, 60):
            before = running.view.handed_on
            sender.send(0, observation.low(index, 0))
            wait_until(lambda before=before: running.view.handed_on > before)
        sender.end(observation)
        outcome = running.finish()
    taken = running.recorder.taken
    assert [t.ticks for t in taken] == [observation.ticks(index) for index in range(60)]
    kept = [index for index, t in enumerate(taken) if not t.flags.any()]
    assert set(range(40, 60)) <= set(kept)
    assert len(kept) < 60
    assert all(t.flags.all() for index, t in enumerate(taken) if index not in kept)
    assert_same([taken[index] for index in kept], observation, kept)
    (ledger,) = outcome.scans
    assert ledger.dumps == 60
    assert ledger.refused_total(Reason.NO_BUFFER) == ledger.missing
    dropped = outcome.dropped[f"{HERE}.Recorder"]
    assert 60 - len(kept) == ledger.missing + dropped
    assert outcome.lost


def test_what_is_dropped_at_the_end_of_a_scan_is_in_the_ledger(receive: Receive) -> None:
    observation = Observation(times=60)
    running = receive(observation, reception__buffer_memory=TEN_BUFFERS, reception__ring_heaps=4)
    running.recorder.gate.clear()
    with Sender(running.ports) as sender:
        sender.send(0, observation.stream(0))
        running.drain()
        wait_until(lambda: running.view.has_ended(0))
        running.recorder.gate.set()
        outcome = running.finish()
    (ledger,) = outcome.scans
    assert (ledger.dumps, ledger.missing) == (60, ledger.refused_total(Reason.NO_BUFFER))
    assert outcome.lost
    assert len(running.recorder.taken) == 60
    assert running.recorder.taken[-1].flags.all()


def test_backpressure_makes_a_tcp_sender_wait_and_loses_nothing(receive: Receive) -> None:
    observation = Observation(times=300, per_stream=4, antennas=6)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__backpressure=True,
        reception__buffer_memory=200_000,
        reception__ring_heaps=4,
    )
    running.recorder.gate.clear()
    with Sender(running.ports, tcp=True) as sender:
        heaps = [observation.stream(stream) for stream in range(2)]
        threads = [
            threading.Thread(target=sender.send, args=(stream, heaps[stream]), daemon=True)
            for stream in range(2)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: not running.view.free)
        running.look_twice()
        running.recorder.gate.set()
        outcome = running.finish()
        for thread in threads:
            thread.join()
    assert_same(running.recorder.taken, observation)
    assert not outcome.lost


def test_backpressure_can_be_stopped(receive: Receive) -> None:
    observation = Observation(times=60)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__backpressure=True,
        reception__buffer_memory=TEN_BUFFERS,
        reception__ring_heaps=4,
    )
    running.recorder.gate.clear()
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.stream(0))
        wait_until(lambda: not running.view.free)
        running.look_twice()
        running.stop.set()
        running.recorder.gate.set()
        running.finish()


def test_too_few_threads_for_backpressure_are_refused(receive: Receive) -> None:
    with pytest.raises(ConfigError, match=r"reception\.receiver_threads = 1"):
        receive(
            Observation(per_stream=4),
            reception__transport="tcp",
            reception__backpressure=True,
            reception__receiver_threads=1,
        )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Raising", "ValueError: the third was too much"),
        ("Exiting", "SystemExit: 3"),
        ("Cancelling", "CancelledError"),
    ],
)
def test_one_that_raises_is_named_and_the_others_get_everything(
    receive: Receive, name: str, says: str
) -> None:
    observation = Observation(times=30)
    running = receive(
        observation,
        reception__consumer=f"{HERE}.{name},{HERE}.Recorder,{HERE}.SecondRecorder,null",
    )
    with Sender(running.ports) as sender:
        # The first integration is believed with the second.
        sender.send(0, observation.low(0, 0))
        for index in range(1, 30):
            sender.send(0, observation.low(index, 0))
            running.recorders[0].wait_for(index + 1)
        sender.end(observation)
        outcome = running.finish()
    (error,) = outcome.errors
    assert isinstance(error, ConsumerError)
    assert error.exit_code == 8
    assert f"consumer {HERE}.{name} failed" in str(error)
    assert says in str(error)
    for recorder in running.recorders:
        assert_same(recorder.taken, observation)
        assert recorder.closed
        assert len(recorder.ended) == 1
    assert outcome.lost
    assert outcome.unconsumed[f"{HERE}.{name}"] > 0
    assert not any(scan.missing for scan in outcome.scans)


def test_one_that_blocks_for_ever_is_left_behind_and_the_others_get_everything(
    receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = ConsumerThread.join

    def join_soon(thread: ConsumerThread, timeout_s: float) -> bool:
        return joined(thread, timeout_s, stalled_s=0.3)

    monkeypatch.setattr(ConsumerThread, "join", join_soon)
    observation = Observation(times=400)
    running = receive(
        observation,
        reception__buffer_memory=2 * TEN_BUFFERS,
        reception__ring_heaps=4,
        reception__consumer=f"{HERE}.Recorder,{HERE}.SecondRecorder",
    )
    blocked, free = running.recorders
    blocked.gate.clear()
    with Sender(running.ports) as sender:
        sender.send(0, observation.low(0, 0))
        for index in range(1, 400):
            sender.send(0, observation.low(index, 0))
            free.wait_for(index + 1)
        sender.end(observation)
        outcome = running.finish()
    assert_same(free.taken, observation)
    assert [f"consumer {HERE}.Recorder has not returned" in str(e) for e in outcome.errors] == [
        True
    ]
    assert outcome.dropped[f"{HERE}.Recorder"] > 0
    assert outcome.lost
    blocked.gate.set()


def test_a_blocked_consumer_does_not_use_up_the_table_of_entries(
    receive: Receive,
) -> None:
    """More integrations go by than the table has entries, while one is held."""
    observation = Observation(times=9000, channels=1, per_stream=1, antennas=2)
    running = receive(
        observation,
        reception__transport="tcp",
        reception__ring_heaps=1000,
        reception__consumer=f"{HERE}.Recorder,null",
    )
    running.recorder.gate.clear()
    with Sender(running.ports, tcp=True) as sender:
        sender.send(0, observation.start(0))
        for first in range(0, 9000, 100):
            for index in range(first, first + 100):
                sender.send(0, observation.low(index, 0))
            wait_until(lambda first=first: running.view.handed_on == first + 100)
        running.recorder.gate.set()
        sender.end(observation)
        outcome = running.finish()
    assert outcome.scans[0].missing == 0


def test_a_consumer_of_heaps_gets_each_heap_that_came(receive: Receive) -> None:
    observation = Observation(times=5, per_stream=3)
    running = receive(
        observation, reception__consumer=f"{HERE}.HeapRecorder", reception__dump_timeout=0.2
    )
    with Sender(running.ports) as sender:
        for index in range(5):
            for stream in range(3):
                if (index, stream) != (2, 1):
                    sender.send(stream, observation.low(index, stream))
        sender.end(observation)
        running.finish()
    expected = [(i, g) for i in range(5) for g in range(3) if (i, g) != (2, 1)]
    assert len(running.recorder.taken) == len(expected)
    for taken, (index, group) in zip(running.recorder.taken, expected, strict=True):
        first, count = observation.groups[group]
        assert (taken.ticks, taken.channel_id) == (observation.ticks(index), first)
        sent = np.ascontiguousarray(observation.records[index, first : first + count]["VIS"])
        assert taken.visibilities.tobytes() == sent.tobytes()


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("mswritter", ConfigError, "no such consumer; there are mswriter, null"),
        ("no.such.module.Class", ConfigError, "module no.such.module cannot be imported"),
        (f"{HERE}.Missing", ConfigError, "has no class Missing"),
        (f"{HERE}.NoMethod", ConfigError, r"has no method consume\(payload\)"),
        (f"{HERE}.NotAsync", ConfigError, "its consume is not async"),
        (f"{HERE}.CannotBeMade", ConsumerError, "RuntimeError: no such device"),
        ("null,null", ConfigError, "one is named twice"),
    ],
)
def test_consumers_that_cannot_be_had_are_named_before_the_receiver_is_ready(
    receive: Receive, name: str, kind: type[Exception], says: str
) -> None:
    running = receive(Observation(), reception__consumer=name)
    assert not running.ports
    with pytest.raises(kind, match=says):
        running.finish()


def test_those_made_before_one_that_cannot_be_made_are_closed(receive: Receive) -> None:
    names = ("Recorder", "SecondRecorder", "CannotBeMade", "HeapRecorder")
    running = receive(
        Observation(), reception__consumer=",".join(f"{HERE}.{name}" for name in names)
    )
    with pytest.raises(ConsumerError, match=r"CannotBeMade could not be constructed"):
        running.finish()
    assert [type(made).__name__ for made in running.recorders] == ["Recorder", "SecondRecorder"]
    assert all(made.closed for made in running.recorders)


def test_joining_a_blocked_consumer_is_bounded() -> None:
    gate = threading.Event()

    class Blocking:
        async def consume(self, payload: Any) -> None:
            gate.wait()

    pool = pool_of_none()
    thread = ConsumerThread("blocking", Blocking(), 2)
    payload: Any = object()
    for number in range(3):
        with dump_of(pool, number) as dump:
            assert thread.offer(payload, dump) == (number < 2)
    assert [dump.ticks for dump in pool.returned] == [2]
    assert (thread.dropped, thread.room) == (1, 0)
    thread.request_close()
    begun_s = time.monotonic()
    while not thread.join(0.01, stalled_s=0.1):
        assert time.monotonic() - begun_s < 10
    assert "has not returned" in str(thread.error)
    assert len(pool.returned) == 1
    gate.set()
    wait_until_over(thread)
    assert [dump.ticks for dump in pool.returned] == [2, 0, 1]


def test_the_lack_of_room_is_told_at_once_and_then_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "MAX_EMPTY", 3)
    gate = threading.Event()

    class Blocking:
        async def consume(self, payload: Any) -> None:
            gate.wait()

    thread = ConsumerThread("blocking", Blocking(), 1)
    payload: Any = object()
    dump = dump_of(pool_of_none())
    assert thread.offer(payload, dump)
    thread.look(100.0)
    assert not caplog.messages
    told = []
    for now_s in range(100, 200):
        assert not thread.offer(payload, dump)
        thread.offer_empty(payload)
        thread.look(float(now_s))
        if len(caplog.messages) > len(told):
            told.append(now_s)
    assert told == [100, 110, 130, 170]
    first, second, *_ = caplog.messages
    assert "Consumer blocking had no room for 1 integrations so far, which it gets wi" in first
    assert "left out" not in first
    assert "11 integrations so far, which it gets without data (8 without data were left" in second
    gate.set()
    thread.request_close()
    wait_until_over(thread)
