"""Senders of the older style, received by the real command into a Measurement Set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from receive.icd.records import vis_slots
from tests.commands import start_receiver
from tests.integration.senders import LOW, MID, UNIX_EPOCH_MJD_S, Observation, send_older_style

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets

ANTENNAS, CHANNELS, PER_STREAM, INTEGRATIONS = 4, 10, 4, 12
SCAN_ID = 4711


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    """10 baselines with autocorrelations, 10 channels, 12 integrations."""
    return simulated_set(
        num_antennas=ANTENNAS, autocorrelations=True, integrations=INTEGRATIONS, channels=CHANNELS
    )


def columns(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    with table(str(path), ack=False) as opened:
        return tuple(opened.getcol(name) for name in names)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("telescope", "record"), [("low", LOW), ("mid", MID)])
def test_what_they_send_is_in_the_set(
    tmp_path: Path, model: Path, transport: str, telescope: str, record: np.dtype[Any]
) -> None:
    times, antenna1, antenna2, exposures, uvw = columns(
        model, "TIME", "ANTENNA1", "ANTENNA2", "EXPOSURE", "UVW"
    )
    times_s = times[:: len(times) // INTEGRATIONS] - UNIX_EPOCH_MJD_S
    observation = Observation(
        times=INTEGRATIONS,
        channels=CHANNELS,
        per_stream=PER_STREAM,
        antennas=ANTENNAS,
        dtype=record,
        scan_id=SCAN_ID,
        interval_s=times_s[1] - times_s[0],
        first_unix_s=times_s[0],
    )
    receiver = start_receiver(
        tmp_path,
        model,
        {
            "reception.transport": transport,
            "reception.telescope": telescope,
            "transmission.channels_per_stream": PER_STREAM,
        },
        flags=["--fail-on-loss"],
    )
    send_older_style(observation, receiver.ports, tcp=transport == "tcp")
    assert receiver.wait() == 0, receiver.log
    (scan,) = receiver.summary()["scans"]
    assert scan["scan_id"] == SCAN_ID
    assert scan["heaps_expected"] == scan["heaps_received"] == 3 * INTEGRATIONS
    assert "the sender leaves FD at 0" in receiver.log

    received = tmp_path / "received.ms"
    time, first, second, data, flag, scans = columns(
        received, "TIME", "ANTENNA1", "ANTENNA2", "DATA", "FLAG", "SCAN_NUMBER"
    )
    assert np.array_equal(time, times)
    assert np.array_equal(first, antenna1)
    assert np.array_equal(second, antenna2)
    assert (scans == SCAN_ID).all()
    with table(str(received / "POLARIZATION"), ack=False) as polarization:
        slots = vis_slots(polarization.getcell("CORR_TYPE", 0))
    sent = observation.records["VIS"][..., slots].transpose(0, 2, 1, 3)
    assert data.tobytes() == np.ascontiguousarray(sent).tobytes()
    # They never fill FD in, so that FD = 0 flags nothing and all weights are full.
    assert not flag.any()
    weights, uvw_received = columns(received, "WEIGHT_SPECTRUM", "UVW")
    with table(str(model / "SPECTRAL_WINDOW"), ack=False) as windows:
        width_hz = np.abs(windows.getcell("CHAN_WIDTH", 0))
    full = np.broadcast_to((exposures[:, None] * width_hz)[..., None], weights.shape)
    np.testing.assert_allclose(weights, full)
    assert np.array_equal(uvw_received, uvw)
