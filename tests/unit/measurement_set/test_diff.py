"""ms-diff: every kind of difference is found and named, and nothing else is."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table

from receive.command.errors import ConfigError, InputError
from receive.measurement_set.compare.command import DiffTroubleError, entry, main
from receive.measurement_set.compare.tables import Comparison, Selection, diff_sets
from receive.measurement_set.compare.values import Tolerances
from tests.unit.measurement_set.made_by_casacore import alter, make_set, subtable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIFFER = 1


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a = make_set(tmp_path / "a.ms")
    shutil.copytree(a, tmp_path / "b.ms")
    return a, tmp_path / "b.ms"


def found(a: Path, b: Path, **options: Any) -> list[tuple[str, str | None, str]]:
    report = diff_sets(a, b, **options)
    return [(d.table, d.column, d.kind) for d in report.differences]


def set_index(index: tuple[int, ...], value: Any) -> Callable[[Any], Any]:
    def change(cell: Any) -> Any:
        cell = cell.copy()
        cell[index] = value
        return cell

    return change


def test_a_copy_is_the_same(lofar_ms: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ms"
    shutil.copytree(lofar_ms, copy)

    report = diff_sets(lofar_ms, copy)

    assert report.same
    assert {"MAIN.DATA", "MAIN.FLAG_CATEGORY", "sky/NAMES.NPAR"} & set(report.compared)
    assert any(name.startswith("sky/") for name in report.compared)
    assert report.not_compared == []
    assert main([str(lofar_ms), str(copy)]) == 0


@pytest.mark.parametrize(
    ("name", "column", "row", "change"),
    [
        ("", "DATA", 17, set_index((2, 3), np.complex64(9))),
        ("", "FLAG", 3, set_index((7, 0), value=True)),
        ("", "UVW", 167, set_index((1,), 5.0)),
        ("", "TIME", 0, lambda time: time + 2e-6),
        ("", "ANTENNA2", 5, lambda antenna: antenna + 1),
        ("", "FLAG_ROW", 9, lambda flag: not flag),
        ("", "LOFAR_FULL_RES_FLAG", 9, set_index((0, 1), np.uint8(3))),
        ("ANTENNA", "NAME", 2, lambda _: "elsewhere"),
        ("ANTENNA", "POSITION", 2, set_index((0,), 1.0)),
        ("FEED", "POLARIZATION_TYPE", 1, lambda _: ["X", "X"]),
        ("HISTORY", "APP_PARAMS", 0, lambda lines: [*lines[:-1], "other"]),
        ("POLARIZATION", "CORR_TYPE", 0, set_index((0,), np.int32(5))),
    ],
)
def test_one_altered_cell_is_found_and_named(
    lofar_ms: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    column: str,
    row: int,
    change: Callable[[Any], Any],
) -> None:
    copy = tmp_path / "copy.ms"
    shutil.copytree(lofar_ms, copy)
    alter(copy, name, column, row, change)

    code = main([str(lofar_ms), str(copy)])

    lines = capsys.readouterr().out.splitlines()
    assert code == DIFFER
    assert len(lines) == 2
    assert lines[0].startswith(f"{name or 'MAIN'}.{column}: 1 of ")
    assert f"first in row {row}" in lines[0]
    assert lines[1].startswith("1 difference in ")


def test_a_value_is_told_with_its_place_and_distance(pair: tuple[Path, Path]) -> None:
    a, b = pair
    alter(a, "", "DATA", 4, set_index((2, 3), 2 + 0j))
    alter(b, "", "DATA", 4, set_index((2, 3), 2 + 0.5j))

    (difference,) = diff_sets(a, b).differences

    assert "1 of 240 values in 1 row differ, by up to 0.5 (relative 0.25)" in difference.text
    assert "antennas 0-2, channel 2, polarisation 3" in difference.text
    assert difference.details["first"]["time_mjd_s"] == 4.8e9 + 8
    assert difference.details["first"]["b"] == [2.0, 0.5]


def test_nan_equals_nan_and_nothing_else(pair: tuple[Path, Path]) -> None:
    a, b = pair
    for path in pair:
        alter(path, "", "DATA", 0, set_index((0, 0), complex(np.nan, 1)))
        alter(path, "", "UVW", 0, set_index((0,), np.inf))
    assert found(a, b) == []

    alter(b, "", "DATA", 0, set_index((0, 0), complex(1, np.nan)))
    assert found(a, b, tolerances=Tolerances(atol=1e9, rtol=1e9)) == [("MAIN", "DATA", "values")]


def test_infinity_is_within_no_tolerance(pair: tuple[Path, Path]) -> None:
    a, b = pair
    alter(b, "", "UVW", 0, set_index((0,), np.inf))

    assert found(a, b, tolerances=Tolerances(rtol=0.5)) == [("MAIN", "UVW", "values")]
    assert found(b, a, tolerances=Tolerances(rtol=0.5)) == [("MAIN", "UVW", "values")]


def test_tolerances_by_column_and_for_all(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = pair
    alter(b, "", "UVW", 1, lambda uvw: uvw + 0.5)
    alter(b, "", "DATA", 1, lambda data: data * 1.01)
    alter(b, "", "ANTENNA1", 2, lambda antenna: antenna + 1)
    sets = [str(a), str(b)]

    assert main([*sets, "--atol", "UVW=0.6", "--rtol", "DATA=0.02"]) == DIFFER
    assert "MAIN.ANTENNA1" in capsys.readouterr().out.splitlines()[0]
    assert main([*sets, "--atol", "2"]) == DIFFER  # whole numbers only when named
    assert main([*sets, "--atol", "0.6", "--atol", "ANTENNA1=1"]) == 0
    assert main([*sets, "--atol", "UVW=0.4", "--rtol", "DATA=0.02", "--ignore", "ANT*1"]) == DIFFER


def test_rows_columns_types_keywords_and_tables(pair: tuple[Path, Path]) -> None:
    a, b = pair
    with subtable(a, "") as main_table:
        main_table.addcols(maketabdesc([makescacoldesc("OLD", 0)]))
        main_table.addcols(maketabdesc([makescacoldesc("KIND", 0)]))
    with subtable(b, "") as main_table:
        main_table.addcols(maketabdesc([makearrcoldesc("NEW", 0.0, ndim=1)]))
        main_table.addcols(maketabdesc([makescacoldesc("KIND", 0.0)]))
        main_table.addrows(1)
        main_table.putcolkeyword("TIME", "QuantumUnits", ["d"])
        main_table.putkeyword("SORTED_BY", "TIME")
    with table(f"{b}/EXTRA", maketabdesc([makescacoldesc("X", 0)]), ack=False) as extra:
        extra.done()
    with subtable(b, "") as main_table:
        main_table.putkeyword("EXTRA", f"Table: {b}/EXTRA")

    assert sorted(found(a, b), key=str) == sorted(
        [
            ("MAIN", None, "rows"),
            ("MAIN", "OLD", "column"),
            ("MAIN", "NEW", "column"),
            ("MAIN", "KIND", "type"),
            ("MAIN", "TIME", "keywords"),
            ("MAIN", None, "keywords"),
            ("EXTRA", None, "table"),
        ],
        key=str,
    )
    assert ("EXTRA", None, "table") not in found(a, b, selection=Selection(subtables=False))


def test_cells_of_other_shapes_and_undefined_ones(pair: tuple[Path, Path]) -> None:
    a, b = pair
    columns = maketabdesc([makearrcoldesc("V", 0.0, ndim=-1), makearrcoldesc("S", "", ndim=1)])
    for path in pair:
        with subtable(path, "") as main_table:
            main_table.addcols(columns)
            main_table.putcell("V", 1, np.ones(3))
            main_table.putcell("V", 2, np.ones((2, 2)))
            main_table.putcell("S", 2, ["x", "y"])
    assert found(a, b) == []

    with subtable(b, "") as main_table:
        main_table.putcell("V", 1, np.ones(4))
        main_table.putcell("V", 2, np.zeros((2, 2)))
        main_table.putcell("V", 3, np.ones(1))
        main_table.putcell("S", 2, ["x", "z"])

    report = diff_sets(a, b)
    assert [(d.column, d.kind) for d in report.differences] == [
        ("V", "shape"),
        ("V", "values"),
        ("S", "values"),
    ]
    assert "2 cells of another shape, first in row 1" in report.differences[0].text
    assert "[3] in A, [4] in B" in report.differences[0].text


def test_slices_are_put_together(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receive.measurement_set.read.columns.SLICE_ROWS", 5)
    a, b = pair
    for row in (3, 4, 11):
        alter(b, "", "UVW", row, lambda uvw: uvw + 1)

    (difference,) = diff_sets(a, b).differences

    assert difference.details["rows"] == 3
    assert difference.details["values"] == 36
    assert difference.details["first"]["row"] == 3


def test_columns_selects(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair
    alter(b, "", "UVW", 0, lambda uvw: uvw + 1)
    alter(b, "ANTENNA", "NAME", 0, lambda _: "x")
    sets = [str(a), str(b)]

    assert main([*sets, "--columns", "DATA", "FLAG"]) == 0
    assert capsys.readouterr().out == "the same: 2 columns compared\n"
    assert main([*sets, "--columns", "ANTENNA/NAME"]) == DIFFER
    assert capsys.readouterr().out.startswith("ANTENNA.NAME: 1 of 3 values")
    assert main([*sets, "--ignore", "UVW", "ANTENNA"]) == 0
    assert "not compared: MAIN.UVW, ANTENNA: ignored" in capsys.readouterr().out


def test_what_is_not_compared_is_told_by_reason(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, pair), "--round-trip"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "MAIN.SCAN_NUMBER" in lines[0]
    assert lines[0].endswith(": does not travel")


def test_json_holds_what_the_lines_say(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = pair
    alter(b, "", "DATA", 5, set_index((1, 2), complex(np.nan, 0)))

    assert main([str(a), str(b), "--json"]) == DIFFER

    report = json.loads(capsys.readouterr().out)
    (difference,) = report["differences"]
    assert not report["same"]
    assert difference["column"] == "DATA"
    assert difference["details"]["first"]["channel"] == 1
    assert difference["details"]["first"]["b"] == ["nan", 0.0]
    assert difference["details"]["largest_absolute"] is None


def test_quiet_says_nothing(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair
    alter(b, "", "UVW", 0, lambda uvw: uvw + 1)

    assert main([str(a), str(b), "-q"]) == DIFFER
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--atol", "DATA=x"], "--atol DATA=x: expected a number"),
        (["--rtol", "-1"], "--rtol -1: expected a number"),
        (["--columns", "DTAA"], "neither set has DTAA"),
        (["--ignore", "NOWHERE/X"], "neither set has NOWHERE/X"),
        (["--round-trip", "--atol", "1"], "--round-trip has columns and tolerances of its own"),
    ],
)
def test_wrong_options_are_trouble(
    pair: tuple[Path, Path], options: list[str], message: str
) -> None:
    a, b = pair
    with pytest.raises(DiffTroubleError, match=message) as trouble:
        main([str(a), str(b), *options])
    assert trouble.value.exit_code == 2


def test_a_missing_set_is_trouble(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.ms does not exist"):
        diff_sets(pair[0], tmp_path / "missing.ms")
    with pytest.raises(DiffTroubleError, match=r"missing\.ms does not exist"):
        main([str(pair[0]), str(tmp_path / "missing.ms")])


@pytest.mark.parametrize(("b", "code"), [("a.ms", 0), ("missing.ms", 2), ("", 2)])
def test_the_command_ends_with_its_own_codes(
    pair: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    b: str,
    code: int,
) -> None:
    a = pair[0]
    monkeypatch.setattr("sys.argv", ["ms-diff", str(a), *([str(a.with_name(b))] if b else [])])

    assert entry() == code
    if code:
        assert "ms-diff: error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_subtable_is_trouble(pair: tuple[Path, Path]) -> None:
    a, b = pair
    shutil.rmtree(b / "FEED")
    with pytest.raises(DiffTroubleError, match="FEED cannot be opened"):
        main([str(a), str(b)])


def test_a_defect_of_ours_does_not_look_like_a_difference(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(Comparison, "columns", broken)
    with pytest.raises(DiffTroubleError, match=r"defect of ms-diff.*oh"):
        main([str(a) for a in pair])


def test_unknown_names_are_a_configuration_error(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="SUBTABLE/COLUMN"):
        diff_sets(*pair, selection=Selection(columns=("nothing",)))
