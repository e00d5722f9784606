from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import termios
import threading

import pytest

from receive.command.progress import Progress, format_bytes, format_seconds


def read_all(leader: int) -> str:
    """Return what was written to a terminal that is closed."""
    parts = []
    with contextlib.suppress(OSError):  # how Linux says that it was the last
        while part := os.read(leader, 65536):
            parts.append(part)
    os.close(leader)
    return b"".join(parts).decode()


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="receive")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_line_at_most_every_five_seconds(clock, lines):
    with Progress("sending", 100, "dumps", stream=io.StringIO(), clock=clock) as progress:
        for _ in range(100):
            clock.now_s += 0.25
            progress.update()
    assert len(lines()) == 5
    assert lines()[0] == "sending: 20 of 100 dumps (20 %), 4 dumps/s, 20 s left"
    assert progress.done == 100


def test_what_is_done_sooner_says_nothing(clock, lines):
    with Progress("sending", 10, "dumps", stream=io.StringIO(), clock=clock) as progress:
        clock.now_s += 4
        progress.update(10)
    assert lines() == []


def test_bytes_an_unknown_total_and_a_note(clock, lines):
    with Progress("reading", None, "B", stream=io.StringIO(), clock=clock) as progress:
        progress.set_rate(3 * 2**20)
        clock.now_s += 5
        progress.update(10 * 2**20)
    assert lines() == ["reading: 10.0 MiB, 2.0 MiB/s, 3.0 MiB/s"]


def test_nothing_in_all(clock, lines):
    with Progress("reading", 0, "rows", stream=io.StringIO(), clock=clock) as progress:
        clock.now_s += 5
        progress.update(0)
    assert lines() == ["reading: 0 of 0 rows (100 %), 0 rows/s"]


def test_counts_of_several_threads_add_up(clock):
    with Progress("reading", 4000, "rows", stream=io.StringIO(), clock=clock) as progress:
        threads = [
            threading.Thread(target=lambda: [progress.update() for _ in range(1000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert progress.done == 4000


def test_a_terminal_gets_a_bar():
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    with (
        os.fdopen(follower, "w") as stream,
        Progress("sending", 10, "dumps", stream=stream) as progress,
    ):
        progress.set_note("fast")
        progress.update(10)
    shown = read_all(leader)
    assert "sending: 100%" in shown
    assert "10/10" in shown
    assert "fast" in shown


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (2**52, "4096.0 TiB")],
)
def test_bytes_as_people_read_them(number, text):
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (42, "42 s"), (190, "3 min 10 s"), (7500, "2 h 5 min")]
)
def test_seconds_as_people_read_them(seconds, text):
    assert format_seconds(seconds) == text
