"""A receiver beside the sender, found by its run folder: what to send to it, and where."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Any

from receive.command.errors import ConfigError, NetworkError
from receive.command.stop import StopRequest as WaitRequest
from receive.config import Config
from receive.pod.run_folder import STEP_S, RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.send.sender import Sender, StopRequest, Summary
    from emulator.send.transmitter import Transmitter
    from receive.command.progress import Progress

OPTION = "--receiver"
_ITS_OWN = (
    "transmission.endpoints",
    "transmission.target_host",
    "transmission.target_port_start",
    "reader.start_chan",
    "reader.num_chan",
)

logger = logging.getLogger(__name__)


def send_to_receiver_beside(config: Config, folder: Path) -> Config:
    """Return the configuration that sends a receiver its own channels, once it is ready.

    Parameters
    ----------
    config
        Of the sender.
    folder
        The receiver's run folder.

    Raises
    ------
    ConfigError
        If the configuration says otherwise where to send, or what.
    NetworkError
        If the receiver does not begin within `results.start_timeout`, or ends before it is ready.
    """
    defaults = Config()
    for key in _ITS_OWN:
        if config[key] != defaults[key]:
            raise ConfigError(
                f"{config.place_of(key)}: {key} with {OPTION}, which sends the receiver's own "
                f"channels to its own ports: give one of the two"
            )
    ready = _wait_until_ready(RunFolder(folder), config.results.start_timeout)
    host = _reached_at(ready["host"])
    return config.with_values(
        {
            "transmission.endpoints": ",".join(f"{host}:{port}" for port in ready["ports"]),
            "transmission.transport": ready["transport"],
            "transmission.channels_per_stream": ready["channels_per_stream"],
            "reader.start_chan": ready["first_channel"],
            "reader.num_chan": ready["channel_count"],
        },
        OPTION,
    )


async def send_to_one_beside(
    folder: Path,
    sender: Sender,
    transmitter: Transmitter,
    stop: StopRequest,
    progress: Progress,
) -> Summary:
    """Send everything, or until the receiver has ended: what it does not want is no error.

    Parameters
    ----------
    folder
        The receiver's run folder.
    sender, transmitter, stop, progress
        As in `Sender.run`.
    """
    receiver = RunFolder(folder)
    watching = asyncio.ensure_future(_stop_with(receiver, stop))
    try:
        return await sender.run(transmitter, stop, progress)
    except NetworkError as error:
        # How it ended is for its own exit code to say.
        if receiver.is_held():
            raise
        logger.warning("The receiver of %s has ended: %s", folder, error)
        return sender.summary
    finally:
        watching.cancel()


async def _stop_with(receiver: RunFolder, stop: StopRequest) -> None:
    while receiver.is_held():
        await asyncio.sleep(STEP_S)
    logger.warning("The receiver of %s has ended: stopping after this dump", receiver.path)
    stop.ask()


def _wait_until_ready(folder: RunFolder, timeout_s: float) -> dict[str, Any]:
    never = WaitRequest()
    logger.info("Waiting for the receiver of %s", folder.path)
    if not folder.wait_for_start(timeout_s, never):
        raise NetworkError(
            f"{OPTION} {folder.path}: no receiver began there in results.start_timeout = "
            f"{timeout_s:g} s"
        )
    while True:
        # In this order: a receiver that became ready and ended in between was there.
        lives = folder.is_held()
        ready = folder.ready()
        if ready is not None:
            return ready
        if not lives:
            raise NetworkError(
                f"{OPTION} {folder.path}: the receiver ended before it was ready; its log says why"
            )
        time.sleep(STEP_S)


def _reached_at(host: str) -> str:
    """Return an address that reaches what is bound to `host`, on this machine."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        # All interfaces of both families, too.
        return "127.0.0.1"
    return host if address.version == 4 else f"[{host}]"  # noqa: PLR2004 (IP version)
