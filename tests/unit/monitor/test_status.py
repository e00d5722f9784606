"""When a receiver counts as hung, and when it may be asked to end."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from receive.command.stop import StopRequest
from receive.monitor import status as room
from receive.monitor.status import State, Status

NO_SNAPSHOT = cast("Any", None)


def test_only_a_collector_that_should_be_at_work_can_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(room.time, "monotonic", lambda: now_s)
    status = Status(StopRequest())
    now_s += 1000
    assert status.view().trouble is None
    assert "starting" in str(status.view().not_ready)
    status.receive()
    assert status.view().trouble is None is status.view().not_ready
    now_s += room.HUNG_S
    assert status.view().trouble is None
    now_s += 0.1
    assert "hung while receiving: no round of the collector for 5.1 s" in str(status.view().trouble)
    assert status.view().not_ready == status.view().trouble
    status.beat(now_s)
    assert status.view().trouble is None
    status.close()
    assert "closing" in str(status.view().not_ready)
    now_s += room.HUNG_S + 1
    assert "hung while closing" in str(status.view().trouble)
    status.end(NO_SNAPSHOT)
    assert status.view().trouble is None
    assert "ended" in str(status.view().not_ready)


@pytest.mark.parametrize("state", State)
def test_the_end_is_not_asked_for_again_once_it_has_begun(state: State) -> None:
    stop = StopRequest()
    status = Status(stop)
    steps = [status.receive, status.close, lambda: status.end(NO_SNAPSHOT)]
    for step in steps[: list(State).index(state)]:
        step()
    assert status.view().state is state
    begun = state in {State.STARTING, State.RECEIVING}
    assert status.ask_to_stop() is begun
    assert stop.is_set() is begun
