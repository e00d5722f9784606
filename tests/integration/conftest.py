"""Fixtures of the tests that receive: receivers that are stopped when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.recorder import Recorder
from tests.integration.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.integration.senders import Observation


@pytest.fixture
def receive(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a receiver for an observation; all are stopped at the end."""
    started: list[Running] = []

    def start(observation: Observation, **options: Any) -> Running:
        dotted = {name.replace("__", "."): value for name, value in options.items()}
        running = Running(observation, tmp_path, dotted)
        started.append(running)
        return running

    yield start
    for running in started:
        running.abandon()
    Recorder.made.clear()


@pytest.fixture
def started() -> Iterator[list[RunningReceiver]]:
    """Receivers that a test must not leave behind, whatever happens to it."""
    receivers: list[RunningReceiver] = []
    yield receivers
    for receiver in receivers:
        if receiver.process.poll() is None:
            receiver.process.terminate()
            receiver.wait()
