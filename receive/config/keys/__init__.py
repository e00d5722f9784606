"""Every configuration key there is: type, default, unit, documentation, old names.

The readers of files and options, the reference page and the JSON schema all go by `KEYS`; a key
is added here and nowhere else.
"""

from __future__ import annotations

import difflib
from types import MappingProxyType

from receive.config.keys import deployment, reception, transmission, vys
from receive.config.keys.key import Key, Kind, Value, shown

__all__ = ["CATEGORIES", "KEYS", "Key", "Kind", "Value", "find_key", "nearest_name", "shown"]

KEYS: MappingProxyType[str, Key] = MappingProxyType(
    {key.name: key for key in (*reception.KEYS, *transmission.KEYS, *deployment.KEYS, *vys.KEYS)}
)
"""All keys by their present name, in the order of the reference page."""

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(key.category for key in KEYS.values()))
"""The categories, in the order of the reference page."""

_BY_ANY_NAME = dict(KEYS) | {old: key for key in KEYS.values() for old in key.old_names}


def find_key(name: str) -> Key | None:
    """Return the key of a dotted name, old or present; None if there is none."""
    return _BY_ANY_NAME.get(name)


def nearest_name(name: str) -> str | None:
    """Return the known name that is most like `name`, None if nothing is."""
    found = difflib.get_close_matches(name, _BY_ANY_NAME, n=1, cutoff=0.6)
    if not found and "." not in name:
        # Often only the category was left out.
        by_last = {known.rpartition(".")[2]: known for known in reversed(_BY_ANY_NAME)}
        found = [by_last[last] for last in difflib.get_close_matches(name, by_last, n=1)]
    return found[0] if found else None
