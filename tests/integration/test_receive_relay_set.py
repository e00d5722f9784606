"""The real commands with a bad network between them: the set is flagged where packets were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import casacore.tables
import numpy as np
import pytest

from receive.icd.times import ticks_from_mjd_s
from tests.commands import send, start_receiver
from tests.integration.relay import Harm, Relay

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets

pytestmark = pytest.mark.timely

CHANNELS, PER_STREAM = 8, 4


def columns(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return TIME, DATA and FLAG."""
    with casacore.tables.table(str(path), ack=False) as opened:
        return opened.getcol("TIME"), opened.getcol("DATA"), opened.getcol("FLAG")


def test_the_set_is_flagged_exactly_where_packets_were_dropped(
    simulated_set: SimulatedSets, tmp_path: Path
) -> None:
    received = tmp_path / "received.ms"
    simulated = simulated_set(num_antennas=6, integrations=60, channels=CHANNELS, noise=1)
    values = {"transmission.channels_per_stream": PER_STREAM}
    receiver = start_receiver(
        tmp_path, simulated, values | {"reception.dump_timeout": 2}, flags=["--fail-on-loss"]
    )
    harm = Harm(drop=0.02, repeat=0.05, delay=0.05)
    relays = [Relay(port, harm, seed) for seed, port in enumerate(receiver.ports)]
    endpoints = ",".join(f"127.0.0.1:{relay.port}" for relay in relays)
    sent = send(
        receiver,
        simulated,
        values | {"transmission.endpoints": endpoints, "transmission.max_packet_size": 500},
    )
    assert sent.returncode == 0, sent.stderr
    for relay in relays:
        relay.finish()
    assert receiver.wait() == 7, receiver.log

    [scan] = receiver.summary()["scans"]
    assert scan["heaps_expected"] == scan["heaps_received"] + scan["heaps_missing"]
    lost = [{relay.ticks[h] for h in relay.missing() if h in relay.ticks} for relay in relays]
    assert max(len(offsets) for relay in relays for offsets in relay.sent.values()) in range(2, 11)
    assert scan["heaps_missing"] == sum(map(len, lost)) > 0
    time, data, flag = columns(received)
    all_time, all_data, _ = columns(simulated)
    assert np.array_equal(time, all_time)
    ticks = ticks_from_mjd_s(time)
    for stream, missing in enumerate(lost):
        channels = slice(stream * PER_STREAM, (stream + 1) * PER_STREAM)
        gone = np.isin(ticks, np.array(sorted(missing), np.uint64))
        assert flag[gone, channels].all()
        assert not flag[~gone, channels].any()
        assert not data[gone, channels].any()
        assert np.array_equal(data[~gone, channels], all_data[~gone, channels])
