"""Where a telescope model comes from, and what the sets of its observation are made after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from receive.model.telescope import TelescopeModel


class ModelSource(ABC):
    """What a telescope model is made of.  ``str()`` names it in messages; it can be pickled.

    A model knows its source, so that whoever has the one needs nothing to find the other.
    """

    @property
    @abstractmethod
    def folder(self) -> Path | None:
        """The Measurement Set, which no output may replace; None if the model is made of none."""

    @abstractmethod
    def model(self) -> TelescopeModel:
        """Make the model.

        Raises
        ------
        InputError
            If it cannot be made, or nothing can be received with its numbers.
        ConfigError
            If the source does not have what is chosen of it.
        """

    @abstractmethod
    def template(self) -> AbstractContextManager[Path]:
        """Lend a Measurement Set that has the subtables of new sets, with all channels."""
