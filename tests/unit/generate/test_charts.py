"""The generated files of the charts, and that they say what the receiver does."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
import yaml

from generate.charts.files import texts
from generate.charts.receiver import RECEIVE
from generate.charts.schema import chart_schema
from generate.charts.sender import EMULATOR
from generate.charts.value import Category, Value
from generate.charts.values_file import values_text
from receive import __version__
from receive.config import Config
from receive.config.keys import KEYS
from tests.conftest import REPOSITORY

CHARTS = REPOSITORY / "charts"
BOTH = pytest.mark.parametrize("chart", [RECEIVE, EMULATOR], ids=lambda chart: chart.name)


def test_both_charts_have_the_same_shared_templates():
    names = {path.name for path in (CHARTS / "receive" / "templates" / "shared").iterdir()}
    assert names == {path.name for path in (CHARTS / "emulator" / "templates" / "shared").iterdir()}
    assert all(
        CHARTS / "emulator" / "templates" / "shared" / name in texts(REPOSITORY) for name in names
    )


@BOTH
def test_the_charts_have_the_version_of_the_project(chart):
    head = yaml.safe_load((CHARTS / chart.name / "Chart.yaml").read_text())
    assert head["appVersion"] == __version__
    assert head["version"] == __version__


@BOTH
def test_the_schema_is_a_schema_and_takes_the_defaults(chart):
    schema = chart_schema(chart)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(yaml.safe_load(values_text(chart)))
    validator.validate({"global": {"anything": 1}})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"nonsense": 1})


@BOTH
def test_every_map_of_the_schema_refuses_unknown_keys(chart):
    def closed(schema, path):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path
            for name, member in schema["properties"].items():
                closed(member, f"{path}.{name}")
        for option in schema.get("anyOf", []):
            closed(option, path)

    closed(chart_schema(chart), chart.name)


@BOTH
def test_every_value_has_its_comment_and_the_readme_every_value(chart):
    text = values_text(chart)
    readme = (CHARTS / chart.name / "README.md").read_text()
    comments = re.sub(r"\n *# ", " ", text)
    for entry in chart.entries():
        if isinstance(entry, Value):
            documented = [(entry.name, entry.doc)]
        else:
            documented = [(key.name, entry.doc_of(key)) for key in entry.shown_keys()]
        for name, doc in documented:
            assert doc.replace("`", "") in comments, name
            assert f"| `{name}` |" in readme
    assert max(map(len, text.splitlines())) <= 100


def test_receive_takes_every_key_there_is():
    categories = {entry.name for entry in RECEIVE.entries() if isinstance(entry, Category)}
    assert categories == {key.category for key in KEYS.values()}


@BOTH
@pytest.mark.parametrize("switch", [True, "true", "No", "0", 1])
def test_values_come_typed_or_as_text(chart, switch):
    validator = jsonschema.Draft7Validator(chart_schema(chart))
    validator.validate({"proxy": {"use": switch}, "transmission": {"channels_per_stream": "4"}})
    validator.validate({"image": "localhost/image:tag"})
    validator.validate({"image": {"tag": 20261121}})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"transmission": {"channels_per_stream": "four"}})


def test_what_is_shown_as_the_default_is_the_default():
    commented = re.sub(r"(?m)^  # (\w+: )", r"  \1", values_text(RECEIVE))
    shown = yaml.safe_load(commented)
    given = {
        category.name: {
            name: value
            for name, value in shown[category.name].items()
            if name not in category.defaults and f"{category.name}.{name}" in KEYS
        }
        for category in RECEIVE.entries()
        if isinstance(category, Category)
    }
    assert Config.from_mapping(given).dotted() == Config().dotted()
    assert json.dumps(given["transmission"]["rate"]) == str(2**30)
