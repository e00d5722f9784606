"""A set that is sent and received comes back as the interface allows, through the real commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands import ok, run, send, start_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets


def trip(
    folder: Path, ms: Path, *, transport: str, channels_per_stream: int, name: str = "received.ms"
) -> Path:
    values = {"transmission.channels_per_stream": channels_per_stream}
    received = folder / name
    receiver = start_receiver(
        folder,
        ms,
        values | {"reception.transport": transport, "reception.outputfilename": received},
        flags=["--fail-on-loss"],
    )
    # No faster than a receiver takes it that others keep from running for a while.
    sending = {"transmission.transport": transport, "transmission.rate": 50e6}
    sent = send(receiver, ms, values | sending)
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    summary = receiver.summary()
    assert not summary["lost"]
    [scan] = summary["scans"]
    assert scan["heaps_expected"] == scan["heaps_received"] > 0
    return received


@pytest.mark.parametrize("channels_per_stream", [1, 2, 3])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_real_set_comes_back(
    lofar_ms: Path, tmp_path: Path, transport: str, channels_per_stream: int
) -> None:
    first = trip(tmp_path, lofar_ms, transport=transport, channels_per_stream=channels_per_stream)
    ok("ms-diff", "--round-trip", lofar_ms, first)
    second = trip(
        tmp_path,
        first,
        transport=transport,
        channels_per_stream=channels_per_stream,
        name="second.ms",
    )
    # HISTORY tells of each receive; everything else is as it was, to the last bit.
    ok("ms-diff", "--ignore", "HISTORY", "--atol", "0", "--rtol", "0", first, second)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_simulated_array_comes_back(
    simulated_set: SimulatedSets, tmp_path: Path, transport: str
) -> None:
    simulated = simulated_set(
        array="ska-low",
        integrations=8,
        channels=16,
        auto_only=True,
        weights="random",
        flag_fraction=0.05,
    )
    received = trip(tmp_path, simulated, transport=transport, channels_per_stream=5)
    ok("ms-diff", "--round-trip", simulated, received)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_many_channels_of_many_antennas_come_back(
    simulated_set: SimulatedSets, tmp_path: Path, transport: str
) -> None:
    simulated = simulated_set(
        integrations=4, channels=256, noise=0.1, weights="random", flag_fraction=0.05
    )
    received = trip(tmp_path, simulated, transport=transport, channels_per_stream=60)
    ok("ms-diff", "--round-trip", simulated, received)


def test_a_receiver_of_some_channels_writes_just_those(tmp_path: Path, lofar_ms: Path) -> None:
    values = {"transmission.channels_per_stream": 2}
    receiver = start_receiver(tmp_path, lofar_ms, values | {"reception.channels": "2:4"})
    sent = send(receiver, lofar_ms, values | {"reader.start_chan": 2, "reader.num_chan": 4})
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    assert receiver.summary()["scans"][0]["heaps_missing"] == 0
    differs = run("ms-diff", lofar_ms, receiver.folder / "received.ms")
    assert differs.returncode == 1
    assert "SPECTRAL_WINDOW" in differs.stdout
