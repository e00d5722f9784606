"""A receiver embedded in another program: this one."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.ending import EndedBy
from receive.command.errors import InputError
from receive.command.stop import StopRequest
from receive.config import Config
from receive.run.session import session
from tests.commands import ok, options, run
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from receive.account.outcome import Outcome
    from tests.simulated import SimulatedSets

TIMES = 20


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    return simulated_set(num_antennas=4, integrations=TIMES, channels=8)


class Embedded:
    """A session in a thread, as a control system would have one."""

    def __init__(self, folder: Path, model: Path, **values: Any) -> None:
        self.ready_file = folder / "ready.json"
        self.stop = StopRequest()
        self.outcome: Outcome | None = None
        self.config = Config.from_mapping(
            {
                "reception.bind_hostname": "127.0.0.1",
                "reception.port_start": 0,
                "reception.datamodel": str(model),
                "reception.outputfilename": str(folder / "received.ms"),
                **values,
            }
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(self.ready_file.exists, "packets can come")
        ports = json.loads(self.ready_file.read_text())["ports"]
        self.endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)

    def _run(self) -> None:
        self.outcome = session(self.config, self.stop, ready_files=[self.ready_file])

    def join(self) -> Outcome:
        self._thread.join(60)
        assert self.outcome is not None
        return self.outcome


def test_it_receives_and_returns_what_became_of_it(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    embedded = Embedded(tmp_path, model)
    sends = {"transmission.endpoints": embedded.endpoints, "transmission.time_interval": 0.005}
    assert run("emu-send", *options(sends), model).returncode == 0
    outcome = embedded.join()
    assert outcome.ended_by is EndedBy.STREAMS_ENDED
    assert [scan.dumps for scan in outcome.scans] == [TIMES]
    assert not outcome.lost
    assert outcome.sets == [tmp_path / "received.ms"]
    assert not embedded.ready_file.exists()
    assert not capfd.readouterr().out
    ok("ms-diff", "--round-trip", model, tmp_path / "received.ms")


def test_another_thread_may_end_it(tmp_path: Path, model: Path) -> None:
    embedded = Embedded(tmp_path, model)
    embedded.stop.set(EndedBy.STOPPED)
    outcome = embedded.join()
    assert outcome.ended_by is EndedBy.STOPPED
    assert not outcome.scans


def test_what_is_wrong_is_raised(tmp_path: Path) -> None:
    config = Config.from_mapping({"reception.datamodel": str(tmp_path / "none.ms")})
    with pytest.raises(InputError, match=r"none\.ms"):
        session(config)
