"""ms-diff --round-trip: what the wire cannot carry is allowed, and not a bit more."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from receive.measurement_set.compare.command import main
from receive.measurement_set.compare.round_trip import diff_round_trip
from tests.unit.measurement_set.made_by_casacore import WIDTH_HZ, alter, make_set, subtable

if TYPE_CHECKING:
    from pathlib import Path

INTERVAL_S = 8.0
NORM = WIDTH_HZ * INTERVAL_S
SCANS = "MAIN.SCAN_NUMBER: does not travel"


def receive_as_specified(sent: Path, received: Path) -> Path:
    """Make the set that an ideal receiver writes, one record at a time, from the interface."""
    shutil.copytree(sent, received)
    with subtable(received, "") as main_table:
        for row in range(main_table.nrows()):
            cell = main_table.row()[row]
            flag = cell["FLAG"].any(axis=1)
            f = np.clip(cell["WEIGHT_SPECTRUM"].min(axis=1) / NORM, 0, 1)
            fd = np.where(flag, 0, np.clip(np.round(255 * np.sqrt(f)), 1, 255))
            weights = ((fd / 255) ** 2 * NORM).astype(np.float32)
            weight = weights[~flag].mean() if not flag.all() else 0.0
            offset = (cell["TIME_CENTROID"] - cell["TIME"]) / INTERVAL_S * 256
            tci = np.clip(np.round(offset), -128, 127) if not flag.all() else 0
            pols = cell["FLAG"].shape[1]
            put = main_table.putcell
            put("FLAG", row, np.repeat(flag[:, np.newaxis], pols, axis=1))
            put("WEIGHT_SPECTRUM", row, np.repeat(weights[:, np.newaxis], pols, axis=1))
            put("WEIGHT", row, np.full(pols, weight, dtype=np.float32))
            sigma = weight**-0.5 if weight > 0 else 0.0
            put("SIGMA", row, np.full(pols, sigma, dtype=np.float32))
            put("FLAG_ROW", row, bool(flag.all()))
            put("TIME_CENTROID", row, cell["TIME"] + tci * INTERVAL_S / 256)
    return received


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """Return a set with flags of one polarisation, all kinds of weights, and centroids."""
    path = make_set(tmp_path / "sent.ms", antennas=4, times=3, channels=6)
    rng = np.random.default_rng(5)
    with subtable(path, "") as main_table:
        shape = main_table.getcol("DATA").shape
        flag = rng.random(shape) < 0.1
        flag[7] = True
        main_table.putcol("FLAG", flag)
        weights = (rng.random(shape) ** 4 * 1.2 * NORM).astype(np.float32)
        weights[3, :, 0] = [0, 1e-7, 0.2 * NORM / 255**2, NORM / 255**2, NORM, 2 * NORM]
        main_table.putcol("WEIGHT_SPECTRUM", weights)
        time_s = main_table.getcol("TIME")
        offset_s = rng.uniform(-0.6, 0.6, len(time_s)) * INTERVAL_S
        main_table.putcol("TIME_CENTROID", time_s + offset_s)
        main_table.putcol("SCAN_NUMBER", np.full(len(time_s), 9, dtype=np.int32))
    return path


@pytest.fixture
def received(sent: Path, tmp_path: Path) -> Path:
    return receive_as_specified(sent, tmp_path / "received.ms")


def columns_that_differ(a: Path, b: Path) -> set[str | None]:
    return {difference.column for difference in diff_round_trip(a, b).differences}


def test_what_the_interface_makes_of_a_set_is_the_same(sent: Path, received: Path) -> None:
    report = diff_round_trip(sent, received)

    assert report.differences == []
    assert SCANS in report.not_compared
    assert {"MAIN.DATA", "MAIN.WEIGHT_SPECTRUM", "ANTENNA.NAME"} <= set(report.compared)
    assert main([str(sent), str(received), "--round-trip", "-q"]) == 0
    assert main([str(sent), str(received), "-q"]) == 1


def test_a_second_trip_changes_nothing(received: Path, tmp_path: Path) -> None:
    again = receive_as_specified(received, tmp_path / "again.ms")

    assert main([str(received), str(again), "-q"]) == 0
    assert main([str(received), str(again), "--round-trip", "-q"]) == 0


@pytest.mark.parametrize("steps", [-1, 1])
@pytest.mark.parametrize("row", [0, 3, 11])
def test_a_weight_one_step_of_the_fraction_byte_off_is_found(
    sent: Path, received: Path, row: int, steps: int
) -> None:
    def off(weights: Any) -> Any:
        fd = np.round(255 * np.sqrt(weights / NORM))
        return np.where(fd > 0, ((fd + steps) / 255) ** 2 * NORM, 0).astype(np.float32)

    alter(received, "", "WEIGHT_SPECTRUM", row, off)

    report = diff_round_trip(sent, received)
    assert "WEIGHT_SPECTRUM" in {d.column for d in report.differences}


def test_the_edge_of_the_weights_tolerance(tmp_path: Path) -> None:
    """The fraction halfway between two bytes may come back as either, as a third it may not."""
    a = make_set(tmp_path / "a.ms", times=1, channels=1, pols=1)
    edge = np.float32((100.5 / 255) ** 2 * NORM)
    alter(a, "", "WEIGHT_SPECTRUM", 0, lambda cell: np.full_like(cell, edge))
    for fd, same in ((100, True), (101, True), (99, False), (102, False)):
        b = tmp_path / f"b{fd}.ms"
        shutil.copytree(a, b)
        weight = np.float32((fd / 255) ** 2 * NORM)
        for column in ("WEIGHT_SPECTRUM", "WEIGHT"):
            alter(b, "", column, 0, lambda cell, weight=weight: np.full_like(cell, weight))
        alter(b, "", "SIGMA", 0, lambda cell, weight=weight: np.full_like(cell, weight**-0.5))
        assert (columns_that_differ(a, b) == set()) is same, fd


def test_the_edge_of_the_centroids_tolerance(tmp_path: Path) -> None:
    a = make_set(tmp_path / "a.ms", times=1)
    for offset_s, same in ((1.0, True), (-1.0, True), (1.01, False), (-1.01, False)):
        b = tmp_path / f"b{offset_s}.ms"
        shutil.copytree(a, b)
        shift_s = offset_s * INTERVAL_S / 512
        alter(b, "", "TIME_CENTROID", 1, lambda time_s, shift_s=shift_s: time_s + shift_s)
        assert (columns_that_differ(a, b) == set()) is same, offset_s


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("DATA", lambda cell: -cell),
        ("DATA", lambda cell: np.where(cell == cell[0, 0], cell[0, 0] + 1e-6, cell)),
        ("TIME", lambda time_s: time_s + 1e-6),
        ("UVW", lambda uvw: uvw * (1 + 1e-15)),
        ("ANTENNA1", lambda antenna: antenna + 1),
        ("INTERVAL", lambda interval_s: interval_s * 2),
        ("EXPOSURE", lambda exposure_s: exposure_s * 0.5),
        ("FLAG", np.logical_not),
        ("WEIGHT", lambda weight: weight * 1.01),
        ("SIGMA", lambda sigma: sigma * 0),
        ("FLAG_ROW", lambda flag: not flag),
    ],
)
def test_what_must_come_back_is_held_to_it(
    sent: Path, received: Path, column: str, change: Any
) -> None:
    alter(received, "", column, 5, change)

    report = diff_round_trip(sent, received)
    differing = {d.column for d in report.differences}
    # A row whose antennas are others matches none: then it is rows that are missing.
    assert differing >= ({None} if column == "ANTENNA1" else {column})


def test_minus_zero_is_not_zero_bit_for_bit(sent: Path, received: Path) -> None:
    alter(sent, "", "UVW", 0, lambda uvw: uvw * 0.0 + 0.0)
    alter(received, "", "UVW", 0, lambda uvw: -(uvw * 0.0 + 0.0))

    assert columns_that_differ(sent, received) == {"UVW"}


def test_history_may_grow_and_nothing_else(sent: Path, received: Path) -> None:
    for path, lines in ((sent, 2), (received, 5)):
        with subtable(path, "HISTORY", lines) as history:
            history.putcol("MESSAGE", [f"line {n}" for n in range(lines)])
            for row in range(lines):
                history.putcell("APP_PARAMS", row, ["x"])
                history.putcell("CLI_COMMAND", row, ["y"])

    report = diff_round_trip(sent, received)
    assert report.same
    assert "HISTORY: 3 lines that B has more" in report.not_compared

    alter(received, "HISTORY", "MESSAGE", 1, lambda _: "rewritten")
    alter(received, "ANTENNA", "NAME", 1, lambda _: "moved")
    differences = diff_round_trip(sent, received).differences
    assert [(d.table, d.column) for d in differences] == [
        ("ANTENNA", "NAME"),
        ("HISTORY", "MESSAGE"),
    ]


def test_a_lost_record_is_found(sent: Path, received: Path) -> None:
    alter(received, "", "DATA", 0, np.zeros_like)
    alter(received, "", "FLAG", 0, np.ones_like)
    alter(received, "", "WEIGHT_SPECTRUM", 0, np.zeros_like)
    for column in ("WEIGHT", "SIGMA"):
        alter(received, "", column, 0, np.zeros_like)
    alter(received, "", "FLAG_ROW", 0, lambda _: True)
    alter(received, "", "TIME_CENTROID", 0, lambda _: received_time(received))

    assert columns_that_differ(sent, received) == {"DATA", "FLAG"}


def received_time(path: Path) -> float:
    with table(str(path), ack=False) as main_table:
        return float(main_table.getcell("TIME", 0))


def test_baselines_that_were_missing_come_back_flagged(sent: Path, received: Path) -> None:
    with subtable(received, "") as main_table:
        for column in ("FLAG", "WEIGHT_SPECTRUM", "WEIGHT", "SIGMA"):
            value = main_table.getcell(column, 8)
            main_table.putcell(column, 8, value | True if column == "FLAG" else value * 0)
    rows = [row for row in range(18) if row != 8]
    part = sent.with_name("part.ms")
    with table(str(sent), ack=False) as whole:
        whole.selectrows(rows).copy(str(part), deep=True).close()

    report = diff_round_trip(part, received)
    assert report.differences == []
    assert "1 flagged row of B: A does not have their times and baselines" in report.not_compared

    alter(received, "", "FLAG", 8, lambda flag: ~flag)
    (difference,) = diff_round_trip(part, received).differences
    assert "1 row of B that A does not have are not flagged, first in row 8" in difference.text


def test_rows_in_another_order_are_matched_by_time_and_antennas(sent: Path, received: Path) -> None:
    turned = sent.with_name("turned.ms")
    with table(str(sent), ack=False) as whole:
        whole.sort("ANTENNA1,ANTENNA2,TIME").copy(str(turned), deep=True).close()

    report = diff_round_trip(turned, received)

    assert report.differences == []
    assert any(text.startswith("order of rows") for text in report.not_compared)


def test_a_flagged_row_was_sent_flagged(sent: Path, received: Path) -> None:
    alter(sent, "", "FLAG_ROW", 2, lambda _: True)
    assert columns_that_differ(sent, received) == {"FLAG"}

    alter(sent, "", "FLAG", 2, np.ones_like)
    again = receive_as_specified(sent, sent.with_name("again.ms"))
    alter(sent, "", "FLAG", 2, np.zeros_like)
    assert columns_that_differ(sent, again) == set()


def test_other_data_descriptions_do_not_travel(sent: Path, received: Path) -> None:
    with subtable(sent, "") as main_table:
        main_table.addrows(2)
        for column in ("TIME", "ANTENNA2", "DATA", "FLAG", "WEIGHT_SPECTRUM"):
            for row in (18, 19):
                main_table.putcell(column, row, main_table.getcell(column, 17))
        main_table.putcell("DATA_DESC_ID", 18, 1)
        main_table.putcell("FIELD_ID", 19, 1)

    report = diff_round_trip(sent, received)

    assert report.differences == []
    assert any(text.startswith("2 rows of A: of other data desc") for text in report.not_compared)


def test_a_set_without_centroids_has_them_in_the_middle(sent: Path, tmp_path: Path) -> None:
    with subtable(sent, "") as main_table:
        main_table.putcol("TIME_CENTROID", main_table.getcol("TIME"))
    received = receive_as_specified(sent, tmp_path / "received.ms")
    with subtable(sent, "") as main_table:
        main_table.removecols("TIME_CENTROID")

    assert columns_that_differ(sent, received) == set()


def test_a_set_without_weight_spectrum_was_whole(sent: Path, tmp_path: Path) -> None:
    with subtable(sent, "") as main_table:
        main_table.putcol("WEIGHT_SPECTRUM", np.full_like(main_table.getcol("DATA"), NORM).real)
    received = receive_as_specified(sent, tmp_path / "received.ms")
    with subtable(sent, "") as main_table:
        main_table.removecols("WEIGHT_SPECTRUM")

    assert columns_that_differ(sent, received) == set()
    alter(received, "", "WEIGHT_SPECTRUM", 0, lambda weights: weights * 0.9)
    assert "WEIGHT_SPECTRUM" in columns_that_differ(sent, received)
