"""One configuration key: what it is called, what it takes, and how text becomes its value.

A scalar gets its type from the key it is given to, never from how it looks: ``"16"``, ``16`` and
``16.0`` are the same number of ring heaps, and ``010`` stays the text that it is where a key takes
text.  `Key.parse` is the only place where that happens, whatever the value came from.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

Scalar = int | float | bool | str
Value = Scalar | tuple[str, ...] | None

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_SIZE = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*([a-z]+)", re.ASCII | re.IGNORECASE)
_SIZE_FACTORS = {"b": 1} | {
    f"{letter}{tail}": base**power
    for tail, base in (("b", 1000), ("ib", 1024))
    for power, letter in enumerate("kmgt", start=1)
}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Python refuses longer ones with a message about an interpreter setting; nothing here needs more.
_LONGEST_NUMBER = 300
_LONGEST_SHOWN = 80


class Kind(Enum):
    """What type a key's value has."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    LIST = "list"
    COMMAND = "command"
    """A list of arguments; as one text it is split as a shell would."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A configuration key and everything that is said about it anywhere.

    Parameters
    ----------
    name
        Dotted name, ``category.name``.
    kind
        Type of the value.
    default
        Value when nobody gives one; None where the key is `nullable`.
    doc
        One line of documentation (Markdown).
    unit
        ``bytes``, ``bytes/s``, ``s`` or ``ms``; bytes also take suffixes such as ``8 MiB``.
    choices
        The only texts accepted, if there are any.
    minimum, maximum
        Range of a number, both ends included.
    nullable
        Whether there can be no value; an empty text then means that.
    empty
        What an empty text means where it is a value.
    default_doc
        What the reference page says of the default, where the bare value says too little.
    old_names, old_values
        Names and values of older versions, which mean this key and the new value.
    planned, planned_values
        The key, or the values of it, that this version accepts but cannot act on.
    in_charts
        Whether it is the charts that act on the key, and no command.
    secret
        Whether the value is a credential: ``True``, or which parts of it are: ``"userinfo"`` the
        user, password and query of a URL, ``"destination"`` the parameters of an rclone remote,
        ``"command"`` the marked arguments.
    check
        Raises ValueError, saying what is accepted, for a text (each item of a list) that cannot be.
    """

    name: str
    kind: Kind
    default: Value
    doc: str
    unit: str | None = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    nullable: bool = False
    empty: str | None = None
    default_doc: str | None = None
    old_names: tuple[str, ...] = ()
    old_values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    planned: bool = False
    planned_values: tuple[str, ...] = ()
    in_charts: bool = False
    secret: bool | str = False
    check: Callable[[str], object] | None = None

    @property
    def category(self) -> str:
        """The part of the name before the last dot."""
        return self.name.rpartition(".")[0]

    @property
    def last_name(self) -> str:
        """The name without the category."""
        return self.name.rpartition(".")[2]

    @property
    def is_size(self) -> bool:
        """Whether the value is a number of bytes, or of bytes per second."""
        return self.unit in {"bytes", "bytes/s"}

    def parse(self, value: object) -> Value:
        """Return `value` as this key's type.

        Parameters
        ----------
        value
            A scalar, or a list of scalars; text is converted.

        Returns
        -------
        int, float, bool, str, tuple of str, or None
            None only where the key is nullable and the text is empty.

        Raises
        ------
        ValueError
            The value is not what the key takes; the message names value and what is accepted.
        """
        if value is None:
            raise ValueError(f"null is no value here; accepted: {self.accepted}")
        text = value.strip() if isinstance(value, str) else value
        if text == "" and (self.nullable or self.empty is not None):
            return self.empty
        parsed = self._convert(text)
        if parsed is None:
            raise ValueError(f"{self.shown(value)} is not accepted; accepted: {self.accepted}")
        return parsed

    def shown(self, value: object) -> str:
        """Return `value` as an error message may show it: short, on one line, no credentials."""
        if self.secret:
            return "the value given (hidden)"
        return shown(value)

    @property
    def accepted(self) -> str:
        """What the key takes, in words."""
        match self.kind:
            case Kind.BOOLEAN:
                return "true, false, yes, no, 1, 0"
            case Kind.INTEGER | Kind.NUMBER:
                return self._accepted_number()
            case Kind.COMMAND:
                return "a list of arguments, or one text that is split as a shell would"
            case Kind.LIST:
                of = f" of {', '.join(self.choices)}" if self.choices else ""
                return f"a list{of}, or a text with commas between the items"
            case Kind.TEXT:
                return ", ".join(self.choices) if self.choices else "text on one line"

    def _accepted_number(self) -> str:
        what = "a whole number" if self.kind is Kind.INTEGER else "a number"
        if self.unit is not None:
            what += f" of {self.unit}"
        if self.is_size:
            what += " (also with kB, MB, GB, KiB, MiB, GiB)"
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"{what} from {low} to {high}"
        if low is not None:
            return f"{what}, {low} or more"
        return what

    def _convert(self, value: object) -> Value:
        match self.kind:
            case Kind.BOOLEAN:
                return _boolean(value)
            case Kind.INTEGER | Kind.NUMBER:
                number = self._number(value)
                return number if number is not None and self._in_range(number) else None
            case Kind.TEXT:
                return self._text(value)
            case Kind.LIST | Kind.COMMAND:
                return self._list(value)

    def _number(self, value: object) -> int | float | None:
        """Return a finite number, an int for an integer key, or None if `value` is not one."""
        if self.is_size and isinstance(value, str):
            value = _without_suffix(value)
        return _integer(value) if self.kind is Kind.INTEGER else _number(value)

    def _in_range(self, number: float) -> bool:
        above = self.minimum is None or number >= self.minimum
        return above and (self.maximum is None or number <= self.maximum)

    def _text(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        text = str(value)
        text = self.old_values.get(text, text)
        # Lone surrogates come from "\ud800" in JSON and from bytes that are not UTF-8 in an option.
        if not text or any(ord(c) < ord(" ") or "\ud800" <= c <= "\udfff" for c in text):
            return None
        if self.choices and text not in self.choices:
            return None
        self._check(text)
        return text

    def _check(self, text: str) -> None:
        if self.check is not None:
            try:
                self.check(text)
            except ValueError as error:
                raise ValueError(f"{self.shown(text)} is not accepted: {error}") from None

    def _list(self, value: object) -> tuple[str, ...] | None:
        if isinstance(value, Mapping):
            # Helm makes {} of an empty list on its command line.
            return () if not value else None
        items = self._split(value) if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            return None
        stripped = [item.strip() if isinstance(item, str) else item for item in items]
        texts = [self._text(item) for item in stripped if item != ""]
        return None if None in texts else tuple(text for text in texts if text is not None)

    def _split(self, text: str) -> list[object] | None:
        """Split the text form of a list; one that is a JSON list is taken as that."""
        if text.startswith("[") and text.endswith("]"):
            # "[::1]:5000,[::2]" also looks like this, and is no JSON.
            try:
                items = json.loads(text)
            except ValueError:
                if text.startswith('["'):
                    return None
            else:
                return items if isinstance(items, list) else None
        if self.kind is Kind.COMMAND:
            try:
                return list(shlex.split(text))
            except ValueError:
                return None
        return list(re.split(r"[,\n]", text))


def shown(value: object) -> str:
    """Return any value as an error message may show it: short and on one line."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, str)):
        return _BOOLEANS.get(str(value).lower())
    return None


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _INTEGER.fullmatch(value):
        return int(value)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        return None  # float() reads both, nobody else does
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _without_suffix(text: str) -> str | int:
    """Return the bytes of a text with a suffix, ``8 MiB`` or ``1 GiB/s``; another one as it is."""
    match = _SIZE.fullmatch(text.removesuffix("/s")) if len(text) <= _LONGEST_NUMBER else None
    factor = _SIZE_FACTORS.get(match[2].lower()) if match is not None else None
    if match is None or factor is None:
        return text
    whole, _, part = match[1].partition(".")
    # In whole numbers: a size must not become one by rounding.
    scaled = int(whole + part) * factor
    size, rest = divmod(scaled, 10 ** len(part))
    return f"{scaled}e-{len(part)}" if rest else size
