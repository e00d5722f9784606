"""Which time each dump carries, and when it is due."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from emulator.send.pacing import Pacer, Schedule
from receive.command.errors import InputError

TIMES = np.array([4.9e9, 4.9e9 + 10, 4.9e9 + 25])  # with a gap


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "times_mjd_s": TIMES,
        "intervals_s": np.full(3, 10.0),
        "integrations": 3,
    }
    return Schedule(**(values | changes))


def test_each_integration_carries_its_own_time() -> None:
    plain = schedule()
    assert plain.dumps == 3
    assert [plain.time_mjd_s(dump) for dump in range(3)] == TIMES.tolist()
    assert [plain.offset_s(dump) for dump in range(3)] == [0, 10, 25]


def test_times_of_repeats_go_on_past_the_last_one() -> None:
    repeated = schedule(repeats=2)
    times = [repeated.time_mjd_s(dump) - 4.9e9 for dump in range(repeated.dumps)]
    assert times == [0, 10, 25, 35, 45, 55]


def test_repeats_of_few_integrations_use_the_times_that_the_model_holds() -> None:
    repeated = schedule(integrations=1, repeats=3)
    assert [repeated.time_mjd_s(dump) for dump in range(3)] == TIMES.tolist()


def test_repeats_may_carry_the_same_time() -> None:
    repeated = schedule(repeats=2, repeat_same_time=True)
    times = [repeated.time_mjd_s(dump) - 4.9e9 for dump in range(6)]
    assert times == [0, 0, 10, 10, 25, 25]


def test_an_interval_of_ones_own_does_not_depend_on_the_times() -> None:
    assert [schedule(time_interval_s=0.5).offset_s(dump) for dump in range(3)] == [0, 0.5, 1.0]
    assert not schedule(time_interval_s=-1.0).paced


def test_times_that_a_heap_cannot_carry_are_refused_before_the_first_is_sent() -> None:
    with pytest.raises(InputError, match="cannot be sent"):
        schedule(times_mjd_s=np.array([-5.0, 5.0, 4.9e9]))


def test_moments_are_absolute_and_lateness_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Clock(asyncio.SelectorEventLoop):
        """A loop whose time is made: waiting takes no time, being busy does."""

        now_s = 100.0

        def time(self) -> float:
            return self.now_s

        def _run_once(self) -> None:
            due = [handle.when() for handle in self._scheduled]  # type: ignore[attr-defined]
            if due and not self._ready:  # type: ignore[attr-defined]
                self.now_s = max(self.now_s, min(due))
            super()._run_once()  # type: ignore[misc]

    async def go(loop: Clock) -> list[float]:
        pacer = Pacer(schedule(integrations=3, repeats=2, time_interval_s=2.0))
        moments = []
        for dump, busy_s in enumerate([0.5, 5.0, 0.0, 0.0, 0.0, 0.0]):
            assert await pacer.wait(dump, asyncio.Event())
            moments.append(loop.now_s - 100)
            loop.now_s += busy_s
        return moments

    with asyncio.Runner(loop_factory=Clock) as runner, caplog.at_level(logging.WARNING):
        loop = runner.get_loop()
        assert isinstance(loop, Clock)
        moments = runner.run(go(loop))
    # Dump 1 holds the sender up from 2 to 7; from dump 4 on everything is in time again.
    assert moments == pytest.approx([0, 2, 7, 7, 8, 10], abs=0.1)
    assert len(caplog.records) == 1
    assert "Dump 2 is 3.0 s late" in caplog.text


def test_waiting_ends_at_once_when_told_to_stop() -> None:
    async def go() -> list[bool]:
        stop = asyncio.Event()
        pacer = Pacer(schedule(time_interval_s=1e6))
        first = await pacer.wait(0, stop)
        asyncio.get_running_loop().call_soon(stop.set)
        return [first, await pacer.wait(1, stop), await pacer.wait(0, stop)]

    assert asyncio.run(go()) == [True, False, False]
