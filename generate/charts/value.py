"""A value of a chart, the sections of values.yaml, and the JSON schemas of common kinds of value.

Whatever takes a number or a switch takes it as text too, as Helm's ``--set-string`` gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from generate.configuration_schema import value_schema
from receive.config.keys import KEYS, Key, Kind

Json = Any
_UNIT = " *([kKmMgGtTpP]?[iI]?[bB]?)?(/s)?"
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Value:
    """A value that is not a key of the configuration.

    Parameters
    ----------
    name
        Dotted name: ``storage.size`` is ``storage: {size:}``.
    doc
        One or two lines of documentation (plain text with Markdown's backquotes).
    schema
        JSON schema of the value.
    default
        What values.yaml holds; a map or a list where Kubernetes takes one.
    """

    name: str
    doc: str
    schema: Schema
    default: Json = ""


@dataclass(frozen=True)
class Category:
    """A category of the configuration as a chart takes it.

    Parameters
    ----------
    name
        The category, ``reception``.
    doc
        What it is about.
    defaults
        Defaults of the chart where they are not those of the configuration, by last name.
    reasons
        Why, one sentence each.
    only
        The last names of the keys that the chart takes; empty for all.
    schemas
        What Kubernetes makes narrower than the configuration, by last name.
    hidden
        Keys that the schema knows, so that a template can say why not, and nothing else mentions.
    """

    name: str
    doc: str
    defaults: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    schemas: Mapping[str, Schema] = field(default_factory=lambda: MappingProxyType({}))
    only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def taken_keys(self) -> list[Key]:
        """Return the keys that the chart takes, in the order of the reference page."""
        return [
            key
            for key in KEYS.values()
            if key.category == self.name and (not self.only or key.last_name in self.only)
        ]

    def shown_keys(self) -> list[Key]:
        """Return the keys that values.yaml and the README list."""
        return [key for key in self.taken_keys() if key.last_name not in self.hidden]

    def doc_of(self, key: Key) -> str:
        """Return a key's documentation, with its unit and the reason for the chart's default."""
        unit = f" Unit: {key.unit}." if key.unit is not None else ""
        reason = self.reasons.get(key.last_name)
        return f"{key.doc}{unit}{f' {reason}' if reason else ''}"


@dataclass(frozen=True)
class Section:
    """Values that belong together, under one heading."""

    title: str
    entries: tuple[Value | Category, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything that a chart takes.

    Parameters
    ----------
    name
        Name of the chart and of its folder.
    sections
        In the order in which an operator touches them.
    old
        Values of older charts: the schema lists them, values.yaml does not.
    """

    name: str
    sections: tuple[Section, ...]
    old: tuple[Value, ...] = ()

    def entries(self) -> list[Value | Category]:
        """Return all entries of all sections."""
        return [entry for section in self.sections for entry in section.entries]


def text(*choices: str) -> Schema:
    """Return the schema of a text, of certain ones if any are given."""
    return {"enum": list(choices)} if choices else {"type": ["string", "null"]}


def boolean() -> Schema:
    """Return the schema of a switch."""
    schema = value_schema(Key(name="x.x", kind=Kind.BOOLEAN, default=False, doc=""))
    return {"anyOf": [*schema["anyOf"], {"type": "null"}]}


def count(minimum: int, maximum: int = 999_999_999, *, optional: bool = False) -> Schema:
    """Return the schema of a whole number; one that is optional may be an empty text."""
    empty = {"enum": ["", None]}
    # Not 010, which some read as 8.
    digits = {"type": "string", "pattern": "^(0|[1-9][0-9]{0,8})$"}
    number = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return {"anyOf": [number, digits, *([empty] if optional else [])]}


def amount() -> Schema:
    """Return the schema of a number above 0, or an empty text."""
    digits = {"type": "string", "pattern": "^([0-9]+([.][0-9]+)?)?$"}
    return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, digits, {"type": "null"}]}


def size() -> Schema:
    """Return the schema of a number of bytes as the configuration writes it, or an empty text."""
    text = {
        "type": "string",
        "pattern": f"^([+]?[0-9]+([.][0-9]+)?([eE][+]?[0-9]{{1,2}})?{_UNIT})?$",
    }
    return {"anyOf": [text, {"type": "number", "minimum": 0}, {"type": "null"}]}


def mapping() -> Schema:
    """Return the schema of a map whose members are Kubernetes' business."""
    return {"type": ["object", "null"]}


def listing(kind: str = "object") -> Schema:
    """Return the schema of a list of maps, or of `kind`."""
    return {"type": ["array", "null"], "items": {"type": kind}}
