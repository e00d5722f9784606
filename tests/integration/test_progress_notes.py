"""What the progress says while it is received: rate, what is missing, and that nothing comes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from receive.command import progress
from receive.run import collector
from tests.integration.senders import Observation, Sender
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.integration.running import Running

    Receive = Callable[..., Running]


def test_it_says_how_long_nothing_has_come(
    receive: Receive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "_LINE_INTERVAL_S", 0.0)
    monkeypatch.setattr(collector, "COUNTERS_CHECK_S", 0.01)
    caplog.set_level("INFO", "receive.command.progress")
    observation = Observation(times=10)
    running = receive(observation)

    def is_told(of: str) -> bool:
        return any(re.search(of, line) for line in caplog.messages)

    with Sender(running.ports) as sender:
        sender.send(0, observation.start(0))
        for index in range(2):
            sender.send(0, observation.low(index, 0))
        running.recorder.wait_for(2)
        silence = r"^receiving: 2 integrations, .*/s, 0 heaps missing, nothing came for [2-9] s$"
        wait_until(lambda: is_told(silence), "the silence is told")
        sender.send(0, observation.low(2, 0))
        running.recorder.wait_for(3)
        no_more = r"^receiving: 3 integrations, .*/s, 0 heaps missing$"
        wait_until(lambda: is_told(no_more), "it is silent no more")
        sender.end(observation)
        running.finish()
