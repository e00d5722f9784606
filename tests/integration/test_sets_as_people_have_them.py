"""Sets as people have them: received with right data, or refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from tests.commands import ok, options, run, send, start_receiver
from tests.integration import odd_sets
from tests.unit.measurement_set.made_by_casacore import WIDTH_HZ, make_set, subtable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TCP = {"reception.transport": "tcp", "transmission.transport": "tcp"}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a good set: 3 baselines, 4 integrations of 8 s, 5 channels."""
    return make_set(tmp_path / "good.ms")


def trip(
    ms: Path,
    values: Mapping[str, Any] | None = None,
    *,
    model: Path | None = None,
) -> tuple[Path, str]:
    """Send a set, receive it all; return what was received and what the commands said."""
    given = dict(TCP) | dict(values or {})
    receiver = start_receiver(ms.parent, model or ms, given, flags=["--fail-on-incomplete"])
    sent = send(receiver, ms, given)
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait() == 0, receiver.log
    return ms.parent / "received.ms", sent.stderr + receiver.log


def columns(path: Path, *names: str) -> list[Any]:
    with table(str(path), ack=False) as opened:
        return [opened.getcol(name) for name in names]


@pytest.mark.parametrize(
    "bend",
    [
        *(odd_sets.in_scale(scale) for scale in ("TAI", "TT", "TDB", "UT1", "IAT")),
        odd_sets.tai_by_row,
        odd_sets.other_units,
        odd_sets.units_by_row,
        odd_sets.rounded,
        odd_sets.rounded_each_otherwise,
        odd_sets.selection,
        odd_sets.subtable_elsewhere,
        odd_sets.latin_1,
        odd_sets.radiometer_first,
    ],
    ids=lambda bend: bend.__qualname__.split(".")[0],
)
def test_what_is_received_is_what_a_good_set_gives(
    good: Path, bend: Callable[[Path], None]
) -> None:
    bent = odd_sets.copied(good, "bent.ms")
    bend(bent)
    received, _ = trip(bent)
    ok("ms-diff", "--round-trip", bent, received)
    names = ("DATA", "ANTENNA1", "ANTENNA2", "FLAG")
    for name, expected, got in zip(
        names, columns(good, *names), columns(received, *names), strict=True
    ):
        assert np.array_equal(expected, got), name
    quantities = ("TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "UVW", "WEIGHT_SPECTRUM")
    # casacore's tables of UT1 and those of astropy-iers-data differ by some microseconds.
    for name, expected, got in zip(
        quantities, columns(good, *quantities), columns(received, *quantities), strict=True
    ):
        slack = 2e-4 if name.startswith("TIME") else 1e-3
        assert np.allclose(got, expected, rtol=1e-6 if name == "WEIGHT_SPECTRUM" else 0, atol=slack)
    with table(str(received), ack=False) as opened:
        assert opened.getcolkeyword("TIME", "MEASINFO")["Ref"] == "UTC"
        assert list(opened.getcolkeyword("TIME", "QuantumUnits")) == ["s"]


@pytest.mark.parametrize("bend", [odd_sets.other_units, odd_sets.units_by_row])
def test_some_channels_of_a_window_in_other_units(good: Path, bend: Callable[[Path], None]) -> None:
    bend(good)
    some = {"reception.channels": "1:2", "reader.start_chan": 1, "reader.num_chan": 2}
    received, _ = trip(good, some)
    with table(str(received / "SPECTRAL_WINDOW"), ack=False) as windows:
        assert windows.getcell("TOTAL_BANDWIDTH", 0) == pytest.approx(2 * WIDTH_HZ)
        assert windows.getcell("REF_FREQUENCY", 0) == pytest.approx(1.5e8 + 2 * WIDTH_HZ)
        assert windows.getcell("NUM_CHAN", 0) == 2


@pytest.mark.parametrize(
    ("subtable_name", "column", "keyword", "value", "message"),
    [
        (
            "",
            "TIME",
            "MEASINFO",
            {"type": "epoch", "Ref": "LAST"},
            "TIME is in the time scale LAST",
        ),
        ("", "TIME", "QuantumUnits", ["Hz"], "TIME is in the unit 'Hz'"),
        ("", "INTERVAL", "QuantumUnits", ["m"], "INTERVAL is in the unit 'm'"),
        ("SPECTRAL_WINDOW", "CHAN_FREQ", "QuantumUnits", ["furlong"], "CHAN_FREQ is in the unit"),
        ("SPECTRAL_WINDOW", "CHAN_WIDTH", "QuantumUnits", ["m"], "CHAN_WIDTH is in the unit 'm'"),
        ("ANTENNA", "POSITION", "MEASINFO", {"type": "position", "Ref": "MOON"}, "in MOON"),
        (
            *("", "TIME", "MEASINFO"),
            {"type": "epoch", "Ref": "UTC", "RefOffCol": "X"},
            "counted from an offset",
        ),
    ],
)
def test_what_is_in_something_unknown_is_refused_by_name(
    good: Path, subtable_name: str, column: str, keyword: str, value: Any, message: str
) -> None:
    with subtable(good, subtable_name) as opened:
        opened.putcolkeyword(column, keyword, value)
    for command in (
        ("emu-send", "--check", good),
        ("emu-recv", "--check", "-o", f"reception.datamodel={good}"),
    ):
        done = run(*command)
        assert done.returncode == 3
        assert message in done.stderr.splitlines()[-1]


def test_times_of_which_no_table_tells_ut1_are_refused(good: Path) -> None:
    with subtable(good, "") as main:
        main.putcol("TIME", main.getcol("TIME") + 1.5e9)
        main.putcolkeyword("TIME", "MEASINFO", {"type": "epoch", "Ref": "UT1"})
    done = run("emu-send", "--check", good)
    assert done.returncode == 3
    assert "TIME is in UT1" in done.stderr


def test_rounding_is_told_once_and_no_more_is_joined_than_is_one(good: Path) -> None:
    odd_sets.rounded(good)
    done = run("emu-send", "--check", good)
    assert done.stderr.count("TIME of rows of one integration differs by up to 2.96e-05 s") == 1
    # Integrations that are as near as that to each other, by a wrong INTERVAL, stay what they are.
    odd_sets.filled("INTERVAL", 8000.0)(good)
    assert "integrations" in (said := ok("emu-send", "--check", good))
    assert "1 integrations" not in said


@pytest.mark.parametrize(
    ("bend", "asked"),
    [
        (odd_sets.average_first, {"spectral_window": "all channels"}),
        (odd_sets.average_first, {"spectral_window": 1}),
        (odd_sets.calibrator_first, {"field": "Virgo A"}),
        (odd_sets.calibrator_first, {"field": 1}),
    ],
    ids=["window by name", "window by number", "field by name", "field by number"],
)
def test_window_and_field_are_chosen(
    good: Path, bend: Callable[[Path], None], asked: dict[str, Any]
) -> None:
    (data,) = columns(good, "DATA")
    bend(good)
    values = {f"{category}.{key}": value
              for category in ("reader", "reception") for key, value in asked.items()}  # fmt: skip
    received, said = trip(good, values)
    ok("ms-diff", "--round-trip", good, received)
    assert np.array_equal(columns(received, "DATA")[0], data)
    assert said.count("left out: data description 0 of field 0") == 2
    [key] = asked
    unknown = options({f"reader.{key}": "nonsense"})
    refused = run("emu-send", "--check", *unknown, good)
    assert refused.returncode == 2
    assert f"reader.{key} = nonsense" in refused.stderr
    assert "it has rows of" in refused.stderr


def test_the_first_that_can_be_sent_is_sent_where_nobody_chose(good: Path) -> None:
    odd_sets.radiometer_first(good)
    done = run("emu-send", "--check", good)
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "left out" in line]
    assert "only data description 1 of field 0" in warning
    assert "CORR_TYPE 1" in warning
    refused = run("emu-send", "--check", *options({"reader.spectral_window": 0}), good)
    assert refused.returncode == 3
    assert "CORR_TYPE 1" in refused.stderr


