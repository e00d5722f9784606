"""What the writer will need of a model is tried before ready: left out, or refused in one line."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore import tables

from tests.commands import ok, send, start_receiver
from tests.integration.test_bad_input import INPUT, OUTPUT, receive_arguments, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulated import SimulatedSets

PART = {"reception.channels": "0:4", "transmission.channels_per_stream": 4}
SENT_PART = {"reader.num_chan": 4, "transmission.channels_per_stream": 4}


@pytest.fixture(scope="module")
def good(simulated_set: SimulatedSets) -> Path:
    return simulated_set(num_antennas=4, integrations=3, channels=8)


@pytest.fixture
def model(good: Path, tmp_path: Path) -> Path:
    """Return a model that a test may spoil."""
    return shutil.copytree(good, tmp_path / "model" / "model.ms")


def _open(path: Path) -> Any:
    return tables.table(str(path), readonly=False, ack=False)


def no_observation(model: Path) -> None:
    with _open(model) as main:
        main.removekeyword("OBSERVATION")
    shutil.rmtree(model / "OBSERVATION")


def short_history(model: Path) -> None:
    shutil.rmtree(model / "HISTORY")
    columns = [tables.makescacoldesc("TIME", 0.0), tables.makescacoldesc("MESSAGE", "")]
    path = str(model / "HISTORY")
    tables.table(path, tables.maketabdesc(columns), nrow=1, ack=False).close()


def keyword_to_nowhere(model: Path) -> None:
    with _open(model) as main:
        main.removekeyword("POINTING")
        main.putkeyword("POINTING", "Table: /nowhere/POINTING")


def own_keyword_to_nowhere(model: Path) -> None:
    with _open(model) as main:
        main.putkeyword("QUALITY", "Table: /nowhere/QUALITY")


def short_feed(model: Path) -> None:
    path = model / "FEED" / "table.f0"
    path.write_bytes(path.read_bytes()[:100])


def casacore_dies(name: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        (model / name / "table.lock").unlink()
        (model / name / "table.lock").mkdir()

    return spoil


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (no_observation, "OBSERVATION"),
        (short_history, "HISTORY"),
        (keyword_to_nowhere, "POINTING"),
        (own_keyword_to_nowhere, "QUALITY"),
        (short_feed, "FEED"),
        (casacore_dies("PROCESSOR"), "PROCESSOR"),
    ],
)
def test_what_a_set_can_do_without_is_left_out_with_one_warning(
    good: Path, model: Path, tmp_path: Path, spoil: Callable[[Path], None], name: str
) -> None:
    spoil(model)
    receiver = start_receiver(tmp_path, model, {"reception.max_scans": 2})
    for scan in (1, 2):
        assert send(receiver, good, {"transmission.scan_id": scan}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    warnings = [line for line in receiver.log.splitlines() if " WARNING " in line]
    assert len([line for line in warnings if name in line and "model.ms" in line]) == 1, warnings
    for received in ("received-s1.ms", "received-s2.ms"):
        ignored = ["--ignore", name] if (good / name).is_dir() else []
        ok("ms-diff", "--round-trip", good, tmp_path / received, *ignored)


def no_channel_count(model: Path) -> None:
    with _open(model / "SPECTRAL_WINDOW") as windows:
        windows.putcell("NUM_CHAN", 0, 0)


def no_reference(model: Path) -> None:
    with _open(model / "SPECTRAL_WINDOW") as windows:
        windows.removecols(["REF_FREQUENCY"])


@pytest.mark.parametrize("spoil", [no_channel_count, no_reference])
@pytest.mark.parametrize("part", [False, True], ids=["all", "part"])
def test_what_only_people_read_of_a_window_is_no_obstacle(
    good: Path, model: Path, tmp_path: Path, spoil: Callable[[Path], None], part: bool
) -> None:
    spoil(model)
    receiver = start_receiver(tmp_path, model, PART if part else {})
    assert send(receiver, good, SENT_PART if part else {}).returncode == 0
    assert receiver.wait() == 0, receiver.log
    with tables.table(str(tmp_path / "received.ms" / "SPECTRAL_WINDOW"), ack=False) as windows:
        assert windows.getcell("NUM_CHAN", 0) == (4 if part else 8)
        assert len(windows.getcell("CHAN_FREQ", 0)) == (4 if part else 8)


def corrected_only(model: Path) -> None:
    with _open(model) as main:
        main.renamecol("DATA", "CORRECTED_DATA")


def no_data(model: Path) -> None:
    with _open(model) as main:
        main.removecols(["DATA", "FLAG", "WEIGHT_SPECTRUM"])


@pytest.mark.parametrize("spoil", [corrected_only, no_data])
def test_a_model_needs_no_visibilities(
    good: Path, model: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(model)
    receiver = start_receiver(tmp_path, model)
    assert send(receiver, good).returncode == 0
    assert receiver.wait() == 0, receiver.log
    ok("ms-diff", "--round-trip", good, tmp_path / "received.ms")


def cell(table: str, column: str, value: Any) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        with _open(model / table) as opened:
            old = np.asarray(opened.getcell(column, 0))
            opened.putcell(column, 0, np.full_like(old, value) if old.ndim else value)

    return spoil


def no_field_rows(model: Path) -> None:
    with _open(model / "FIELD") as field:
        field.removerows(range(field.nrows()))


@pytest.mark.parametrize("flags", [["--check"], []], ids=["check", "run"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cell("SPECTRAL_WINDOW", "CHAN_FREQ", np.nan), ["CHAN_FREQ", "nan"]),
        (cell("SPECTRAL_WINDOW", "CHAN_WIDTH", 0.0), ["CHAN_WIDTH"]),
        (cell("ANTENNA", "POSITION", np.inf), ["POSITION"]),
        (cell("FIELD", "PHASE_DIR", np.nan), ["PHASE_DIR"]),
        (cell("", "INTERVAL", -1.0), ["INTERVAL", "-1"]),
        (cell("", "EXPOSURE", np.nan), ["EXPOSURE"]),
        (cell("", "TIME", 1e300), ["1970"]),
        (no_field_rows, ["FIELD"]),
        (casacore_dies("ANTENNA"), []),
    ],
)
def test_what_a_set_cannot_do_without_is_refused_before_ready(
    model: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    words: list[str],
    flags: list[str],
) -> None:
    spoil(model)
    here = tmp_path / "here"
    here.mkdir()
    arguments = [*flags, *receive_arguments(model, here)]
    refused("emu-recv", INPUT, "model.ms", *words, arguments=arguments)
    assert not list(here.iterdir())


def test_a_model_is_to_blame_where_the_output_is_not_there_either(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the output does not exist: the set is made elsewhere, and is gone then."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    output = tmp_path / "none" / "x.ms"
    arguments = ["--check", *receive_arguments(model, tmp_path, reception__outputfilename=output)]
    refused("emu-recv", OUTPUT, f"no folder {output.parent}", arguments=arguments)
    no_field_rows(model)
    refused("emu-recv", INPUT, "model.ms", "FIELD", arguments=arguments)
    assert not list(elsewhere.iterdir())
