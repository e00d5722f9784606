"""Receive one observation, embedded in any program: no arguments, no signals, no printing."""

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
        Set it, in any thread, to end the observation: everything is closed properly.
    status
        Told how it stands, for those who ask.
    ready_files
        Written, with the ports as JSON, when packets can come.
    on_failure
        Told what was received when an error ends it, before that is raised.

    Returns
    -------
    Outcome
        What was received, and how it ended.

    Raises
    ------
    VisReceiveError
        If it cannot begin, or nothing came before `reception.idle_timeout`.
    """
    source = model_source(config)
    trial = Trial(config, source, writes="mswriter" in config.reception.consumer)
    # While the trial runs, which takes as long.
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