def test_another_column_is_sent(good: Path) -> None:
    (data,) = columns(good, "DATA")
    odd_sets.only_corrected(good)
    refused = run("emu-send", "--check", good)
    assert refused.returncode == 3
    assert "CORRECTED_DATA; reader.column" in refused.stderr
    received, _ = trip(good, {"reader.column": "CORRECTED_DATA"})
    assert np.array_equal(columns(received, "DATA")[0], data)
    ok("ms-diff", "--round-trip", "--column", "CORRECTED_DATA", good, received)


def test_real_visibilities_are_sent(good: Path) -> None:
    with subtable(good, "") as main:
        real = main.getcol("DATA").real.copy()
        main.removecols(["DATA"])
        description = odd_sets.makearrcoldesc("FLOAT_DATA", 0.0, valuetype="float", ndim=2)
        main.addcols(odd_sets.maketabdesc(description))
        main.putcol("FLOAT_DATA", real)
    received, _ = trip(good, {"reader.column": "FLOAT_DATA"})
    assert np.array_equal(columns(received, "DATA")[0], real)
    ok("ms-diff", "--round-trip", "--column", "FLOAT_DATA", good, received)


def test_a_model_needs_no_visibilities(good: Path) -> None:
    model = odd_sets.copied(good, "model.ms")
    odd_sets.without_visibilities(model)
    received, _ = trip(good, model=model)
    ok("ms-diff", "--round-trip", "--no-subtables", good, received)


