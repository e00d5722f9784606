"""Fixtures of the tests that receive: receivers that are stopped when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.monitored import INTEGRATIONS, Monitored
from tests.integration.recorder import Recorder
from tests.integration.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.integration.senders import Observation
    from tests.simulated import SimulatedSets


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


@pytest.fixture
def three_streams(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 12 channels, which are 3 streams of 4."""
    return simulated_set(num_antennas=8, integrations=INTEGRATIONS, channels=12)


@pytest.fixture
def monitored(
    tmp_path: Path, three_streams: Path, started: list[RunningReceiver]
) -> Callable[..., Monitored]:
    """Return a function that starts a receiver with a monitor."""

    def start(values: Mapping[str, Any] | None = None, **how: Any) -> Monitored:
        made = Monitored(tmp_path, three_streams, values or {}, **how)
        started.append(made.receiver)
        return made

    return start
