"""Whatever a credential is made of, no piece of it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.command.errors import ConfigError
from receive.config import Config
from receive.config.keys import KEYS, Kind

PIECE = 4
# Nothing around the secrets below is made of these characters alone.
SECRETS = st.text(
    st.sampled_from([*"ABCDEFGHJKLMNPQRSTUVWXYZ0123456789?/#@:%,;'\"=&+!$(){}[]\\ äß"]),
    min_size=PIECE,
    max_size=24,
).filter(lambda text: text == text.strip())


def doubled(secret: str, quote: str) -> str:
    return quote + secret.replace(quote, quote * 2) + quote


FORMS = {
    "userinfo": [
        "https://user:{}@host.example/model.tgz",
        "https://{}@host.example/model.tgz",
        "https://host.example/model.tgz?token={}",
        "https://host.example/model.tgz#{}",
        "https://u:{}@host.example:8080/a@b/model.tgz?x=1",
        "user:{}@proxy.example:3128",
    ],
    "destination": [
        ":s3,access_key_id=it,secret_access_key={double}:bucket/demo.ms",
        ":webdav,pass={single},url='https://host.example':demo.ms",
        "far,pass={double}:demo.ms",
        "https://user:{}@host.example/demo.ms",
        "far,pass={}:demo.ms",
    ],
    "command": [
        "secret:token={}",
        "https://user:{}@host.example/upload",
        "--to=https://user:{}@host.example/upload",
    ],
    True: ["https://host.example/{}", "{}"],
}
CASES = [(key.name, form) for key in KEYS.values() if key.secret for form in FORMS[key.secret]]


def pieces(secret: str) -> set[str]:
    return {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}


def shown(name: str, form: str, secret: str) -> str:
    """Return all that is shown of a configuration, or the error that refuses it."""
    text = form.format(secret, double=doubled(secret, '"'), single=doubled(secret, "'"))
    value: Any = ["program", text, "{path}"] if KEYS[name].kind is Kind.COMMAND else text
    try:
        config = Config.from_mapping({name: value})
    except ConfigError as error:
        return str(error)
    assert config[name] == value
    # JSON and repr escape what a secret may hold.
    return str(json.loads(config.to_json())[name]) + repr(config).replace("\\\\", "\\")


@pytest.mark.parametrize(("name", "form"), CASES)
@given(secret=SECRETS)
def test_no_piece_of_a_credential_is_shown(name, form, secret):
    text, other = shown(name, form, secret), shown(name, form, "x" * len(secret))
    # What another secret shows too is the punctuation of a mapping.
    assert not {piece for piece in pieces(secret) if piece in text and piece not in other}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model.url", "https://host.example:8443/a/model.tgz"),
        ("model.url", "http://[2001:db8::1]:80/model.tgz"),
        ("model.url", "file:///data/a@b/model.tgz"),
        ("model.url", "/data/a@b#1?/model.tgz"),
        ("proxy.server", "proxy.example:3128"),
        ("rclone.command", "far:bucket/demo.ms"),
        ("rclone.command", ":local:/data/demo.ms"),
        (
            "consumer.command",
            ["gzip", "--to=http://host.example/a b", "secret_file:A=/k"],
        ),
    ],
)
def test_what_is_no_credential_is_shown_as_it_is(name, value):
    assert json.loads(Config.from_mapping({name: value}).to_json())[name] == value


@pytest.mark.parametrize("mark", ["secret:", "secret:TOKEN", "secret:=hush", "secret:a b=hush"])
def test_a_mark_without_a_variable_is_refused_and_not_shown(mark):
    with pytest.raises(ConfigError, match="followed by NAME=VALUE") as caught:
        Config.from_mapping({"consumer.command": ["program", mark]})
    assert "hush" not in str(caught.value)