@pytest.mark.parametrize("rows", [[11], [0, 4], [0, 1, 2], [2, 3, 4, 5, 6]], ids=str)
@pytest.mark.parametrize("column", ["DATA", "FLAG", "WEIGHT_SPECTRUM"])
def test_missing_cells_are_what_their_absence_means(
    good: Path, column: str, rows: list[int]
) -> None:
    with subtable(good, "") as main:
        main.putcell("FLAG", 7, np.ones((5, 4), np.bool_))
        main.putcell("WEIGHT_SPECTRUM", 8, np.full((5, 4), WIDTH_HZ * 8.0 / 4, np.float32))
    data, flag, weights = columns(good, "DATA", "FLAG", "WEIGHT_SPECTRUM")
    odd_sets.without_cells(column, rows)(good)
    received, said = trip(good)
    assert said.count(f"{column} has no cell in {len(rows)} of 12 rows") == 1
    if column == "DATA":
        data[rows], flag[rows] = 0, True
    got_data, got_flag, got_weights = columns(received, "DATA", "FLAG", "WEIGHT_SPECTRUM")
    assert np.array_equal(got_data, data)
    assert np.array_equal(got_flag, flag)
    assert np.allclose(got_weights, np.where(flag, 0, weights), rtol=0.02)
    ok("ms-diff", "--round-trip", good, received)


def test_a_selection_with_missing_cells_knows_its_own_rows(good: Path) -> None:
    odd_sets.without_cells("FLAG", [5])(good)
    chosen = good.with_name("chosen.ms")
    with table(str(good), ack=False) as opened:
        opened.query("ANTENNA2 == 2", sortlist="ANTENNA1,TIME").copy(str(chosen)).close()
    received, said = trip(chosen)
    assert "FLAG has no cell in 1 of 8 rows, first in row 5" in said
    ok("ms-diff", "--round-trip", chosen, received)
    with table(str(received), ack=False) as opened:
        assert opened.nrows() == 8
        assert not opened.getcol("FLAG").any()


@pytest.mark.parametrize("column", ["DATA", "FLAG"])
def test_shapes_that_change_are_refused_before_anything_is_sent(good: Path, column: str) -> None:
    odd_sets.other_shape(column, 10)(good)
    done = run("emu-send", "--check", good)
    assert done.returncode == 3
    assert f"{column} of row 10 has the shape (3, 4)" in done.stderr.splitlines()[-1]


def test_weights_of_another_shape_are_not_used(good: Path) -> None:
    odd_sets.other_shape("WEIGHT_SPECTRUM", 10)(good)
    received, said = trip(good)
    assert said.count("WEIGHT_SPECTRUM has the shape (3, 4) in row 10") == 1
    assert np.allclose(columns(received, "WEIGHT_SPECTRUM")[0], WIDTH_HZ * 8.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "value", "warning", "noted"),
    [
        ("WEIGHT_SPECTRUM", 1.0, "WEIGHT_SPECTRUM of some records", "60 records of A"),
        ("WEIGHT_SPECTRUM", 1e9, "WEIGHT_SPECTRUM of some records", "60 records of A"),
        ("EXPOSURE", 0.0, "EXPOSURE of 4 of 4 integrations is 0", "INTERVAL travels"),
        ("TIME_CENTROID", 0.0, "TIME_CENTROID of some rows is 0", "TIME travels"),
    ],
    ids=["unity", "too large", "no exposure", "no centroid"],
)
def test_numbers_that_cannot_travel_are_told_of_once(
    good: Path, column: str, value: float, warning: str, noted: str
) -> None:
    odd_sets.filled(column, value)(good)
    receiver = start_receiver(good.parent, good, TCP, flags=["--fail-on-incomplete"])
    sent = send(receiver, good, TCP)
    assert sent.stderr.count(warning) == 1
    assert receiver.wait() == 0
    received = good.parent / "received.ms"
    said = ok("ms-diff", "--round-trip", good, received)
    [line] = [line for line in said.splitlines() if noted in line]
    assert column in line
    if column != "WEIGHT_SPECTRUM":
        time, centroid, exposure = columns(received, "TIME", "TIME_CENTROID", "EXPOSURE")
        assert np.array_equal(time, centroid)
        assert (exposure == 8.0).all()
