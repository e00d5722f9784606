"""What `emu-recv --check` and `python -m receive.sizing` say of sizes, as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from receive.config import Config
from receive.measurement_set.read.reader import open_set
from receive.run.plan import Plan
from receive.run.size_check import check_lines
from receive.sizing.costs import Costs
from tests.commands import ok, options
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets

CHANNELS, PER_STREAM, INTERVAL_S = 64, 16, 2.0
BASELINES = 16 * 15 // 2
KEYS = ("rate", "cpu", "needs", "costs")


@pytest.fixture(scope="module")
def model(simulated_set: SimulatedSets) -> Path:
    return simulated_set(random_antennas=16, integrations=2, channels=CHANNELS, interval=INTERVAL_S)


@pytest.fixture(scope="module")
def rapid(simulated_set: SimulatedSets) -> Path:
    return simulated_set(random_antennas=16, integrations=2, channels=CHANNELS, interval=1e-5)


def values(model: Path, folder: Path, **others: object) -> dict[str, object]:
    return {
        "reception.datamodel": model,
        "reception.outputfilename": folder / "received.ms",
        "transmission.channels_per_stream": PER_STREAM,
    } | {key.replace("__", "."): value for key, value in others.items()}


def told(text: str) -> dict[str, str]:
    """Return the lines by their first word."""
    return {line.split()[0]: line for line in text.splitlines()}


def sizing(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "receive.sizing", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_check_tells_rates_cpu_needs_and_whose_costs_these_are(model: Path, tmp_path: Path) -> None:
    printed = ok("emu-recv", "--check", *options(values(model, tmp_path)))
    found = told(printed)
    costs = Costs.load()
    assert re.fullmatch(
        r"rate     \d.* [KM]iB/s from the network, 2 heaps/s; \d.* [KM]iB/s to the disk",
        found["rate"],
    )
    assert re.fullmatch(
        r"cpu      \S+ cores at work \(\S+ to \S+\): \d+ cores? with 50% of each in use",
        found["cpu"],
    )
    assert re.fullmatch(
        r"needs    1 receiver of 4 streams, \S+ [MG]iB of memory, 1 disk of .*, 1 port of .*",
        found["needs"],
    )
    assert f"measured {costs.date} on {costs.machine}; +-" in found["costs"]
    assert "too much" not in printed
    # After what it told before, in this order.
    assert [line.split()[0] for line in printed.splitlines()][-5:] == ["disk", *KEYS]


def test_check_counts_what_the_network_carries_and_no_disk_where_nothing_is_written(
    model: Path, tmp_path: Path
) -> None:
    null = values(model, tmp_path, reception__consumer="null")
    found = told(ok("emu-recv", "--check", *options(null)))
    # 16 x 120 records of 34 bytes in 47 packets of up to 1,472, with 64 and 66 bytes of headers
    # each, 4 times in 2 s.
    heap = PER_STREAM * BASELINES * 34
    packets = -(-heap // 1408)
    rate = 4 / INTERVAL_S * (heap + packets * (64 + 66))
    assert found["rate"] == f"rate     {rate / 1024:.1f} KiB/s from the network, 2 heaps/s"
    assert "disk" not in found["needs"]
    larger = ok("emu-recv", "--check", *options(null | {"transmission.max_packet_size": 8900}))
    assert told(larger)["rate"] < found["rate"]


def test_what_this_machine_cannot_do_is_told_with_what_would_be_right(
    rapid: Path, tmp_path: Path
) -> None:
    # 100,000 integrations a second: each stream carries 6.5 GB/s, in a packet of 1,472 bytes each
    # 0.2 microseconds.
    printed = ok("emu-recv", "--check", *options(values(rapid, tmp_path)))
    assert re.search(
        r"^too much for the network thread of a stream, .* fewer channels a stream$",
        printed,
        re.MULTILINE,
    )


def test_each_of_several_receivers_is_told_its_own(model: Path, tmp_path: Path) -> None:
    printed = ok("emu-recv", "--check", "--processes", "2", *options(values(model, tmp_path)))
    needs = [line for line in printed.splitlines() if line.startswith("needs")]
    assert [re.search(r"1 receiver of 2 streams", line) is not None for line in needs] == [True] * 2


def lines(model: Path, folder: Path, cores: int, alike: int = 1, **others: object) -> list[str]:
    given = [f"{key}={value}" for key, value in values(model, folder, **others).items()]
    config = Config.load(None, given)
    plan = Plan.make(config, open_set(model).model())
    return check_lines(config, plan, writes=True, alike=alike, cores=cores)


@pytest.fixture(scope="module")
def heavy(simulated_set: SimulatedSets) -> Path:
    # 23 MB to the disk 100 times a second, which are two disks' work.
    return simulated_set(random_antennas=64, integrations=2, channels=240, interval=0.01)


HEAVY = {"reception__transport": "tcp", "transmission__channels_per_stream": 20}


def test_more_processes_are_asked_for_where_one_receiver_is_not_enough(
    heavy: Path, tmp_path: Path
) -> None:
    last = lines(heavy, tmp_path, 10_000, **HEAVY)[-1]
    found = re.fullmatch(r"too much for one receiver \((.*)\): give --processes (\d+)", last)
    assert found
    assert int(found[2]) >= 2
    # So many are enough.
    each = {"reception__process_index": 0, "reception__process_count": int(found[2])}
    assert not any("too much" in line for line in lines(heavy, tmp_path, 10_000, **HEAVY, **each))


def test_more_machines_are_asked_for_where_one_has_too_few_cores(
    heavy: Path, tmp_path: Path
) -> None:
    last = lines(heavy, tmp_path, 1, **HEAVY)[-1]
    found = re.fullmatch(
        r"too much for this machine, which has 1 core of (\d+): receive on (\d+), each with .*",
        last,
    )
    assert found
    assert found[1] == found[2]
    # What one of two receivers takes is half of what their machine must do.
    share = {"reception__process_index": 0, "reception__process_count": 2}
    both = lines(heavy, tmp_path, 1, alike=2, **HEAVY, **share)[-1]
    assert re.search(r"which has 1 core of (\d+)", both)


def test_consumers_and_transports_that_nobody_measured_are_named(
    model: Path, tmp_path: Path
) -> None:
    own = "tests.integration.recorder.Recorder"
    config = values(model, tmp_path, reception__consumer=f"mswriter,{own}")
    assert told(ok("emu-recv", "--check", *options(config)))["costs"].endswith("; without Recorder")
    card = {"reception__transport": "ibverbs", "reception__interface_address": "127.0.0.1"}
    assert any("UDP stands for it" in line for line in lines(model, tmp_path, 2, **card))


def test_a_telescope_without_a_set_is_sized() -> None:
    done = sizing(
        "--stations", 64, "--channels", 256, "--interval", 0.5, "--channels-per-stream", 64
    )
    assert done.returncode == 0, done.stderr
    found = told(done.stdout)
    assert found["shape"] == "shape    2,080 baselines, 4 streams of 64 channels, 0.5 s, over udp"
    # 8 heaps of 4,592,770 bytes with all headers.
    assert found["rate"].startswith(
        f"rate     {8 * 4_592_770 / 2**20:.1f} MiB/s from the network, 8"
    )
    assert set(found) == {"shape", *KEYS}


def test_its_options_change_the_plan() -> None:
    shape = ("--stations", 256, "--channels", 1024, "--interval", 1, "--channels-per-stream", 16)
    usual = told(sizing(*shape).stdout)
    assert "2,016 baselines" in sizing("--stations", 64, "--channels", 1, "--interval", 1,
                                       "--no-autocorrelations").stdout  # fmt: skip
    assert "disk" not in sizing(*shape, "--no-set").stdout
    assert "of 1 GB/s" in told(sizing(*shape, "--disk", "1GB").stdout)["needs"]
    assert "of 10 Gb/s" in told(sizing(*shape, "--port", "1.25e9").stdout)["needs"]
    assert "25% of each" in told(sizing(*shape, "--core-use", "0.25").stdout)["cpu"]
    assert told(sizing(*shape, "--stall", "60").stdout)["needs"] != usual["needs"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["--stations is missing"]),
        (["--stations", 4, "--channels", 4], 2, ["--interval is missing"]),
        (["--stations", 0, "--channels", 4, "--interval", 1], 2, ["stations = 0", "give 1"]),
        (["--stations", 4, "--channels", 4, "--interval", 0], 2, ["interval = 0 s"]),
        (["--stations", 4, "--channels", 0, "--interval", 1], 2, ["channels = 0"]),
        (["--stations", 4, "--channels", 4, "--interval", 1, "--core-use", 2], 2, ["core use = 2"]),
        (["--stations", 4, "--disk", "much"], 2, ["--disk", "much", "MiB"]),
        (["--costs", "none.json"], 3, ["none.json", "cannot be read"]),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[object], code: int, words: list[str]
) -> None:
    done = sizing(*arguments)
    assert done.returncode == code
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("python -m receive.sizing: error: ")
    assert all(word in last for word in words), last
    assert "Traceback" not in done.stderr
