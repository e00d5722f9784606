"""What is said of an end: that nothing was lost only where nothing can have been."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from receive.command.ending import EndedBy, ScanEnd, last_line, most_telling, scan_ended_by, verdict
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "ends.md"
MODEL = 60
streams = st.integers(0, 4)


@st.composite
def ends(draw: st.DrawFn) -> ScanEnd:
    ended, unended = draw(streams), draw(streams)
    broken = draw(st.integers(0, unended))
    cause = draw(st.none() | st.sampled_from(EndedBy))
    came = draw(st.integers(0, MODEL) | st.just(MODEL))
    after = draw(st.none() | st.integers(0, MODEL - came))
    return ScanEnd(scan_ended_by(cause, ended, unended, broken), ended, unended, came, MODEL, after)


@given(st.lists(ends(), max_size=3), st.booleans())
@example([ScanEnd(EndedBy.LOST_END, 0, 1, MODEL, MODEL, 0)], False)
def test_nothing_was_lost_is_said_only_where_nothing_can_have_been(
    scans: list[ScanEnd], lost: bool
) -> None:
    said = verdict(scans, lost=lost or any(end.left_out for end in scans))
    whole = all(
        # All that was asked for, or all of the model and a word of the sender that this is all.
        end.by is EndedBy.MAX_DUMPS or (end.came == MODEL and (end.ended or not end.unended))
        for end in scans
    )
    if "nothing was lost" in said:
        assert whole
        assert scans
        assert not lost
    assert said.startswith("DATA WERE LOST") == (lost or any(end.left_out for end in scans))
    for end in scans:
        if end.left_out:
            assert end.is_incomplete
            assert not end.ended
        assert ScanEnd.from_dict(end.as_dict() | {"model_integrations_after": end.after}) == end


@pytest.mark.parametrize(
    ("cause", "ended", "unended", "broken", "by"),
    [
        (None, 2, 0, 0, "streams-ended"),
        (None, 1, 1, 0, "lost-end"),
        (None, 1, 1, 1, "peer-lost"),
        (None, 0, 2, 2, "peer-lost"),
        (EndedBy.IDLE, 0, 2, 0, "idle"),
        (EndedBy.IDLE, 0, 2, 1, "peer-lost"),
        # Whatever ends the run then: the scan had ended.
        (EndedBy.IDLE, 2, 0, 0, "streams-ended"),
        (EndedBy.SIGNAL, 2, 0, 0, "streams-ended"),
        (EndedBy.SIGNAL, 0, 2, 0, "signal"),
        (EndedBy.STOPPED, 1, 1, 1, "stopped"),
        (EndedBy.NEXT_SCAN, 2, 0, 0, "streams-ended"),
        (EndedBy.NEXT_SCAN, 0, 2, 2, "next-scan"),
        (EndedBy.MAX_DUMPS, 2, 0, 0, "max-dumps"),
        (EndedBy.NO_CONSUMER, 0, 0, 0, "no-consumer"),
    ],
)
def test_what_ended_a_scan(
    cause: EndedBy | None, ended: int, unended: int, broken: int, by: str
) -> None:
    assert scan_ended_by(cause, ended, unended, broken) == by


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (
            ScanEnd(EndedBy.IDLE, 0, 2, 12, MODEL, 48),
            "12 of the model's 60 integrations; the sender did not end its streams",
        ),
        (
            ScanEnd(EndedBy.PEER_LOST, 1, 1, 12, MODEL, 48),
            "12 of the model's 60 integrations; the sender did not end 1 of its 2 streams",
        ),
        (ScanEnd(EndedBy.STREAMS_ENDED, 2, 0, 12, MODEL, 48), "12 of the model's 60 integrations"),
        (
            ScanEnd(EndedBy.IDLE, 0, 2, 60, MODEL, 0),
            "60 of the model's 60 integrations; the sender did not end its streams",
        ),
        (
            ScanEnd(EndedBy.STOPPED, 0, 2, 7, MODEL, 0),
            "7 of the model's 60 integrations; ended (stopped) before the sender ended its streams",
        ),
        (
            ScanEnd(EndedBy.STREAMS_ENDED, 2, 0, 12, MODEL, None),
            "12 integrations at times that are not the model's 60",
        ),
    ],
)
def test_what_there_may_be_more_of(end: ScanEnd, text: str) -> None:
    assert end.is_incomplete
    assert end.text() == verdict([end], lost=False) == text
    assert verdict([end], lost=True) == f"DATA WERE LOST: {text}"
    whole = ScanEnd(EndedBy.STREAMS_ENDED, 2, 0, MODEL, MODEL, 0)
    several = verdict([whole, end, end], lost=False)
    assert several == f"scan 2: {text} (and of 1 other scans not all)"
    assert verdict([whole, whole], lost=False) == "nothing was lost"
    said = verdict([whole, whole], lost=False, refused={"late": 1, "bad-time": 2})
    assert said == "nothing is missing, but 3 heaps were refused (late 1, bad-time 2)"
    assert verdict([], lost=False) == "nothing came"


@given(st.lists(st.none() | st.sampled_from([one.value for one in EndedBy])))
def test_of_several_receivers_the_one_that_tells_most_counts(reasons: list[Any]) -> None:
    found = most_telling(reasons)
    known = [reason for reason in reasons if reason]
    assert (found is None) == (not known)
    assert all(list(EndedBy).index(EndedBy(one)) <= list(EndedBy).index(found) for one in known)


def test_the_last_line_begins_and_ends_as_ever() -> None:
    line = last_line(60, "1 MiB in 1 s", EndedBy.IDLE, "nothing was lost")
    assert line == "received 60 integrations, 1 MiB in 1 s, ended_by=idle: nothing was lost"


def test_the_table_of_the_documentation_has_them_all_in_order() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \| (?:scan, )?run \|", PAGE.read_text(), re.MULTILINE)
    assert told == [one.value for one in EndedBy]
