"""Every configuration key there is: type, default, unit, documentation, old names.

The readers of files and options, the typed views, the reference page and the JSON schema all go by
the same declarations; a key is added to its category and nowhere else.
"""

from types import MappingProxyType
from typing import Any

from receive.config.keys.category import keys_of
from receive.config.keys.deployment import Model, Monitor, Proxy, Rclone, Results, Transmit
from receive.config.keys.key import Key, Kind, Value, shown
from receive.config.keys.planned import SharedStore, Vys
from receive.config.keys.reception import Consumer, Reception
from receive.config.keys.transmission import Payload, Reader, Transmission

__all__ = [
    "CATEGORIES",
    "KEYS",
    "VIEWS",
    "Key",
    "Kind",
    "Value",
    "Views",
    "find_key",
    "nearest_name",
    "shown",
]


class Views:
    """The values of every category, in the order of the reference page."""

    __slots__ = ()

    reception: Reception
    consumer: Consumer
    transmission: Transmission
    reader: Reader
    payload: Payload
    model: Model
    transmit: Transmit
    results: Results
    rclone: Rclone
    proxy: Proxy
    monitor: Monitor


VIEWS: MappingProxyType[str, type[Any]] = MappingProxyType(Views.__annotations__)
"""What each category that is acted upon is as `Views` has it."""

_PLANNED: dict[str, type[Any]] = {"reception": SharedStore, "vys": Vys}

KEYS: MappingProxyType[str, Key] = MappingProxyType(
    {key.name: key for name, view in VIEWS.items() for key in keys_of(name, view)}
    | {key.name: key for name, c in _PLANNED.items() for key in keys_of(name, c, planned=True)}
)
"""All keys by their present name, in the order of the reference page."""

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys([*VIEWS, *_PLANNED]))
"""The categories, in the order of the reference page."""

_BY_ANY_NAME = dict(KEYS) | {old: key for key in KEYS.values() for old in key.old_names}


def find_key(name: str) -> Key | None:
    """Return the key of a dotted name, old or present; None if there is none."""
    return _BY_ANY_NAME.get(name)


def nearest_name(name: str) -> str | None:
    """Return the known name that is most like `name`, None if nothing is."""
    import difflib  # noqa: PLC0415 (only errors wait for it)

    found = difflib.get_close_matches(name, _BY_ANY_NAME, n=1, cutoff=0.6)
    if not found and "." not in name:
        # Often only the category was left out.
        by_last = {known.rpartition(".")[2]: known for known in reversed(_BY_ANY_NAME)}
        found = [by_last[last] for last in difflib.get_close_matches(name, by_last, n=1)]
    return found[0] if found else None
