"""What the kernel is told of files that grow."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from receive.measurement_set.tiled import write_behind
from receive.measurement_set.tiled.write_behind import PAGE_BYTES, WriteBehind

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 10 * PAGE_BYTES


class Kernel:
    """Takes the advice, when it is allowed to."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def advise(self, descriptor: int, begin: int, length: int, what: int) -> None:
        assert self.goes_on.wait(60)
        assert what == os.POSIX_FADV_DONTNEED
        self.told.append((descriptor, begin, begin + length))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(write_behind, "STEP_BYTES", STEP)
    monkeypatch.setattr(os, "posix_fadvise", made.advise)
    return made


@pytest.fixture
def behind(kernel: Kernel) -> Iterator[WriteBehind]:
    made = WriteBehind()
    yield made
    kernel.goes_on.set()
    made.close()


def wrote_and_told(behind: WriteBehind, descriptor: int, end: int) -> None:
    behind.wrote(descriptor, end)
    running = behind._files[descriptor].running
    if running is not None:
        running.result()


def test_whole_pages_are_named_again_until_they_are_surely_on_the_disk(
    kernel: Kernel, behind: WriteBehind
) -> None:
    for step in range(1, 5):
        wrote_and_told(behind, 7, step * STEP + 100)
    pages = [(begin // PAGE_BYTES, end // PAGE_BYTES) for _, begin, end in kernel.told]
    assert pages == [(0, 10), (0, 20), (0, 30), (10, 40)]
    assert all(begin % PAGE_BYTES == end % PAGE_BYTES == 0 for _, begin, end in kernel.told)


def test_little_is_not_worth_a_word(kernel: Kernel, behind: WriteBehind) -> None:
    wrote_and_told(behind, 7, STEP - 1)
    assert not kernel.told
    wrote_and_told(behind, 7, STEP)
    wrote_and_told(behind, 8, STEP - 1)
    assert kernel.told == [(7, 0, STEP)]


def test_a_slow_disk_holds_nobody_up(kernel: Kernel, behind: WriteBehind) -> None:
    kernel.goes_on.clear()
    for step in range(1, 6):
        behind.wrote(7, step * STEP)
    assert not kernel.told
    kernel.goes_on.set()
    running = behind._files[7].running
    assert running is not None
    running.result()
    wrote_and_told(behind, 7, 6 * STEP)
    assert kernel.told == [(7, 0, STEP), (7, 0, 6 * STEP)]


def test_a_file_system_that_takes_no_advice_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, behind: WriteBehind
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no advice, please")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    wrote_and_told(behind, 7, STEP)
