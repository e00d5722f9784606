"""Receives one observation within any program: no arguments, no signals, no printing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.command.stop import StopRequest
from receive.measurement_set.read.source import model_source
from receive.run.plan import Plan
from receive.run.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from receive.account.outcome import Outcome
    from receive.config import Config
    from receive.monitor.status import Status


def session(
    config: Config,
    stop: StopRequest | None = None,
    status: Status | None = None,
    *,
    ready_files: Sequence[Path] = (),
    on_failure: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Receive one observation.

    Parameters
    ----------
    config
        The configuration.
    stop
        Set it, in any thread, to end the observation; everything is closed properly.
    status
        Gets snapshots for the monitor.
    ready_files
        JSON files with the ports, written when the receiver is ready for packets.
    on_failure
        Called with the outcome so far before an error is raised.

    Returns
    -------
    Outcome
        What was received, and how it ended.

    Raises
    ------
    VisReceiveError
        If it cannot start, or nothing arrived before `reception.idle_timeout`.
    """
    source = model_source(config)
    trial = Trial(config, source, writes="mswriter" in config.reception.consumer)
    # This import takes as long as the trial, which runs meanwhile.
    from receive.run.receiver import Receiver  # noqa: PLC0415

    trial.result()
    plan = Plan.make(config, source.model())
    receiver = Receiver(config, plan, stop or StopRequest(), status)
    try:
        return receiver.run(ready_files)
    except BaseException:
        if on_failure is not None:
            on_failure(receiver.outcome())
        raise
