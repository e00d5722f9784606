"""Whatever port a heap comes to, its channel id says where its data belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import send, start_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    return simulated_set(num_antennas=4, integrations=5, channels=8, noise=1)


def column(ms: Path, name: str) -> np.ndarray:
    with table(str(ms), ack=False) as main:
        return np.asarray(main.getcol(name))


def test_other_channels_on_our_ports_go_to_their_own_place(tmp_path: Path, model: Path) -> None:
    """Low's data heaps carry no channel id: their start heap does."""
    values = {"transmission.channels_per_stream": 2, "reception.dump_timeout": 0.2}
    receiver = start_receiver(tmp_path, model, values | {"reception.channels": "2:4"})
    sent = send(receiver, model, values | {"reader.num_chan": 4})  # channels 0 to 3
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    [scan] = receiver.summary()["scans"]
    assert scan["heaps_malformed"]["channel"] == 5
    assert (scan["heaps_received"], scan["heaps_missing"]) == (5, 5)
    data, original = column(tmp_path / "received.ms", "DATA"), column(model, "DATA")
    flags = column(tmp_path / "received.ms", "FLAG")
    assert np.array_equal(data[:, :2], original[:, 2:4])
    assert not flags[:, :2].any()
    assert flags[:, 2:].all()


def test_ids_with_an_offset_that_the_receiver_does_not_know_are_refused(
    tmp_path: Path, model: Path
) -> None:
    receiver = start_receiver(tmp_path, model, {"reception.idle_timeout": 8})
    sent = send(receiver, model, {"transmission.channel_id_offset": 7})
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 6, receiver.log
    assert "channel id 7" in receiver.log
    assert "transmission.channel_id_offset" in receiver.log
