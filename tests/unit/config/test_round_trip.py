"""Whatever is written is read again, in every format."""

from __future__ import annotations

import configparser
import json
import math
import re

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from receive.command.errors import ConfigError
from receive.config import Config
from receive.config.keys import KEYS, Key, Kind

TEXT_SAMPLES = {
    "reception.channels": ["0:4", "12:1"],
    "model.sha256": ["ab" * 32],
    "transmission.endpoints": ["h:1", "h.x-y:5-6", "[::1]:41000-41003"],
}
# A machine that others use too may be slow at any moment.
unhurried = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
# Sane texts: what is stripped, or is no text on one line, cannot come back as it was.
plain_text = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1
).filter(lambda text: text == text.strip())


def text_of(key: Key) -> st.SearchStrategy[str]:
    if key.choices:
        return st.sampled_from(key.choices)
    if key.name in TEXT_SAMPLES:
        return st.sampled_from(TEXT_SAMPLES[key.name])
    return plain_text.filter(lambda text: text not in key.old_values)


def value_of(key: Key) -> st.SearchStrategy[object]:
    match key.kind:
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.INTEGER:
            high = 2**63 if key.maximum is None else int(key.maximum)
            return st.integers(int(key.minimum or 0), high)
        case Kind.NUMBER:
            return st.floats(min_value=key.minimum, allow_nan=False, allow_infinity=False)
        case Kind.TEXT:
            return text_of(key)
        case Kind.LIST | Kind.COMMAND:
            return st.lists(text_of(key), max_size=3)


def works_together(values: dict[str, object]) -> bool:
    try:
        Config.from_mapping(values)
    except ConfigError:
        return False
    return True


# Their combinations are limited; each is tested by itself elsewhere.
TOGETHER = {
    "reception.process_index",
    "reception.process_count",
    "reception.backpressure",
    "reception.num_ports",
    "transmission.max_packet_size",
}
values = (
    st.sets(st.sampled_from(sorted(set(KEYS) - TOGETHER)), max_size=12)
    .flatmap(lambda names: st.fixed_dictionaries({n: value_of(KEYS[n]) for n in sorted(names)}))
    .filter(works_together)
)


def nested(values: dict[str, object]) -> dict[str, dict[str, object]]:
    tree: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        category, _, last = name.rpartition(".")
        tree.setdefault(category, {})[last] = value
    return tree


def as_text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


def same(config: Config, values: dict[str, object]) -> bool:
    return {name: config[name] for name in KEYS if config.is_set(name)} == values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dumped")


@unhurried
@given(values=values, dotted=st.booleans(), as_ascii=st.booleans())
def test_json_comes_back(folder, values, dotted, as_ascii):
    file = folder / "a.json"
    tree = values if dotted else nested(values)
    file.write_text(json.dumps(tree, ensure_ascii=as_ascii), encoding="utf-8")
    assert same(Config.load(file), values)


@unhurried
@given(values=values, dotted=st.booleans(), flow=st.booleans())
def test_yaml_comes_back(folder, values, dotted, flow):
    file = folder / "a.yaml"
    tree = values if dotted else nested(values)
    with file.open("w", encoding="utf-8") as stream:
        yaml.safe_dump(tree, stream, default_flow_style=flow, allow_unicode=True)
    assert same(Config.load(file), values)


@unhurried
@given(values=values, colon=st.booleans())
def test_ini_comes_back(folder, values, colon):
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=(":" if colon else "=",), comment_prefixes=("#",)
    )
    texts = {name: as_text(value) for name, value in values.items()}
    # What may begin a comment is refused, as test_config_sources.py has it.
    assume(not any(re.search(r"(^|\s)[#;]", text) for text in texts.values()))
    parser.read_dict({c: dict(t) for c, t in nested(texts).items()})
    file = folder / "a.ini"
    with file.open("w", encoding="utf-8") as stream:
        parser.write(stream)
    assert same(Config.load(file), values)


@unhurried
@given(values=values)
def test_options_come_back(values):
    config = Config.load(None, [f"{name}={as_text(value)}" for name, value in values.items()])
    assert same(config, values)


@unhurried
@given(values=values)
def test_to_json_comes_back(folder, values):
    config = Config.from_mapping(values)
    file = folder / "own.json"
    file.write_text(config.to_json(masked=False, given_only=True), encoding="utf-8")
    assert same(Config.load(file), values)
    assert json.loads(config.to_json(masked=False)) == {
        name: value for name, value in config.dotted().items() if value is not None
    }


@unhurried
@given(st.binary(max_size=200), st.sampled_from(["a.ini", "a.json", "a.yaml", "a"]))
def test_random_bytes_are_a_configuration_or_one_clear_line(folder, content, name):
    file = folder / f"random-{name}"
    file.write_bytes(content)
    message = ""
    try:
        config = Config.load(file)
    except ConfigError as error:
        message = str(error)
    else:
        assert math.isfinite(config["transmission.rate"])
    assert message == "" or message.startswith(str(file))
    assert len(message.splitlines()) <= 1
