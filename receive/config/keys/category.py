"""How keys are declared: a category is a frozen dataclass, and each of its fields is a key.

::

    @category
    class Reception:
        '''The receiver.'''

        ring_heaps: int = key(16, "Integrations in flight in the window.", minimum=1)

The annotation says what the key takes, which choices there are (``Literal``) and whether there can
be no value (``| None``), to this program and to mypy alike.  So that it is a type and no text,
modules of keys do without ``from __future__ import annotations``.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from types import NoneType
from typing import Any, Literal, TypeVar, dataclass_transform, get_args, get_origin

from receive.config.keys.key import Key, Kind

T = TypeVar("T")

_KINDS: dict[object, Kind] = {
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    str: Kind.TEXT,
    tuple[str, ...]: Kind.LIST,
}


@dataclass_transform(frozen_default=True, eq_default=False)
def category(cls: type[T]) -> type[T]:
    """Make a class the view of a category; without a repr, which would show credentials."""
    return dataclass(frozen=True, slots=True, eq=False, repr=False)(cls)


def key(default: T, doc: str, **more: Any) -> T:
    """Declare a key, as the value of a field; `more` is what `Key` takes beside these two."""
    return field(default=default, metadata={"doc": doc, **more})


def keys_of(name: str, view: type[Any], *, planned: bool = False) -> list[Key]:
    """Return the keys that the fields of a category's view declare.

    Raises
    ------
    TypeError
        The annotation of a field is none that a key can have.
    """
    return [_key(name, one, planned=planned) for one in fields(view)]


def _key(name: str, declared: Field[Any], *, planned: bool) -> Key:
    takes: Any = declared.type
    default: Any = declared.default
    nullable = NoneType in get_args(takes)
    if nullable:
        takes = get_args(takes)[0]
    choices = get_args(takes) if get_origin(takes) is Literal else ()
    kind = Kind.TEXT if choices else _KINDS.get(takes)
    if kind is None:
        raise TypeError(f"{name}.{declared.name}: no key takes {takes}")
    told: dict[str, Any] = {"kind": kind, "default_doc": "none" if default in {None, ()} else None}
    return Key(
        name=f"{name}.{declared.name}",
        default=default,
        choices=choices,
        nullable=nullable,
        planned=planned,
        **told | dict(declared.metadata),
    )
