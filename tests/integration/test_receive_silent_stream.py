"""A stream of which a whole scan did not come, its link being down, and the scans after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.senders import FIRST_UNIX_S, Observation, Sender
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely

TIMES = 4


class Turns:
    """Sends on one stream after the other, so that which heap came first is certain."""

    def __init__(self, running: Running, sender: Sender) -> None:
        self._begun = running.view.begun
        self._sender = sender

    def send(self, stream: int, *heaps: list[bytes]) -> None:
        """Send heaps and wait until each has begun."""
        expected = int(self._begun[stream]) + len(heaps)
        for heap in heaps:
            self._sender.send(stream, heap)
        wait_until(lambda: int(self._begun[stream]) >= expected, f"stream {stream} came")


class Scan(Observation):
    """A short one on two streams."""

    def data(self, stream: int) -> list[list[bytes]]:
        return [self.low(index, stream) for index in range(self.times)]


def scan(number: int, first_unix_s: int) -> Scan:
    """Return a scan, the first being number 0; stream 1 is the one that may miss it."""
    return Scan(
        times=TIMES,
        per_stream=4,
        seed=number,
        scan_id=11 + number,
        first_unix_s=first_unix_s,
        first_heap_count=1 + 100 * number,
    )


@pytest.mark.parametrize("later_s", [0, 100], ids=["the same times", "later times"])
@pytest.mark.parametrize(
    ("order", "ends"),
    [
        ("start 0, start 1", True),
        ("start 0, start 1", False),
        ("start 1, start 0", True),
        ("start 1, start 0", False),
        # Where the end was lost, too, nothing says here that the scan before is over.
        ("start 1, data 1", True),
    ],
)
def test_the_scan_after_one_that_a_stream_missed_is_whole(
    receive: Receive, order: str, later_s: int, *, ends: bool
) -> None:
    """Although the stream is the first to bring data of it, and has begun fewer scans than all."""
    first, second, third = (scan(number, FIRST_UNIX_S + number * later_s) for number in range(3))
    running = receive(first, reception__max_scans=3, reception__dump_timeout=1.0)
    with Sender(running.ports) as sender:
        turns = Turns(running, sender)
        for stream in range(2):
            turns.send(stream, first.start(stream), *first.data(stream), first.end(stream))
        running.recorder.wait_for(TIMES)

        turns.send(0, second.start(0), *second.data(0))
        if ends:
            turns.send(0, second.end(0))
        running.recorder.wait_for(2 * TIMES)

        starts = [third.start(stream) for stream in range(2)]
        data = [third.data(stream) for stream in range(2)]
        if order == "start 0, start 1":
            turns.send(0, starts[0])
            turns.send(1, starts[1], *data[1])
            turns.send(0, *data[0])
        elif order == "start 1, start 0":
            turns.send(1, starts[1])
            turns.send(0, starts[0])
            turns.send(1, *data[1])
            turns.send(0, *data[0])
        else:
            turns.send(1, starts[1], *data[1])
            turns.send(0, starts[0], *data[0])
        sender.end(third)
        outcome = running.finish()
    scans = [(ledger.scan_id, ledger.missing) for ledger in outcome.scans]
    assert scans == [(11, 0), (12, TIMES), (13, 0)]
    assert_same(running.recorder.taken[2 * TIMES :], third)


@pytest.mark.parametrize("later_s", [0, 100], ids=["the same times", "later times"])
def test_a_stream_that_is_scans_behind_has_missed_nothing(receive: Receive, later_s: int) -> None:
    """What waits for it is of the scans that it has yet to bring."""
    scans = [scan(number, FIRST_UNIX_S + number * later_s) for number in range(3)]
    running = receive(scans[0], reception__max_scans=3, reception__dump_timeout=30.0)
    with Sender(running.ports) as sender:
        turns = Turns(running, sender)
        for stream in range(2):
            for one in scans:
                turns.send(stream, one.start(stream), *one.data(stream), one.end(stream))
        outcome = running.finish()
    assert [(ledger.scan_id, ledger.missing) for ledger in outcome.scans] == [
        (11, 0),
        (12, 0),
        (13, 0),
    ]
    for number, one in enumerate(scans):
        assert_same(running.recorder.taken[number * TIMES : (number + 1) * TIMES], one)
