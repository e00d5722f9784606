from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from generate import configuration
from generate.configuration_schema import json_schema
from receive.command.errors import ConfigError
from receive.config import Config
from receive.config.keys import KEYS

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_the_page_has_every_key_with_old_names_and_who_acts_on_it(key):
    [row] = [
        line
        for line in configuration.reference_page().splitlines()
        if line.startswith(f"| `{key.name}` |")
    ]
    assert row.count("|") == 5
    assert key.doc in row
    assert ("*Not yet.*" in row) == key.planned
    assert ("*Used by the charts.*" in row) == key.in_charts
    for word in (*key.choices, *key.old_names, *key.old_values):
        assert f"`{word}`" in row
    for value in key.planned_values:
        assert f"`{value}` (*not yet*)" in row


def test_the_defaults_are_valid(validator):
    nested = Config.load().nested()
    given = {
        category: {name: value for name, value in keys.items() if value is not None}
        for category, keys in nested.items()
    }
    validator.validate(given)


VALID = [
    {},
    {"reception": {}},
    {"reception": {"ring_heaps": 16}},
    {"reception": {"ring_heaps": "16"}},
    {"reception": {"ring_heaps": 16.0}},
    {"reception": {"receiver_port_start": "41000"}},
    {"reception": {"method": "spead2_receivers"}},
    {"reception": {"num_ports": ""}},
    {"reception": {"backpressure": "False"}},
    {"reception": {"overwrite": "yes"}},
    {"reception": {"overwrite": 1}},
    {"reception": {"buffer_size": "8 MiB"}},
    {"reception": {"dump_timeout": "1.5"}},
    {"reception": {"consumer": "mswriter,null"}},
    {"reception": {"consumer": ["mswriter", "null"]}},
    {"reception": {"datamodel": ""}},
    {"transmission": {"rate": "1.073741824e+09"}},
    {"transmission": {"rate": "1 GiB/s"}},
    {"transmission": {"time_interval": "-1"}},
    {"transmission": {"time_interval": -0.5}},
    {"transmission": {"endpoints": ["h:1-2", "[::1]:3"]}},
    {"model": {"name": 10}},
    {"proxy": {"noproxy": {}}},
    {"proxy": {"noproxy": [""]}},
    {"proxy": {"noproxy": ""}},
    {"consumer": {"command": ["cp", "{path}", "/x"]}},
    {"monitor": {"port": 0}},
    {"vys": {"header_size": "32"}},
]
INVALID = [
    {"nothing": {}},
    {"reception": {"nothing": 1}},
    {"reception": 5},
    {"reception": {"ring_heaps": 0}},
    {"reception": {"ring_heaps": "many"}},
    {"reception": {"ring_heaps": 1.5}},
    {"reception": {"ring_heaps": "1.5"}},
    {"reception": {"ring_heaps": "-1"}},
    {"reception": {"ring_heaps": ""}},
    {"reception": {"ring_heaps": True}},
    {"reception": {"ring_heaps": None}},
    {"reception": {"ring_heaps": [1]}},
    {"reception": {"ring_heaps": {}}},
    {"reception": {"port_start": 65536}},
    {"reception": {"port_start": 1, "receiver_port_start": 1}},
    {"reception": {"transport": "UDP"}},
    {"reception": {"backpressure": "maybe"}},
    {"reception": {"backpressure": 2}},
    {"reception": {"buffer_size": "8 MB/min"}},
    {"reception": {"dump_timeout": "soon"}},
    {"reception": {"dump_timeout": -1}},
    {"reception": {"outputfilename": ""}},
    {"reception": {"outputfilename": True}},
    {"reader": {"num_repeats": 0}},
    {"proxy": {"noproxy": [["a"]]}},
    {"proxy": {"noproxy": {"a": 1}}},
    {"proxy": {"noproxy": 5}},
]


@pytest.mark.parametrize("document", VALID, ids=str)
def test_the_schema_and_the_reader_both_accept(validator, document):
    validator.validate(document)
    Config.from_mapping(document)


@pytest.mark.parametrize("document", INVALID, ids=str)
def test_the_schema_and_the_reader_both_refuse(validator, document):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)
    with pytest.raises(ConfigError):
        Config.from_mapping(document)


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_the_schema_documents_every_key(key):
    category, _, last = key.name.rpartition(".")
    schema = json_schema()["properties"][category]["properties"][last]
    assert schema["description"].startswith(key.doc.replace("`", ""))
    assert ("default" in schema) == (key.default is not None)
