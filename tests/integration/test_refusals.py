"""A sender and a receiver that do not agree: the operator is told at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import ok, send, start_receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 antennas, 6 baselines, 8 channels, 5 integrations."""
    return simulated(tmp_path_factory.mktemp("model") / "model.ms", antennas=4)


def simulated(path: Path, *, antennas: int) -> Path:
    ok(
        "emu-simulate",
        *("--array", "meerkat", "--num-antennas", str(antennas)),
        *("--integrations", "5", "--channels", "8", path),
    )
    return path


@pytest.mark.parametrize(
    ("values", "reason", "words"),
    [
        (
            {"reader.num_chan": 2},
            "size",
            ["408 bytes", "8 channels x 6 baselines x 34 = 1632", "channels_per_stream"],
        ),
        ({"reception.telescope": "mid"}, "size", ["1680 bytes", "reception.telescope"]),
        (
            {"transmission.channel_id_offset": 3},
            "channel",
            ["channel id 3", "transmission.channel_id_offset"],
        ),
    ],
)
def test_a_sender_configured_otherwise_is_told_of_while_it_sends(
    tmp_path: Path, model: Path, values: dict[str, Any], reason: str, words: list[str]
) -> None:
    receiver = start_receiver(tmp_path, model)
    sent = send(receiver, model, values)
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: " heaps refused: " in receiver.log, "the operator is told")
    assert f"heaps refused: {reason}: " in receiver.log
    for word in words:
        assert word in receiver.log
    receiver.process.send_signal(signal.SIGINT)
    assert receiver.wait() == 130
    assert "DATA WERE LOST" in receiver.log
    summary = receiver.summary()
    assert summary["lost"]
    assert summary["heaps_refused_outside_scans"][reason] > 0


def test_another_array_is_told_of(tmp_path: Path, model: Path) -> None:
    other = simulated(tmp_path / "other.ms", antennas=5)
    receiver = start_receiver(tmp_path, model, {"reception.idle_timeout": 8})
    assert send(receiver, other).returncode == 0
    assert receiver.wait() == 6, receiver.log
    assert "they hold 10 baselines, the model 6" in receiver.log
    assert "nothing that could be used arrived" in receiver.log


def test_a_run_ends_when_nobody_is_left_to_take_what_comes(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(
        tmp_path,
        model,
        {
            "reception.consumer": "tests.integration.recorder.Raising",
            "reception.max_scans": 0,
            "reception.idle_timeout": 0,
        },
    )
    assert send(receiver, model).returncode == 0
    assert receiver.wait() == 8, receiver.log
    assert "DATA WERE LOST" in receiver.log
    assert "did not consume" in receiver.log


def test_what_of_the_model_did_not_come_is_told(tmp_path: Path, model: Path) -> None:
    receiver = start_receiver(tmp_path, model)
    assert send(receiver, model, {"reader.num_timestamps": 3}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert "0 before the first and 2 after the last did not come" in receiver.log


def test_signals_at_any_moment_end_it(tmp_path: Path, model: Path) -> None:
    """Some while it waits, some while it works: none may find it in a lock."""
    for number in (signal.SIGTERM, signal.SIGINT) * 4:
        receiver = start_receiver(tmp_path, model, {"reception.overwrite": True})
        for _ in range(20):
            receiver.process.send_signal(number)
        assert receiver.wait(30) == 128 + number, receiver.log
