"""A Measurement Set as the source of a telescope model, and the source that a configuration names.

Importing this does not import casacore: a trial of the source begins before that.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from receive.model.soundness import check_sound
from receive.model.source import ModelSource

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from receive.config import Config
    from receive.model import TelescopeModel


@dataclass(frozen=True)
class SetSource(ModelSource):
    """A Measurement Set.

    Attributes
    ----------
    path : Path
        The set's folder.
    spectral_window, field : str or None
        What is taken of it: see `receive.measurement_set.read.choice.Choice`.
    """

    path: Path
    spectral_window: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The set."""
        return self.path

    def model(self) -> TelescopeModel:
        """Read the model.  The set stays open, for the UVW that it holds."""
        from receive.measurement_set.read.choice import Choice  # noqa: PLC0415 (see above)
        from receive.measurement_set.read.reader import open_set  # noqa: PLC0415

        choice = Choice(self.spectral_window, self.field, "reception")
        model = open_set(self.path, visibilities=False, choice=choice).model()
        check_sound(model, str(self))
        return replace(model, source=self)

    def template(self) -> AbstractContextManager[Path]:
        """Lend the set itself."""
        return nullcontext(self.path)


def model_source(config: Config) -> ModelSource:
    """Return the source of a receiver's model, ``reception.datamodel``.

    Raises
    ------
    ConfigError
        If none was given.
    """
    reception = config.reception
    return SetSource(config.datamodel(), reception.spectral_window, reception.field)
