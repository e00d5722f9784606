"""Maps of YAML with those that they merge: ``<<: *base`` and ``<<: [*first, *second]``.

As https://yaml.org/type/merge.html has it: a key of the map itself wins, and of several maps that
are merged the first that has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from receive.command.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_MERGE = "<<"
Pairs = list[tuple[Any, Any]]


def yaml_pairs(node: Any, path: Path) -> Pairs:
    """Return the pairs of nodes of a map, merged ones included.

    Raises
    ------
    ConfigError
        What is merged is no map, or holds itself.
    """
    return _pairs(node, path, {})


def _pairs(node: Any, path: Path, known: dict[int, Pairs | None]) -> Pairs:
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
            more = [pair for pair in _pairs(source, path, known) if _name(pair) not in names]
            names |= {_name(pair) for pair in more}
            own += more
    known[id(node)] = own
    return own


def _merges(name: Any) -> bool:
    return name.id == "scalar" and name.style is None and name.value == _MERGE


def _name(pair: tuple[Any, Any]) -> Any:
    return pair[0].value if pair[0].id == "scalar" else id(pair[0])


def _place(path: Path, node: Any) -> str:
    return f"{path}:{node.start_mark.line + 1}"
