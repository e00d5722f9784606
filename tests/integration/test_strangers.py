"""Somebody else sends to the same ports: nothing of the observation is lost, split or ended."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from receive.ending import EndedBy
from receive.stream.state import Reason
from tests.integration.senders import Observation, Sender
from tests.integration.stranger import Stranger
from tests.integration.test_receive_streams import assert_same

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

STREAMS = 4
RECEIVED = 100
PACE_S = 0.01


def observation_of(seed: int = 1, **more: Any) -> Observation:
    """Return a model of more integrations than are sent, on four streams."""
    return Observation(times=2 * RECEIVED, channels=8, per_stream=2, antennas=3, seed=seed, **more)


def send(running: Running, observation: Observation, stranger: Stranger) -> None:
    """Send integrations to the receiver, and have the stranger begin with the second, at latest."""
    pause = threading.Event()
    with Sender(running.ports) as sender, contextlib.ExitStack() as stack:
        for stream in range(STREAMS):
            sender.send(stream, observation.start(stream))
        for index in range(RECEIVED):
            stranger.now = index
            for stream in range(STREAMS):
                sender.send(stream, observation.low(index, stream))
            if index == 0 and not stranger.began:
                running.recorder.wait_for(1)
                stack.enter_context(stranger)
            pause.wait(PACE_S)
        sender.end(observation)
        running.recorder.wait_for(RECEIVED)


@pytest.mark.parametrize("seed", range(14))
def test_every_integration_arrives_whoever_else_sends(receive: Receive, seed: int) -> None:
    """Stops, starts, old and future heaps and noise, a thousand packets a second."""
    observation = observation_of(seed)
    running = receive(observation)
    send(running, observation, Stranger(running.ports, observation, seed))
    outcome = running.finish()
    assert_same(running.recorder.taken, observation, range(RECEIVED))
    (ledger,) = outcome.scans
    assert (ledger.scan_id, ledger.missing) == (observation.scan_id, 0)
    assert ledger.end is not None
    assert ledger.end.by is EndedBy.STREAMS_ENDED
    assert ledger.expected == int(ledger.received.sum())
    assert running.refused(Reason.BAD_TIME) + running.refused(Reason.LATE) > 0
