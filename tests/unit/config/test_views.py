# Without `from __future__ import annotations`, as modules of keys.
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from receive.config import Config
from receive.config.keys import KEYS, VIEWS, Kind
from receive.config.keys.category import category, key, keys_of

TYPES = {
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.BOOLEAN: bool,
    Kind.TEXT: str,
    Kind.LIST: tuple[str, ...],
    Kind.COMMAND: tuple[str, ...],
}
ACTED_ON = [key for key in KEYS.values() if not key.planned]


@pytest.mark.parametrize("key", ACTED_ON, ids=lambda key: key.name)
def test_what_a_key_takes_is_what_its_annotation_says(key):
    (field,) = (one for one in fields(VIEWS[key.category]) if one.name == key.last_name)
    expected = TYPES[key.kind] | None if key.nullable else TYPES[key.kind]
    if key.choices:
        assert get_args(field.type) == key.choices
    else:
        assert field.type == expected
    assert field.default is key.default


@pytest.mark.parametrize("key", ACTED_ON, ids=lambda key: key.name)
def test_defaults_are_of_the_type_of_their_key(key):
    plain = {tuple[str, ...]: tuple}.get(TYPES[key.kind], TYPES[key.kind])
    assert key.default is None or type(key.default) is plain


def test_a_view_and_the_mapping_say_the_same():
    values = {"reception.transport": "tcp", "reception.sources": ["10.0.0.1"], "reader.num_chan": 4}
    for config in (Config(), Config.from_mapping(values), Config().with_values(values)):
        for one in ACTED_ON:
            value = getattr(getattr(config, one.category), one.last_name)
            assert (list(value) if isinstance(value, tuple) else value) == config[one.name]


def test_views_of_a_changed_or_copied_configuration_are_its_own():
    config = Config.load(None, ["reception.receiver_port_start=5000", "consumer.command=a 'b c'"])
    changed = config.with_values({"reception.port_start": None, "reception.dump_timeout": 2})
    assert (config.reception.port_start, changed.reception.port_start) == (5000, 41000)
    assert (config.reception.dump_timeout, changed.reception.dump_timeout) == (0, 2)
    assert config.consumer.command == changed.consumer.command == ("a", "b c")
    assert pickle.loads(pickle.dumps(config)).reception.port_start == 5000  # noqa: S301 (our own)


def test_views_do_not_change_and_do_not_show_credentials():
    config = Config.from_mapping({"rclone.configurl": "https://host/sesame"})
    with pytest.raises(FrozenInstanceError):
        config.rclone.configurl = "https://other"
    with pytest.raises(AttributeError):
        config.rclone = Config().rclone
    assert "sesame" not in repr(config.rclone)


def test_no_view_has_what_is_only_planned():
    config = Config.from_mapping({"vys.fabric": "soft", "reception.plasma_path": "/x"})
    assert (config["vys.fabric"], config["reception.plasma_path"]) == ("soft", "/x")
    assert not hasattr(config, "vys")
    assert not hasattr(config.reception, "plasma_path")


def test_an_annotation_that_no_key_can_have():
    @category
    class Strange:
        when: complex = key(1j, "A number of no kind.")

    with pytest.raises(TypeError, match=r"strange\.when: no key takes <class 'complex'>"):
        keys_of("strange", Strange)
