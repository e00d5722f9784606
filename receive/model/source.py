"""Source of a telescope model, and of the template for the sets of its observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from receive.model.telescope import TelescopeModel


class ModelSource(ABC):
    """Source of a telescope model, which keeps a reference to it.

    ``str()`` gives its name in messages; it can be pickled.
    """

    @property
    @abstractmethod
    def folder(self) -> Path | None:
        """The Measurement Set, which no output may replace; None without one."""

    @abstractmethod
    def model(self) -> TelescopeModel:
        """Make the model.

        Raises
        ------
        InputError
            If it cannot be made, or its values are unusable.
        ConfigError
            If the source lacks what the configuration selects.
        """

    @abstractmethod
    def template(self) -> AbstractContextManager[Path]:
        """Provide a Measurement Set with the subtables for new sets, with all channels."""
