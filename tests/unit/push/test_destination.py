"""What ``rclone.command`` may be, and how several sets are called there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.config.destination import destinations, parse_destination


@pytest.mark.parametrize(
    ("text", "remote", "path"),
    [
        ("gcs:/bucket/demo.ms", "gcs", "/bucket/demo.ms"),
        ("gcs:bucket/demo.ms/", "gcs", "bucket/demo.ms"),
        ("my remote-2:a:b", "my remote-2", "a:b"),
        ("s3,region=eu:bucket/x", "s3", "bucket/x"),
        (":webdav,url='http://u:p@host:80/':x.ms", ":webdav", "x.ms"),
        (':webdav,url="http://host/a,b",vendor=other:x.ms', ":webdav", "x.ms"),
        (":s3,env_auth:bucket/x", ":s3", "bucket/x"),
    ],
)
def test_what_is_accepted(text, remote, path):
    parsed = parse_destination(text)
    assert (parsed.remote, parsed.path) == (remote, path)
    assert f"{parsed.remote}{parsed.parameters}:{parsed.path}" == text.rstrip("/")
    assert "http" not in parsed.shown
    assert "http" not in str(parsed)


@pytest.mark.parametrize(
    "text", ["", "x", "/a/b", "./a:b", "-a:b", "--x", ":", ":x", "a:", "a:/", "a:..", "a:b/..",
             "a/b:c", ",a:b", "a,b=':c", "::a"]
)  # fmt: skip
def test_what_is_refused(text):
    with pytest.raises(ValueError, match=r"stands|option"):
        parse_destination(text)


@given(st.text(max_size=30))
def test_whatever_is_accepted_is_no_option_and_no_local_path(text):
    try:
        parsed = parse_destination(text)
    except ValueError:
        return
    assert str(parsed)[0] not in "-/."
    assert parsed.remote
    assert f"{parsed.remote}{parsed.parameters}:{parsed.path}" == text.rstrip("/")


@given(
    st.sampled_from([":s3", ":webdav", "far", "my remote-2"]),
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,15}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
        max_size=4,
    ),
    st.sampled_from("\"'"),
)
def test_parameters_are_variables_of_the_environment_and_nothing_else(remote, values, quote):
    text = "".join(
        f",{key}={quote}{value.replace(quote, quote * 2)}{quote}" for key, value in values.items()
    )
    parsed = parse_destination(f"{remote}{text}:bucket/x.ms")
    name = "vis_receive_described" if remote.startswith(":") else remote
    prefix = f"RCLONE_CONFIG_{name.upper().replace('-', '_')}_"
    own = {"type": remote[1:]} if remote.startswith(":") else {}
    assert parsed.variables == {
        prefix + key.upper(): value for key, value in (own | values).items()
    }
    assert str(parsed) == f"{name}:bucket/x.ms"
    assert parsed.shown == f"{remote}{',***' if text else ''}:bucket/x.ms"


def test_parameters_without_quotes():
    parsed = parse_destination("far,env_auth,vendor=other,a=:x.ms")
    assert parsed.variables == {
        "RCLONE_CONFIG_FAR_ENV_AUTH": "true",
        "RCLONE_CONFIG_FAR_VENDOR": "other",
        "RCLONE_CONFIG_FAR_A": "",
    }


def test_sets_of_another_name_keep_it():
    command = parse_destination("far:dir.v1/demo.ms")
    sets = [Path("/r/recv-vis-p1.ms"), Path("/r/averaged.ms")]
    places = destinations(command, sets, Path("/r/recv-vis.ms"), index=0, count=1, attempt=0)
    assert [str(place) for place in places.values()] == [
        "far:dir.v1/demo-p1.ms",
        "far:dir.v1/demo-averaged.ms",
    ]


def test_a_name_without_extension():
    command = parse_destination("far:dir.v1/demo")
    places = destinations(command, [Path("/r/v.ms")], Path("/r/v.ms"), index=2, count=4, attempt=1)
    assert [str(place) for place in places.values()] == ["far:dir.v1/demo-2-1"]
