"""A strict reader of Prometheus' text format 0.0.4: whatever it does not promise is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """One metric."""

    kind: str
    text: str
    samples: dict[Labels, float] = field(default_factory=dict)


def read(text: str) -> dict[str, Family]:
    """Return the metrics of a page, by name.

    All samples of a metric must stand together, after its HELP and TYPE, and none may be there
    twice; the page must end with a line's end.
    """
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    current, told = "", ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current, _, told = line.removeprefix("# HELP ").partition(" ")
            assert _NAME.fullmatch(current), line
            assert told, line
            assert current not in families, f"{current} comes twice"
            unknown = re.sub(r"\\[\\n]", "", told)
            assert "\\" not in unknown, line
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name == current, line
            assert name not in families, line
            assert kind in {"counter", "gauge"}, line
            assert name.endswith("_total") == (kind == "counter"), line
            families[name] = Family(kind, told)
        else:
            name, labels, number = _sample(line)
            assert name == current, line
            assert labels not in families[name].samples, line
            families[name].samples[labels] = number
    assert all(family.samples for family in families.values())
    return families


def _sample(line: str) -> tuple[str, Labels, float]:
    match = _NAME.match(line)
    assert match, line
    name, rest = match[0], line[match.end() :]
    labels: list[tuple[str, str]] = []
    if rest.startswith("{"):
        rest = rest[1:]
        while not rest.startswith("}"):
            match = _LABEL.match(rest)
            assert match, line
            value, rest = _quoted(rest[match.end() :], line)
            labels.append((match[0], value))
            if rest.startswith(","):
                rest = rest[1:]
                assert not rest.startswith("}"), line
            else:
                assert rest.startswith("}"), line
        rest = rest[1:]
        assert len({name for name, _ in labels}) == len(labels) > 0, line
    assert rest.startswith(" "), line
    assert _NUMBER.fullmatch(rest[1:]), line
    return name, tuple(labels), float(rest[1:])


def _quoted(rest: str, line: str) -> tuple[str, str]:
    assert rest.startswith('="'), line
    value, place = "", 2
    while rest[place] != '"':
        if rest[place] == "\\":
            place += 1
            value += _ESCAPES[rest[place]]
        else:
            value += rest[place]
        place += 1
    return value, rest[place + 1 :]
