"""INI: sections of keys, dotted keys, values that go on where lines are indented, comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from receive.command.errors import ConfigError
from receive.config.keys import Kind, find_key
from receive.config.sources import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECTION = re.compile(r"\[\s*([^\[\]]+?)\s*\](?:\s*[#;].*)?")
_LINE = re.compile(r"([^=:]+?)\s*[=:]\s*(.*)", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s)[#;]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


def leaves(text: str, path: Path) -> Iterator[Leaf]:
    """Yield the leaves of an INI file; ConfigError if it is malformed."""
    sections: dict[str, int] = {}
    section = ""
    for number, line in _logical_lines(text):
        place = f"{path}:{number}"
        heading = _SECTION.fullmatch(line)
        if heading is not None:
            section = heading[1]
            if section in sections:
                raise ConfigError(
                    f"{place}: section [{section}] is given twice (first at line "
                    f"{sections[section]}); put its keys together"
                )
            sections[section] = number
            continue
        match = _LINE.fullmatch(line)
        if match is None or line.startswith("["):
            raise ConfigError(f"{place}: is not INI: expected [section] or key = value")
        name = _name(section, match[1].lower())
        yield Leaf(name, _without_comment(name, match[2], place), place)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without comments; one indented deeper goes on with a key's value."""
    physical = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and line.strip()[0] not in "#;"
    ]
    start, indent, parts = 0, 0, list[str]()
    for number, line in physical:
        depth = len(line) - len(line.lstrip())
        if parts and depth > indent and not parts[0].startswith("["):
            parts.append(line.strip())
            continue
        if parts:
            yield start, "\n".join(parts)
        start, indent, parts = number, depth, [line.strip()]
    if parts:
        yield start, "\n".join(parts)


def _without_comment(name: str, value: str, place: str) -> str:
    """Return a value without the comment behind it.

    Raises
    ------
    ConfigError
        It may as well be a part of the value, which is a text.
    """
    key = find_key(name)
    is_list = key is not None and key.kind in {Kind.LIST, Kind.COMMAND}
    comment = _COMMENT.search(_QUOTED.sub(lambda m: "x" * len(m[0]), value) if is_list else value)
    if key is None or comment is None:
        return value
    if key.kind in {Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN} or (key.choices and not is_list):
        return value[: comment.start()]
    raise ConfigError(
        f"{place}: {name}: {comment[0].strip()} after a blank may begin a comment or be a "
        "part of the value; put the comment on a line of its own, or give the value in YAML"
    )


def _name(section: str, name: str) -> str:
    in_section = f"{section}.{name}" if section else name
    if find_key(in_section) is None and find_key(name) is not None:
        return name
    return in_section
