"""Where configuration comes from: INI, JSON and YAML files, mappings, and ``-o key=value``.

Each reader yields leaves: a dotted name, a value as it was found, and the place where it was.
`collect` looks the names up, converts the values, and refuses what is unknown, wrong or given
twice, always naming the place.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from receive.command.errors import ConfigError
from receive.config.keys import CATEGORIES, KEYS, Key, Value, find_key, nearest_name, shown

if TYPE_CHECKING:
    from pathlib import Path

# Nobody writes so much by hand; an archive or a Measurement Set's table given by mistake is larger.
_LARGEST_FILE_BYTES = 2**20
# No key has as many parts; an alias that holds itself would never end.
DEEPEST = 8
_FORMATS = {".ini": "ini", ".cfg": "ini", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}


@dataclass(frozen=True)
class Leaf:
    """A value as it was found, under its dotted name, old or present."""

    name: str
    value: object
    place: str


@dataclass(frozen=True)
class Given:
    """A value that somebody gave for a key, converted, and where."""

    value: Value
    place: str


def collect(leaves: Iterable[Leaf]) -> dict[str, Given]:
    """Return what `leaves` give, converted, by the present names of the keys.

    Raises
    ------
    ConfigError
        A name is unknown, a value is not accepted, or a key is given twice.
    """
    given: dict[str, Given] = {}
    for leaf in leaves:
        key = find_key(leaf.name)
        if key is None:
            _refuse_name(leaf)
        if key.name in given:
            first = given[key.name].place
            also = f", which is {key.name}," if leaf.name != key.name else ""
            raise ConfigError(
                f"{leaf.place}: {leaf.name}{also} is given twice (first at {first}); "
                "remove one of them"
            )
        given[key.name] = Given(parse_value(key, leaf), leaf.place)
    return given


def parse_value(key: Key, leaf: Leaf) -> Value:
    """Return the value of `leaf` as the type of `key`; ConfigError if it is not accepted."""
    try:
        return key.parse(leaf.value)
    except ValueError as error:
        raise ConfigError(f"{leaf.place}: {leaf.name}: {error}") from None


def _refuse_name(leaf: Leaf) -> NoReturn:
    inside = [name for name in KEYS if name.startswith(f"{leaf.name}.")]
    if inside:
        raise ConfigError(
            f"{leaf.place}: {leaf.name} is a category, not a key; its keys are "
            f"{inside[0]} and {len(inside) - 1} more"
            if len(inside) > 1
            else f"{leaf.place}: {leaf.name} is a category, not a key; its key is {inside[0]}"
        )
    nearest = nearest_name(leaf.name)
    hint = f"did you mean {nearest}?" if nearest else f"categories are {', '.join(CATEGORIES)}"
    raise ConfigError(f"{leaf.place}: unknown key {on_one_line(leaf.name)}; {hint}")


def on_one_line(name: str) -> str:
    """Return what somebody called a key as an error message may show it."""
    return shown(name)[1:-1]


def leaves_of_mapping(mapping: Mapping[Any, Any], place: str) -> Iterator[Leaf]:
    """Yield the leaves of a mapping that is nested, dotted or both."""
    for name, value in flatten(mapping):
        yield Leaf(name, value, place)


def leaf_of_option(option: str) -> Leaf:
    """Return what a command line's ``-o key=value`` gives.

    Raises
    ------
    ConfigError
        There is no ``=``.
    """
    name, equals, value = option.partition("=")
    if not equals or not name.strip():
        # What follows the name may be a credential.
        start = re.match(r"[\w.-]*", option)
        raise ConfigError(
            f"-o {start[0] if start else ''}: expected key=value, such as "
            "-o reception.transport=tcp"
        )
    return Leaf(name.strip(), value, "-o")


def leaves_of_file(path: Path) -> Iterator[Leaf]:
    """Yield the leaves of a configuration file, INI, JSON or YAML by extension, else by content.

    Raises
    ------
    ConfigError
        The file is missing, not readable, not text, or malformed.
    """
    text = _read_text(path)
    if not text.strip():
        return
    # Only what is needed is imported: --help waits for no format.
    name = _FORMATS.get(path.suffix.lower()) or _guess_format(text)
    yield from import_module(f"receive.config.formats.{name}").leaves(text, path)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a configuration file") from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if len(content) > _LARGEST_FILE_BYTES:
        raise ConfigError(f"{path}: is larger than 1 MiB, so it is no configuration file")
    # What some editors and shells call "Unicode".
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None


def _guess_format(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if first.startswith("{"):
        return "json"
    is_ini = re.match(r"\[[^\[\]]+\]\s*([#;]|$)|[\w.]+\s*=", first)
    return "ini" if is_ini else "yaml"


def flatten(
    mapping: Mapping[Any, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of a mapping that is nested, dotted or both."""
    for name, value in mapping.items():
        full = f"{prefix}{name}"
        # An empty map is the empty list of a key that takes lists, else it gives nothing.
        if isinstance(value, Mapping) and depth < DEEPEST and (value or full in CATEGORIES):
            yield from flatten(value, f"{full}.", depth + 1)
        else:
            yield full, value
