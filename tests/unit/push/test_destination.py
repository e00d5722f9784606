"""What ``rclone.command`` may be, and how several sets are called there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.push.destination import destinations, parse_destination


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
    assert str(parsed) == text.rstrip("/")
    assert "http" not in parsed.shown


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
    assert str(parsed) == text.rstrip("/")


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
