"""JSON: an object of keys, nested, dotted or both; no name twice, no NaN."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from receive.command.errors import ConfigError
from receive.config.sources import Leaf, flatten, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}:\n]')


class _DuplicateError(Exception):
    """An object of a JSON document has a name twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if name in mapping:
            raise _DuplicateError(name)
        mapping[name] = value
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")


def leaves(text: str, path: Path) -> Iterator[Leaf]:
    """Yield the leaves of a JSON object; ConfigError if it is malformed."""
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except _DuplicateError as error:
        tail = f".{error}"
        found = [line for name, line in _members(text) if f".{name}".endswith(tail)]
        place = f"{path}:{found[-1]}" if found else str(path)
        raise ConfigError(
            f"{place}: {on_one_line(str(error))} is given twice in one object"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}:{error.lineno}: is not JSON: {error.msg} (column {error.colno})"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {str(error).partition(':')[0]}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}:1: expected an object {{...}} of keys and their values")
    lines: dict[str, list[int]] = {}
    for name, line in _members(text):
        lines.setdefault(name, []).append(line)
    for name, value in flatten(document):
        yield Leaf(name, value, f"{path}:{lines[name].pop(0)}" if lines.get(name) else str(path))


def _members(text: str) -> Iterator[tuple[str, int]]:
    """Yield the dotted name of every member of every object, and the line it is on."""
    prefixes = [""]
    line, string, name = 1, '""', ""
    for token in _TOKEN.finditer(text):
        match token[0][0]:
            case "\n":
                line += 1
            case '"':
                string = token[0]
            case ":":
                name = f"{prefixes[-1]}{_text(string)}"
                yield name, line
            case "{":
                prefixes.append(f"{name}." if name else "")
            case _ if len(prefixes) > 1:
                del prefixes[-1]


def _text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:  # after a duplicate nothing needs to be JSON any more
        return token
