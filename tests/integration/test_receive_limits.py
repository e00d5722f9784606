"""Where a run ends: told to stop, with integrations enough, with nothing; what it fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from receive.command.errors import NothingReceivedError
from tests.integration.senders import Observation, Sender
from tests.integration.test_receive_senders import BOTH, begin
from tests.integration.test_receive_streams import assert_same
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.running import Running

    Receive = Callable[..., Running]

pytestmark = pytest.mark.timely


def test_the_stop_event_closes_everything(receive: Receive) -> None:
    observation = Observation(per_stream=4)
    running = receive(observation)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(3))
        running.recorder.wait_for(3)
        sender.send(0, observation.low(3, 0))
        wait_until(lambda: running.view.head == 4)
        running.look_twice()
        outcome = running.end()
    assert running.recorder.closed
    assert [scan.dumps for scan in outcome.scans] == [4]
    assert running.recorder.taken[3].present == (True, False)
    assert len(running.recorder.ended) == 1


@pytest.mark.parametrize("wanted", [1, 4])
def test_max_dumps_is_exact(receive: Receive, wanted: int) -> None:
    observation = Observation(times=40)
    running = receive(observation, reception__max_dumps=wanted)
    with Sender(running.ports) as sender:
        sender.send(0, observation.stream(0))
        outcome = running.finish()
    assert_same(running.recorder.taken, observation, range(wanted))
    assert outcome.scans[0].dumps == wanted


def test_max_dumps_is_exact_where_integrations_are_missing(receive: Receive) -> None:
    observation = Observation(times=40)
    running = receive(observation, reception__max_dumps=5)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(4))
        begin(sender, observation, range(10, 20), start=False)
        outcome = running.finish()
    assert outcome.scans[0].dumps == 5
    assert len(running.recorder.taken) == 5


@BOTH
def test_nothing_at_all_is_an_error_of_its_own(receive: Receive, transport: str) -> None:
    running = receive(Observation(), reception__transport=transport, reception__idle_timeout=0.2)
    with pytest.raises(NothingReceivedError, match="nothing arrived in") as caught:
        running.finish()
    assert caught.value.exit_code == 6
    assert running.recorder.closed


def test_integrations_of_which_nothing_came_are_filled_in(receive: Receive) -> None:
    observation = Observation(times=20, per_stream=4)
    running = receive(observation, reception__dump_timeout=0.2)
    with Sender(running.ports) as sender:
        begin(sender, observation, range(5))
        begin(sender, observation, range(9, 20), start=False)
        sender.end(observation)
        outcome = running.finish()
    taken = running.recorder.taken
    assert [t.ticks for t in taken] == [observation.ticks(index) for index in range(20)]
    assert [index for index, t in enumerate(taken) if t.flags.any()] == [5, 6, 7, 8]
    (ledger,) = outcome.scans
    assert (ledger.expected, ledger.missing, ledger.empty_dumps) == (40, 8, 4)
