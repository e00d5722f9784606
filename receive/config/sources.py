"""Where configuration comes from: INI, JSON and YAML files, mappings, and ``-o key=value``.

Each reader yields leaves: a dotted name, a value as it was found, and the place where it was.
`collect` looks the names up, converts the values, and refuses what is unknown, wrong or given
twice, always naming the place.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from receive.command.errors import ConfigError
from receive.config.keys import CATEGORIES, KEYS, Key, Kind, Value, find_key, nearest_name, shown
from receive.config.yaml_merge import yaml_pairs

if TYPE_CHECKING:
    from pathlib import Path

# Nobody writes so much by hand; an archive or a Measurement Set's table given by mistake is larger.
_LARGEST_FILE_BYTES = 2**20
# No key has as many parts; an alias that holds itself would never end.
_DEEPEST = 8
# Beside the categories of a YAML file: maps that are merged into others.
_EXTENSION = "x-"
_FORMATS = {".ini": "INI", ".cfg": "INI", ".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}
_SECTION = re.compile(r"\[\s*([^\[\]]+?)\s*\](?:\s*[#;].*)?")
_INI_LINE = re.compile(r"([^=:]+?)\s*[=:]\s*(.*)", re.DOTALL)
_INI_COMMENT = re.compile(r"(?:^|\s)[#;]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_JSON_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}:\n]')
_YAML_TYPES = frozenset({"str", "int", "float", "bool", "map", "seq", "timestamp", "null"})


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
    raise ConfigError(f"{leaf.place}: unknown key {_on_one_line(leaf.name)}; {hint}")


def _on_one_line(name: str) -> str:
    return shown(name)[1:-1]


def leaves_of_mapping(mapping: Mapping[Any, Any], place: str) -> Iterator[Leaf]:
    """Yield the leaves of a mapping that is nested, dotted or both."""
    for name, value in _flatten(mapping, ""):
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
    match _FORMATS.get(path.suffix.lower()) or _guess_format(text):
        case "JSON":
            yield from _json_leaves(text, path)
        case "YAML":
            yield from _yaml_leaves(text, path)
        case _:
            yield from _ini_leaves(text, path)


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
        return "JSON"
    if _SECTION.fullmatch(first) or re.match(r"[\w.]+\s*=", first):
        return "INI"
    return "YAML"


def _flatten(mapping: Mapping[Any, Any], prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        full = f"{prefix}{name}"
        # An empty map is the empty list of a key that takes lists, else it gives nothing.
        if isinstance(value, Mapping) and depth < _DEEPEST and (value or full in CATEGORIES):
            yield from _flatten(value, f"{full}.", depth + 1)
        else:
            yield full, value


# --- JSON ---------------------------------------------------------------------------------------


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


def _json_leaves(text: str, path: Path) -> Iterator[Leaf]:
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except _DuplicateError as error:
        tail = f".{error}"
        found = [line for name, line in _json_members(text) if f".{name}".endswith(tail)]
        place = f"{path}:{found[-1]}" if found else str(path)
        raise ConfigError(
            f"{place}: {_on_one_line(str(error))} is given twice in one object"
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
    for name, line in _json_members(text):
        lines.setdefault(name, []).append(line)
    for name, value in _flatten(document, ""):
        yield Leaf(name, value, f"{path}:{lines[name].pop(0)}" if lines.get(name) else str(path))


def _json_members(text: str) -> Iterator[tuple[str, int]]:
    """Yield the dotted name of every member of every object, and the line it is on."""
    prefixes = [""]
    line, string, name = 1, '""', ""
    for token in _JSON_TOKEN.finditer(text):
        match token[0][0]:
            case "\n":
                line += 1
            case '"':
                string = token[0]
            case ":":
                name = f"{prefixes[-1]}{_json_text(string)}"
                yield name, line
            case "{":
                prefixes.append(f"{name}." if name else "")
            case _ if len(prefixes) > 1:
                del prefixes[-1]


def _json_text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:  # after a duplicate nothing needs to be JSON any more
        return token


# --- YAML ---------------------------------------------------------------------------------------


def _yaml_leaves(text: str, path: Path) -> Iterator[Leaf]:
    import yaml  # noqa: PLC0415 (a third of the time that --help takes)

    try:
        # The base loader leaves every scalar the text it is, and makes nothing of tags.
        root: Any = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigError(f"{path}{line}: {_yaml_problem(str(error.problem))}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    if root is None:
        return
    if root.id != "mapping":
        raise ConfigError(f"{_place(path, root)}: expected a map of keys and their values")
    _check_tag(root, _place(path, root))
    for leaf in _yaml_flatten(root, "", path):
        if not leaf.name.startswith(_EXTENSION):
            yield leaf


def _yaml_problem(problem: str) -> str:
    if "another document" in problem:
        return "is not YAML of one document, but of several (---); give each in a file of its own"
    hint = "; indent with blanks, not with tabs" if "'\\t'" in problem else ""
    return f"is not YAML: {problem}{hint}"


def _place(path: Path, node: Any) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _yaml_flatten(node: Any, prefix: str, path: Path, depth: int = 0) -> Iterator[Leaf]:
    seen: set[str] = set()
    for name_node, value in yaml_pairs(node, path):
        place = _place(path, name_node)
        if name_node.id != "scalar":
            raise ConfigError(f"{place}: a key must be text")
        name = f"{prefix}{name_node.value}"
        if name in seen:
            raise ConfigError(f"{place}: {_on_one_line(name)} is given twice in one map")
        seen.add(name)
        if value.id == "mapping" and depth < _DEEPEST and (value.value or name in CATEGORIES):
            _check_tag(value, place)
            yield from _yaml_flatten(value, f"{name}.", path, depth + 1)
        else:
            yield Leaf(name, _yaml_value(value, place), place)


def _yaml_value(node: Any, place: str, *, in_list: bool = False) -> object:
    _check_tag(node, place)
    if node.id == "scalar":
        empty = node.style is None and node.value in {"", "~", "null", "Null", "NULL"}
        return None if empty else node.value
    if node.id == "mapping" and not node.value and not in_list:
        return {}
    if node.id == "sequence" and not in_list:
        return [_yaml_value(item, place, in_list=True) for item in node.value]
    raise ConfigError(f"{place}: expected a scalar or a list of scalars")


def _check_tag(node: Any, place: str) -> None:
    prefix, _, name = node.tag.rpartition(":")
    if prefix != "tag:yaml.org,2002" or name not in _YAML_TYPES:
        raise ConfigError(f"{place}: the tag {_on_one_line(node.tag)} is not accepted; remove it")


# --- INI ----------------------------------------------------------------------------------------


def _ini_leaves(text: str, path: Path) -> Iterator[Leaf]:
    sections: dict[str, int] = {}
    section = ""
    for number, line in _ini_logical_lines(text):
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
        match = _INI_LINE.fullmatch(line)
        if match is None or line.startswith("["):
            raise ConfigError(f"{place}: is not INI: expected [section] or key = value")
        name = _ini_name(section, match[1].lower())
        yield Leaf(name, _without_comment(name, match[2], place), place)


def _ini_logical_lines(text: str) -> Iterator[tuple[int, str]]:
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
    comment = _INI_COMMENT.search(
        _QUOTED.sub(lambda m: "x" * len(m[0]), value) if is_list else value
    )
    if key is None or comment is None:
        return value
    if key.kind in {Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN} or (key.choices and not is_list):
        return value[: comment.start()]
    raise ConfigError(
        f"{place}: {name}: {comment[0].strip()} after a blank may begin a comment or be a "
        "part of the value; put the comment on a line of its own, or give the value in YAML"
    )


def _ini_name(section: str, name: str) -> str:
    in_section = f"{section}.{name}" if section else name
    if find_key(in_section) is None and find_key(name) is not None:
        return name
    return in_section
