"""Which data description and field of a set are read: asked for, or the first that will do.

A set may hold many: windows of a radiometer, of averaged channels, of other polarisations, several
fields.  Heaps and new sets hold one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from receive.command.errors import ConfigError, InputError
from receive.measurement_set.read.subtables import Description, Subtable, read_description

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from receive.config import Config

logger = logging.getLogger(__name__)

Pair = tuple[int, int]
"""Rows of DATA_DESCRIPTION and FIELD."""

_SHOWN = 3


@dataclass(frozen=True)
class Choice:
    """What is asked for.

    Attributes
    ----------
    spectral_window, field : str or None
        Number or name; None: the first that will do.
    category : str
        Of the keys that say so, for messages.
    """

    spectral_window: str | None = None
    field: str | None = None
    category: str = "reader"

    @classmethod
    def of(cls, config: Config, category: str) -> Self:
        """Return what the keys ``CATEGORY.spectral_window`` and ``CATEGORY.field`` ask for."""
        keys = config.reception if category == "reception" else config.reader
        return cls(keys.spectral_window, keys.field, category)


def choose(
    path: Path,
    main: Any,
    pairs: list[Pair],
    choice: Choice,
    check: Callable[[Description], None],
) -> Description:
    """Return the first data description and field that will do; warn of the others.

    Parameters
    ----------
    path : Path
        The set, for messages.
    main : casacore.tables.table
        Its main table.
    pairs : list of (int, int)
        Those that have rows, ascending.
    choice : Choice
        What is asked for.
    check : callable
        Raises `InputError` for one that will not do.

    Raises
    ------
    ConfigError
        If what is asked for has no rows.
    InputError
        If none will do: why the first of them does not.
    """
    names = _Names(path, main)
    wanted = pairs
    for kind, number_of in (("spectral_window", names.window_of), ("field", names.field_of)):
        asked = getattr(choice, kind)
        if asked is not None:
            wanted = _asked_for(path, wanted, f"{choice.category}.{kind}", asked, number_of, names)
    refused: list[tuple[Pair, InputError]] = []
    for pair in wanted:
        try:
            description = read_description(path, main, *pair)
            check(description)
        except InputError as error:
            refused.append((pair, error))
            continue
        _warn_of_others(path, pair, pairs, refused, names)
        return description
    raise refused[0][1]


def _asked_for(
    path: Path,
    pairs: list[Pair],
    key: str,
    asked: str,
    number_of: Callable[[Pair], tuple[int, str]],
    names: _Names,
) -> list[Pair]:
    numbered = [(pair, *number_of(pair)) for pair in pairs]
    found = [pair for pair, number, _ in numbered if asked == str(number)]
    found = found or [pair for pair, _, name in numbered if asked == name]
    if not found:
        has = ", ".join(dict.fromkeys(f"{number} ({name!r})" for _, number, name in numbered))
        raise ConfigError(f"{key} = {asked}: {path} has no rows of it; it has rows of {has}")
    return found


def _warn_of_others(
    path: Path,
    chosen: Pair,
    pairs: list[Pair],
    refused: list[tuple[Pair, InputError]],
    names: _Names,
) -> None:
    others = [pair for pair in pairs if pair != chosen]
    if not others:
        return
    why = "".join(f"; {names.shown(pair)} will not do: {error}" for pair, error in refused[:1])
    more = f", {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    logger.warning(
        "%s: only %s is taken; left out: %s%s%s",
        path,
        names.shown(chosen),
        ", ".join(map(names.shown, others[:_SHOWN])),
        more,
        why,
    )


class _Names:
    """Numbers and names of windows and fields; what a damaged set does not say is empty."""

    def __init__(self, path: Path, main: Any) -> None:
        self._path = path
        self._main = main

    def window_of(self, pair: Pair) -> tuple[int, str]:
        """Return number and name of a pair's spectral window."""
        number = self._number(pair[0])
        return number, self._name("SPECTRAL_WINDOW", number)

    def field_of(self, pair: Pair) -> tuple[int, str]:
        """Return number and name of a pair's field."""
        return pair[1], self._name("FIELD", pair[1])

    def shown(self, pair: Pair) -> str:
        """Describe a pair."""
        window, window_name = self.window_of(pair)
        field, field_name = self.field_of(pair)
        text = f"data description {pair[0]} of field {field}"
        return f"{text} (spectral window {window} {window_name!r}, field {field_name!r})"

    def _number(self, data_desc_id: int) -> int:
        try:
            table = Subtable(self._path, self._main, "DATA_DESCRIPTION")
            return int(table.cell("SPECTRAL_WINDOW_ID", data_desc_id))
        except InputError:
            return -1

    def _name(self, subtable: str, row: int) -> str:
        try:
            return Subtable(self._path, self._main, subtable).text("NAME", row)
        except InputError:
            return ""
