"""Long runs in several sets: every integration in exactly one of them, each a set of its own."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import BIN, ok, options, run, send, start_receiver
from tests.integration.test_bad_input import mounted
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tests.simulated import SimulatedSets

DUMPS = 50
BASELINES = 28
ACCOUNT = re.compile(
    r"^part \d+ of scan 1: .* expected (\d+) = received (\d+) \+ missing (\d+)$", re.MULTILINE
)


@pytest.fixture(scope="module")
def observation(simulated_set: SimulatedSets) -> Path:
    """28 baselines x 8 channels, 50 integrations."""
    return simulated_set(num_antennas=8, integrations=DUMPS, channels=8, noise=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    yield from mounted(tmp_path / "disk", "size=24m")


def column(ms: Path, name: str) -> NDArray[Any]:
    with table(str(ms), ack=False) as main:
        values: NDArray[Any] = main.getcol(name)
    return values


def history(ms: Path) -> list[str]:
    with table(str(ms / "HISTORY"), ack=False) as lines:
        messages: list[str] = lines.getcol("MESSAGE")
    return messages


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_parts(parts: list[Path], sent: Path) -> None:
    """All integrations are there once, in order, as they were sent."""
    for name in ("TIME", "ANTENNA1", "DATA", "FLAG", "UVW"):
        joined = np.concatenate([column(part, name) for part in parts])
        assert np.array_equal(joined, column(sent, name)), name
    for part in parts:
        assert not (part / ".vis-receive").exists()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_run_in_sets_of_some_integrations(
    observation: Path, tmp_path: Path, transport: str
) -> None:
    receiver = start_receiver(
        tmp_path,
        observation,
        {
            "reception.transport": transport,
            "consumer.max_dumps_per_ms": 15,
            "transmission.channels_per_stream": 3,
        },
        flags=["--fail-on-loss"],
    )
    sent = send(
        receiver,
        observation,
        {"transmission.transport": transport, "transmission.channels_per_stream": 3},
    )
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    parts = [tmp_path / f"received-p{number}.ms" for number in (1, 2, 3, 4)]
    assert receiver.summary()["sets"] == [str(part) for part in parts]
    assert sorted(tmp_path.glob("*.ms")) == parts
    assert [column(part, "TIME").size // BASELINES for part in parts] == [15, 15, 15, 5]
    check_parts(parts, observation)
    for number, part in enumerate(parts, start=1):
        dumps = 15 if number < 4 else 5
        own = f"part {number} of scan 1: {dumps} integrations "
        (line,) = [line for line in history(part) if line.startswith(own)]
        assert line.endswith(f"expected {3 * dumps} = received {3 * dumps} + missing 0")
    # The whole scan's ledger is in the last.
    assert any(line.startswith("scan 1 (scan id ") for line in history(parts[-1]))
    assert not any(line.startswith("scan 1 (scan id ") for line in history(parts[0]))


def test_a_run_in_sets_of_some_bytes(observation: Path, tmp_path: Path) -> None:
    most = 9_100_000
    values = {"reception.transport": "tcp", "consumer.max_bytes_per_ms": most}
    receiver = start_receiver(tmp_path, observation, values)
    assert send(receiver, observation, {"transmission.transport": "tcp"}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    parts = [tmp_path / name for name in receiver.summary()["sets"]]
    assert len(parts) > 2
    check_parts(parts, observation)
    sizes = {column(part, "TIME").size for part in parts[:-1]}
    assert len(sizes) == 1
    assert all(folder_bytes(part) <= most for part in parts)


def test_the_smaller_of_both_limits_counts_and_check_tells(
    observation: Path, tmp_path: Path
) -> None:
    values = {
        "reception.datamodel": observation,
        "reception.outputfilename": tmp_path / "new.ms",
        "consumer.max_dumps_per_ms": 20,
    }
    printed = ok("emu-recv", "--check", *options(values | {"consumer.max_bytes_per_ms": "1 GiB"}))
    assert "50 integrations in 3 sets of 20" in printed
    assert f"{tmp_path / 'new-p1.ms'} to {tmp_path / 'new-p3.ms'}" in printed
    by_bytes = options(values | {"consumer.max_bytes_per_ms": 9_000_000})
    assert "sets of 20" not in ok("emu-recv", "--check", *by_bytes)
    refused = run("emu-recv", "--check", *options(values | {"consumer.max_bytes_per_ms": 5000}))
    assert refused.returncode == 2
    assert "holds not even one integration" in refused.stderr


def test_sets_of_an_earlier_run_are_not_mixed_with_new_ones(
    observation: Path, tmp_path: Path
) -> None:
    """The third set is in the way: better to know now than in the middle of the night."""
    (tmp_path / "received-p3.ms").mkdir()
    receiver = start_receiver(tmp_path, observation, {"consumer.max_dumps_per_ms": 15}, ready=False)
    assert receiver.wait() == 4
    assert "received-p3.ms exists" in receiver.log


def test_several_scans_in_parts_each(observation: Path, tmp_path: Path) -> None:
    values = {
        "reception.transport": "tcp",
        "consumer.max_dumps_per_ms": 25,
        "reception.max_scans": 2,
    }
    receiver = start_receiver(tmp_path, observation, values)
    for _ in range(2):
        assert send(receiver, observation, {"transmission.transport": "tcp"}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    for scan in (1, 2):
        check_parts([tmp_path / f"received-s{scan}-p{part}.ms" for part in (1, 2)], observation)
    assert len(receiver.summary()["sets"]) == 4


def test_a_kill_leaves_closed_parts_and_one_to_recover(observation: Path, tmp_path: Path) -> None:
    values = {"reception.transport": "tcp", "consumer.max_dumps_per_ms": 10}
    receiver = start_receiver(tmp_path, observation, values, flags=["-v"])
    sending = {
        "transmission.transport": "tcp",
        "transmission.endpoints": receiver.endpoints,
        "transmission.time_interval": 0.02,
    }
    sender = subprocess.Popen(
        [BIN / "emu-send", *options(sending), observation], stderr=subprocess.DEVNULL
    )
    wait_until(
        lambda: "received-p3.ms: integration 5 closed" in receiver.log,
        "the third set has five integrations",
    )
    receiver.kill()
    sender.wait(60)
    found = sorted(tmp_path.glob("received-p*.ms"))
    printed = ok("ms-recover", *found).splitlines()
    assert [line.partition(": ")[2] for line in printed[:2]] == ["needs nothing"] * 2
    joined = np.concatenate([column(part, "DATA") for part in found])
    assert len(joined) >= 25 * BASELINES
    assert np.array_equal(joined, column(observation, "DATA")[: len(joined)])


def test_the_disk_is_asked_for_the_whole_observation(observation: Path, tmp_path: Path) -> None:
    one = {"reception.datamodel": observation, "reception.outputfilename": tmp_path / "new.ms"}
    whole = ok("emu-recv", "--check", *options(one))
    parted = ok("emu-recv", "--check", *options(one | {"consumer.max_dumps_per_ms": 10}))

    def mib(printed: str) -> float:
        (line,) = [line for line in printed.splitlines() if line.startswith("disk")]
        return float(line.split()[1])

    # Each set has subtables of its own.
    assert mib(parted) > 4 * mib(whole)


def drops_of(port: int) -> int:
    """What /proc/net/udp and udp6 say was dropped of the sockets on a port."""
    lines = [
        line.split()
        for table in ("udp", "udp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    return max(int(fields[-1]) for fields in lines if fields[1].endswith(f":{port:04X}"))


def test_each_part_accounts_for_what_it_lacks(observation: Path, tmp_path: Path) -> None:
    """A receiver that is stopped for a while in the middle loses heaps there, and only there."""
    per_stream = {"transmission.channels_per_stream": 2}
    receiver = start_receiver(
        tmp_path,
        observation,
        per_stream | {"reception.buffer_size": 20_000, "consumer.max_dumps_per_ms": 4},
        flags=["-v"],
    )
    sending = per_stream | {
        "transmission.endpoints": receiver.endpoints,
        "transmission.time_interval": 0.1,
    }
    sender = subprocess.Popen(
        [BIN / "emu-send", *options(sending), observation], stderr=subprocess.DEVNULL
    )
    wait_until(lambda: "received-p2.ms: integration 2 closed" in receiver.log, "it receives")
    receiver.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(
            lambda: all(drops_of(port) for port in receiver.ports), "the kernel drops packets"
        )
    finally:
        receiver.process.send_signal(signal.SIGCONT)
    assert sender.wait(60) == 0
    assert receiver.wait() == 0, receiver.log
    [scan] = receiver.summary()["scans"]
    assert all(group["kernel_dropped_packets"] for group in scan["groups"])
    accounts = [
        tuple(map(int, found.groups()))
        for path in receiver.summary()["sets"]
        for found in ACCOUNT.finditer("\n".join(history(tmp_path / path)))
    ]
    assert len(accounts) == 13
    expected, received, missing = (sum(column) for column in zip(*accounts, strict=True))
    assert expected == scan["heaps_expected"] == 4 * DUMPS
    assert received == scan["heaps_received"]
    assert missing == scan["heaps_missing"] > 0
    assert [missing for *_, missing in accounts[:2]] == [0, 0]
    # Every integration has its rows.
    times = np.concatenate([column(tmp_path / name, "TIME") for name in receiver.summary()["sets"]])
    assert np.array_equal(times, column(observation, "TIME"))


def test_a_disk_for_one_set_at_a_time(observation: Path, small_disk: Path, tmp_path: Path) -> None:
    """24 MiB are not enough for the subtables of seven sets; a command moves each away."""
    values = {
        "reception.transport": "tcp",
        "reception.outputfilename": small_disk / "received.ms",
        "consumer.max_dumps_per_ms": 8,
    }
    refused = start_receiver(tmp_path, observation, values, ready=False)
    assert refused.wait() == 4
    assert "are free on its disk" in refused.log
    archive = tmp_path / "archive"
    archive.mkdir()
    command = f'["mv","{{path}}","{archive}"]'
    receiver = start_receiver(tmp_path, observation, values | {"consumer.command": command})
    assert "only" in receiver.log
    assert "are free on its disk" in receiver.log
    assert send(receiver, observation, {"transmission.transport": "tcp"}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    assert not list(small_disk.glob("*.ms"))
    check_parts([archive / f"received-p{number}.ms" for number in range(1, 8)], observation)
