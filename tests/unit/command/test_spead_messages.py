"""Messages about single packets do not fill the log."""

from __future__ import annotations

import logging

import pytest

from receive.command import spead_messages
from receive.command.rate_limit import FIRST_AGAIN_S
from receive.command.spead_messages import Rarely


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch):
    """Return a function that says something at a time, and tells what came of it."""
    now_s = [0.0]
    monkeypatch.setattr(spead_messages.time, "monotonic", lambda: now_s[0])
    rarely = Rarely()

    def say(at_s: float, text: str) -> str | None:
        now_s[0] = at_s
        record = logging.LogRecord("spead2", logging.WARNING, "", 0, "%s", (text,), None)
        return record.getMessage() if rarely.filter(record) else None

    return say


def test_a_message_that_goes_on_is_said_ever_more_rarely_with_its_number(said) -> None:
    shown = [(at_s, text) for at_s in range(100) if (text := said(at_s, "packet rejected"))]
    first, second, third = FIRST_AGAIN_S, FIRST_AGAIN_S * 3, FIRST_AGAIN_S * 7
    assert shown == [
        (0, "packet rejected"),
        (first, "packet rejected (10 times since the last such line)"),
        (second, "packet rejected (20 times since the last such line)"),
        (third, "packet rejected (40 times since the last such line)"),
    ]


def test_numbers_make_no_other_message_but_words_do(said) -> None:
    assert said(0, "too long: 1400 != 9000")
    assert said(1, "too long: 1500 != 9000") is None
    assert said(2, "another")


def test_that_messages_were_dropped_is_not_said(said) -> None:
    assert said(0, "Log ringbuffer was full - some log messages were dropped") is None
