"""A consumer that discards everything: to test a network or benchmark the receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel


class NullConsumer:
    """Discards all payloads."""

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        del config, tm

    async def consume(self, payload: Payload) -> None:
        """Discard an integration."""
        del payload
