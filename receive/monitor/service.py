"""Puts the monitor together, if one is asked for."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from receive.monitor.token import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.command.stop import StopRequest
    from receive.config import Config
    from receive.monitor.status import Status

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def monitor(config: Config, stop: StopRequest) -> Iterator[Status | None]:
    """Answer requests as long as the context lasts, about what its `Status` is told.

    Parameters
    ----------
    config
        Its `monitor.*`.
    stop
        Set when somebody asks for the end.

    Yields
    ------
    Status or None
        For the receiver; None where no monitor is asked for.

    Raises
    ------
    ConfigError, NetworkError
        If the token cannot be read, or the port not be bound.
    """
    port = config.monitor.port
    if not port:
        yield None
        return
    # Only those who ask for it wait for the library.
    from receive.monitor.answers import Answers  # noqa: PLC0415
    from receive.monitor.hosts import Hosts  # noqa: PLC0415
    from receive.monitor.listener import Listener, bind  # noqa: PLC0415
    from receive.monitor.status import Status  # noqa: PLC0415

    status = Status(stop)
    answers = Answers(status, read_token(config))
    bound = config.monitor.bind_hostname
    hosts = Hosts(bound, config.monitor.hosts)
    with Listener(bind(bound, port), answers, hosts) as listener:
        logger.info("Monitor: %s", listener.url)
        yield status
