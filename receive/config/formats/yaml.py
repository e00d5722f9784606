"""YAML: one map of keys, in which maps may be merged: ``<<: *base``, ``<<: [*first, *second]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from receive.command.errors import ConfigError
from receive.config.keys import CATEGORIES
from receive.config.sources import DEEPEST, Leaf, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Beside the categories: maps that are merged into others.
_EXTENSION = "x-"
_MERGE = "<<"
_TYPES = frozenset({"str", "int", "float", "bool", "map", "seq", "timestamp", "null"})
Pairs = list[tuple[Any, Any]]


def leaves(text: str, path: Path) -> Iterator[Leaf]:
    """Yield the leaves of a YAML document; ConfigError if it is malformed."""
    try:
        # The base loader leaves every scalar the text it is, and makes nothing of tags.
        root: Any = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigError(f"{path}{line}: {_problem(str(error.problem))}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    if root is None:
        return
    if root.id != "mapping":
        raise ConfigError(f"{_place(path, root)}: expected a map of keys and their values")
    _check_tag(root, _place(path, root))
    for leaf in _flatten(root, "", path):
        if not leaf.name.startswith(_EXTENSION):
            yield leaf


def _problem(problem: str) -> str:
    if "another document" in problem:
        return "is not YAML of one document, but of several (---); give each in a file of its own"
    hint = "; indent with blanks, not with tabs" if "'\\t'" in problem else ""
    return f"is not YAML: {problem}{hint}"


def _place(path: Path, node: Any) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _flatten(node: Any, prefix: str, path: Path, depth: int = 0) -> Iterator[Leaf]:
    seen: set[str] = set()
    for name_node, value in _pairs(node, path, {}):
        place = _place(path, name_node)
        if name_node.id != "scalar":
            raise ConfigError(f"{place}: a key must be text")
        name = f"{prefix}{name_node.value}"
        if name in seen:
            raise ConfigError(f"{place}: {on_one_line(name)} is given twice in one map")
        seen.add(name)
        if value.id == "mapping" and depth < DEEPEST and (value.value or name in CATEGORIES):
            _check_tag(value, place)
            yield from _flatten(value, f"{name}.", path, depth + 1)
        else:
            yield Leaf(name, _value(value, place), place)


def _value(node: Any, place: str, *, in_list: bool = False) -> object:
    _check_tag(node, place)
    if node.id == "scalar":
        empty = node.style is None and node.value in {"", "~", "null", "Null", "NULL"}
        return None if empty else node.value
    if node.id == "mapping" and not node.value and not in_list:
        return {}
    if node.id == "sequence" and not in_list:
        return [_value(item, place, in_list=True) for item in node.value]
    raise ConfigError(f"{place}: expected a scalar or a list of scalars")


def _check_tag(node: Any, place: str) -> None:
    prefix, _, name = node.tag.rpartition(":")
    if prefix != "tag:yaml.org,2002" or name not in _TYPES:
        raise ConfigError(f"{place}: the tag {on_one_line(node.tag)} is not accepted; remove it")


def _pairs(node: Any, path: Path, known: dict[int, Pairs | None]) -> Pairs:
    """Return the pairs of nodes of a map, merged ones included.

    As https://yaml.org/type/merge.html has it: a key of the map itself wins, and of several maps
    that are merged the first that has it.
    """
    # Each map once: aliases of aliases would take for ever.
    if id(node) in known:
        if (done := known[id(node)]) is None:
            raise ConfigError(f"{_place(path, node)}: a map is merged into itself")
        return done
    known[id(node)] = None
    own = [pair for pair in node.value if not _merges(pair[0])]
    names = {name.value for name, _ in own if name.id == "scalar"}
    for name, value in node.value:
        if not _merges(name):
            continue
        for source in value.value if value.id == "sequence" else [value]:
            if source.id != "mapping":
                raise ConfigError(
                    f"{_place(path, name)}: {_MERGE} merges maps; expected an alias of one, *NAME"
                )
            more = [pair for pair in _pairs(source, path, known) if _pair_name(pair) not in names]
            names |= {_pair_name(pair) for pair in more}
            own += more
    known[id(node)] = own
    return own


def _merges(name: Any) -> bool:
    return name.id == "scalar" and name.style is None and name.value == _MERGE


def _pair_name(pair: tuple[Any, Any]) -> Any:
    return pair[0].value if pair[0].id == "scalar" else id(pair[0])
