"""Divides streams, ports and memory among several receivers on one machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError
from receive.config.checks import check_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.config import Config

_SHARE_KEYS = ("reception.process_index", "reception.process_count")


def shares(config: Config, processes: int) -> list[dict[str, int]]:
    """Return the configuration keys that differ between the receivers, one dict for each.

    If `reception.buffer_memory` is set, it applies to each receiver; its default, a part of the
    machine's memory, is divided among them.  Each receiver has its own monitor, on consecutive
    ports from `monitor.port`.

    Parameters
    ----------
    config
        The common configuration.
    processes
        Number of receivers.

    Raises
    ------
    ConfigError
        If the configuration already divides the streams.
    """
    for key in _SHARE_KEYS:
        if config.is_set(key):
            raise ConfigError(
                f"{config.place_of(key)}: {key} with --processes {processes}, which numbers the "
                f"receivers itself: give one of the two"
            )
    own = {}
    if not config.is_set("reception.buffer_memory"):
        own["reception.buffer_memory"] = max(1, config.buffer_memory_bytes() // processes)
    port = config.monitor.port
    if port:
        check_ports(config, "monitor.port", processes)
    return [
        {"reception.process_index": index, "reception.process_count": processes}
        | ({"monitor.port": port + index} if port else {})
        | own
        for index in range(processes)
    ]


def same_command(argv: Sequence[str] | None) -> list[str]:
    """Return the argument list that starts this command again.

    Parameters
    ----------
    argv
        Arguments passed by a calling program; None for those of the process.
    """
    if argv is not None:
        return [sys.executable, "-m", "receive.run.app", *argv]
    # Includes the interpreter's options and the script or module.
    return [sys.executable, *sys.orig_argv[1:]]
