"""Scans of one or two integrations over UDP: a scan is handed on only when it is believed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.senders import FIRST_UNIX_S, Observation, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]


def scans_of(times: int, count: int, per_stream: int = 8) -> list[Observation]:
    """Return scans a minute apart, whose heap counts do not go on from scan to scan."""
    return [
        Observation(
            times=times,
            per_stream=per_stream,
            seed=number,
            scan_id=1 + number,
            first_heap_count=1 + 100 * number,
            first_unix_s=FIRST_UNIX_S + 60 * number,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("pause_s", [0.05, 0.4])
def test_scans_in_quick_succession_are_all_received(receive: Receive, pause_s: float) -> None:
    """Each scan is over before the one before it is known to be."""
    scans = scans_of(times=2, count=25)
    running = receive(scans[0], reception__max_scans=len(scans))
    pause = threading.Event()
    with Sender(running.ports) as sender:
        for scan in scans:
            sender.send(0, scan.stream(0))
            pause.wait(pause_s)
        outcome = running.finish()
    assert [(ledger.scan_id, ledger.dumps) for ledger in outcome.scans] == [
        (scan.scan_id, 2) for scan in scans
    ]
    assert not outcome.lost


@pytest.mark.parametrize("lost", [(), (2,)], ids=["all ends", "an end lost"])
def test_scans_of_one_integration_are_received(receive: Receive, lost: tuple[int, ...]) -> None:
    scans = scans_of(times=1, count=3, per_stream=2)
    running = receive(scans[0], reception__max_scans=0)
    with Sender(running.ports) as sender:
        for number, scan in enumerate(scans):
            for stream in range(4):
                packets = scan.start(stream) + scan.low(0, stream)
                ends = [] if number == 2 and stream in lost else scan.end(stream)
                sender.send(stream, packets + ends)
            running.recorder.wait_for(number + (number < 2 or not lost))
        running.drain()
        running.look_twice()
        outcome = running.end()
    assert [(one.scan_id, one.dumps, one.missing) for one in outcome.scans] == [
        (scan.scan_id, 1, 0) for scan in scans
    ]
