"""Into which sets a scan is parted: how many integrations each holds, and the disk they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError
from receive.command.progress import format_bytes
from receive.consumers.ms.names import output_path, rotates
from receive.measurement_set.write.space import dumps_within, free_bytes, required_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from receive.config import Config
    from receive.model import TelescopeModel


@dataclass(frozen=True)
class Rotation:
    """How a scan is parted.

    Known before anything is received: each set but the last holds the same number of integrations.

    Attributes
    ----------
    dumps
        Integrations of a scan, as far as they are known.  More may come.
    dumps_per_set
        Integrations of a set; None if one set takes all that come.
    """

    config: Config
    model: TelescopeModel
    dumps: int
    dumps_per_set: int | None

    @classmethod
    def make(cls, config: Config, model: TelescopeModel) -> Rotation:
        """Part a scan as configured.

        Raises
        ------
        ConfigError
            If not even one integration fits into `consumer.max_bytes_per_ms`.
        """
        known = len(model.times_mjd_s)
        limit = config.reception.max_dumps
        return cls(config, model, min(limit, known) if limit else known, _per_set(config, model))

    @property
    def parts(self) -> int:
        """Sets of a scan, as far as its integrations are known; at least 1."""
        return max(1, -(-self.dumps // self.dumps_per_set)) if self.dumps_per_set else 1

    def expected_dumps(self, part: int) -> int:
        """Return how many integrations will come for a set.

        Parameters
        ----------
        part
            1 for the first.
        """
        if self.dumps_per_set is None:
            return self.dumps
        left = self.dumps - (part - 1) * self.dumps_per_set
        # The model holds no more: whatever comes is unexpected, and fills sets as before.
        return self.dumps_per_set if left <= 0 else min(self.dumps_per_set, left)

    def is_full(self, dumps: int) -> bool:
        """Whether a set of so many integrations takes no more."""
        return self.dumps_per_set is not None and dumps >= self.dumps_per_set

    def required_bytes(self) -> int:
        """Return what all sets of a scan take on disk."""
        return (self.parts - 1) * self.set_bytes(1) + self.set_bytes(self.parts)

    def set_bytes(self, part: int) -> int:
        """Return what one set of a scan takes on disk."""
        return required_bytes(self.model, self.expected_dumps(part))

    def earlier_sets(self) -> list[Path]:
        """Return what has the name of a part of the first scan already."""
        if not rotates(self.config):
            return []
        first = output_path(self.config, 1)
        stem = first.stem.removesuffix("1")
        found = [path for path in first.parent.iterdir() if _is_part(path, stem, first.suffix)]
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def line(self) -> str:
        """Describe it for people, with what is free."""
        where = output_path(self.config, 1)
        needed = f"{format_bytes(self.required_bytes())} needed"
        free = f"{format_bytes(free_bytes(where))} free"
        if self.dumps_per_set is None:
            return f"{needed} for {self.dumps} integrations in {where}, {free}"
        return (
            f"{needed} for {self.dumps} integrations in {self.parts} sets of "
            f"{self.dumps_per_set}: {where} to {output_path(self.config, 1, self.parts)}, {free}"
        )


def _is_part(path: Path, stem: str, suffix: str) -> bool:
    return (
        path.suffix == suffix and path.stem.startswith(stem) and path.stem[len(stem) :].isdecimal()
    )


def _per_set(config: Config, model: TelescopeModel) -> int | None:
    by_dumps = config.consumer.max_dumps_per_ms
    most_bytes = config.consumer.max_bytes_per_ms
    if not most_bytes:
        return by_dumps or None
    by_bytes = dumps_within(model, most_bytes)
    if not by_bytes:
        least = required_bytes(model, 1)
        raise ConfigError(
            f"consumer.max_bytes_per_ms = {most_bytes} holds not even one integration, which takes "
            f"{least} bytes with its subtables: give at least that"
        )
    return min(by_dumps, by_bytes) if by_dumps else by_bytes
