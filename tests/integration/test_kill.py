"""``emu-recv`` killed at random moments: every integration that it reported closed can be read."""

from __future__ import annotations

import random
import re
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import BIN, ok, options, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import RunningReceiver
    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.patient

KILLS = 40


@pytest.fixture(scope="module")
def tiny(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 8 channels: a dump of 7 kB."""
    return simulated_set(num_antennas=8, integrations=400, channels=8, noise=1)


@pytest.fixture(scope="module")
def large(simulated_set: SimulatedSets) -> Path:
    """2,080 baselines x 16 channels: a dump of 1.1 MB."""
    return simulated_set(autocorrelations=True, integrations=60, channels=16, noise=1)


def reported(receiver: RunningReceiver) -> int:
    """How many integrations the receiver has said are closed."""
    found = re.findall(r"received\.ms: integration (\d+) closed$", receiver.log, re.MULTILINE)
    return max(map(int, found), default=0)


def opens(ms: Path) -> bool:
    try:
        with table(str(ms), ack=False) as main:
            main.getcol("DATA", 0, 1)
    except RuntimeError:
        return False
    return True


def check_closed_dumps(ms: Path, sent: Path, closed: int, baselines: int) -> None:
    with table(str(ms), ack=False) as main, table(str(sent), ack=False) as original:
        rows = closed * baselines
        assert main.nrows() >= rows
        for name in ("TIME", "UVW", "ANTENNA1", "ANTENNA2", "DATA", "FLAG"):
            assert np.array_equal(main.getcol(name, 0, rows), original.getcol(name, 0, rows)), name
        # What lies beyond is either another whole integration or flagged.
        for first in range(rows, main.nrows(), baselines):
            flags = main.getcol("FLAG", first, baselines)
            data = main.getcol("DATA", first, baselines)
            same = np.array_equal(data, original.getcol("DATA", first, baselines))
            assert flags.all() or same


@pytest.mark.parametrize("size", ["tiny", "large"])
@pytest.mark.timeout(600)
def test_killed_at_any_moment(tmp_path: Path, size: str, request: pytest.FixtureRequest) -> None:
    sent: Path = request.getfixturevalue(size)
    baselines = {"tiny": 28, "large": 2080}[size]
    dumps = {"tiny": 400, "large": 60}[size]
    moments = random.Random(20261121)
    recovered = 0
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        receiver = start_receiver(folder, sent, {"reception.transport": "tcp"}, flags=["-v"])
        sender = subprocess.Popen(
            [
                BIN / "emu-send",
                *options(
                    {
                        "transmission.transport": "tcp",
                        "transmission.endpoints": receiver.endpoints,
                        "transmission.time_interval": 0.002,
                    }
                ),
                sent,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wanted = moments.randrange(dumps)
        wait_until(
            lambda: reported(receiver) >= wanted or receiver.process.poll() is not None,  # noqa: B023
            "the moment has come",
        )
        receiver.kill()
        sender.wait(60)
        closed = reported(receiver)
        ms = folder / "received.ms"
        if not ms.exists():
            assert closed == 0
            continue
        if not opens(ms):
            recovered += 1
        ok("ms-recover", ms)
        assert opens(ms)
        check_closed_dumps(ms, sent, closed, baselines)
        if attempt % 10 == 0:
            ok("ms-recover", ms)  # once more does no harm
    print(f"{KILLS} kills on {size} dumps, {recovered} sets opened only after ms-recover")
