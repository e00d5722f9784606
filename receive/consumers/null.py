"""The consumer that does nothing: to try a network, and to measure the receiver alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel


class NullConsumer:
    """Discards what it is given."""

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        del config, tm

    async def consume(self, payload: Payload) -> None:
        """Discard an integration."""
        del payload
