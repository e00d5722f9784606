"""Tables of antennas and of sources as editors, spreadsheets and CASA save them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from casacore import tables

from emulator.simulate.antenna_table import read_antennas
from emulator.simulate.app import main
from emulator.simulate.sky import parse_source, read_sources
from receive.command import cli

if TYPE_CHECKING:
    from pathlib import Path

INPUT = 3
ANTENNAS = {
    "m0": (5109284.4, 2006822.8, -3239031.1),
    "m1": (5109224.4, 2006922.8, -3239061.1),
    "d 2": (5109184.4, 2006972.8, -3239091.1),
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
SEPARATORS = (",", ", ", ";", "; ", "\t", " ", "   ", " \t ")
ENDS = ("\n", "\r\n", "\r")
HEADERS = (None, ("name", "x", "y", "z"), ("Name", "X [m]", "Y (m)", "Z"))


def simulated(tmp_path: Path, option: str, table: Path, *more: str) -> int:
    size = ("--integrations", "1", "--channels", "1", "--overwrite")
    out = str(tmp_path / "out.ms")
    return cli.run("emu-simulate", main, [option, str(table), *size, *more, out])


def antennas(tmp_path: Path) -> dict[str, tuple[float, ...]]:
    with tables.table(str(tmp_path / "out.ms" / "ANTENNA"), ack=False) as table:
        positions = table.getcol("POSITION")
        return dict(zip(table.getcol("NAME"), map(tuple, positions), strict=True))


def spelled(separator: str, header: tuple[str, ...] | None, quotes: bool, end: str) -> str:
    def cell(text: object) -> str:
        quoted = quotes or (separator.isspace() and " " in str(text))
        return f'"{text}"' if quoted else str(text)

    rows = [*([header] if header else []), *((name, *xyz) for name, xyz in ANTENNAS.items())]
    lines = ["# array: X", "", *(separator.join(map(cell, row)) for row in rows), ""]
    return end.join(lines)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, encoding: str) -> None:
    table = tmp_path / "antennas.csv"
    for how in itertools.product(SEPARATORS, HEADERS, (False, True), ENDS):
        table.write_bytes(spelled(*how).encode(encoding))
        found = read_antennas(table)
        assert dict(zip(found.names, map(tuple, found.positions_m), strict=True)) == ANTENNAS, how
    assert simulated(tmp_path, "--antennas", table) == 0
    assert antennas(tmp_path) == ANTENNAS


def test_separators_that_a_spreadsheet_leaves_at_the_end_are_no_antenna(tmp_path: Path) -> None:
    table = tmp_path / "antennas.csv"
    table.write_text(spelled(",", HEADERS[1], False, "\n") + ",,,\n,,,\n")
    assert simulated(tmp_path, "--antennas", table) == 0
    assert antennas(tmp_path) == ANTENNAS


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("system", ["# coordsys=XYZ\n", "# coordsys = xyz # ITRF\n", ""])
def test_the_form_of_casa(tmp_path: Path, mark: str, system: str) -> None:
    rows = [(*xyz, 12.0, f"P{n}") for n, xyz in enumerate(ANTENNAS.values())]
    lines = "\n".join("  ".join(map(str, row)) for row in rows)
    table = tmp_path / "array.cfg"
    table.write_text(f"{mark}# observatory=ALMA\n{system}# x y z diam pad#\n{lines}\n")
    assert simulated(tmp_path, "--antennas", table) == 0
    assert list(antennas(tmp_path)) == ["P0", "P1", "P2"]
    assert list(antennas(tmp_path).values()) == list(ANTENNAS.values())
    with tables.table(str(tmp_path / "out.ms" / "OBSERVATION"), ack=False) as observation:
        assert observation.getcol("TELESCOPE_NAME") == ["ALMA"]
    with tables.table(str(tmp_path / "out.ms" / "ANTENNA"), ack=False) as made:
        np.testing.assert_array_equal(made.getcol("DISH_DIAMETER"), 12.0)


def test_local_coordinates_of_casa_need_a_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "array.cfg"
    table.write_text("# coordsys=LOC (local plane)\n0 0 0 12. A001 DV01\n9 0 0 12. A002 DV02\n")
    assert simulated(tmp_path, "--antennas", table) == INPUT
    assert "say from where with --site" in capsys.readouterr().err
    assert simulated(tmp_path, "--antennas", table, "--site=-67.75,-23.02,5000") == 0
    made = antennas(tmp_path)
    assert list(made) == ["DV01", "DV02"]
    apart = np.subtract(made["DV02"], made["DV01"])
    assert np.linalg.norm(apart) == pytest.approx(9, abs=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("# coordsys=UTM\n1 2 3 12. A001\n", "CASA's .cfg form with coordsys=UTM is not read"),
        ("# coordsys=XYZ\n1 2 3 12.\n", "x y z diameter pad"),
        ("m0;5109284,4;2006822,8;-3239031,1\n", "5109284,4 has a decimal comma"),
        ("m0\t5.109.284,4\t2006822,8\t-3239031,1\n", "5.109.284,4 has a decimal comma"),
        ("m0 5109284,4 2006822,8 -3239031,1\n", "5109284,4 has a decimal comma"),
        ("m0,5109284,4,2006822,8,-3239031,1\n", "numbers with a decimal point"),
        ("\ufeffstation,lat,lon,h\nm0,1,2,3\n", "columns station, lat, lon, h; expected name, x"),
        ('"m0,1,2,3\n', "is no line of a table"),
        ('{"antennas": []}', "is JSON"),
        ("\ufeff <VOTABLE>", "is XML"),
        (b"PK\x03\x04....", "is a workbook or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook"),
        ("m0 1 2 3\n".encode("utf-16-le"), "UTF-16 needs a byte order mark"),
        ("Sch\u00f6n 1 2 3\n".encode("latin-1"), "not a text file in UTF-8"),
        (b"\xff\xfem", "not a text file"),
        ("\ufeff", "no antennas in it"),
    ],
)
def test_other_forms_are_refused_by_name(
    tmp_path: Path, content: str | bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "antennas.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert simulated(tmp_path, "--antennas", table) == INPUT
    told = capsys.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sources_are_read_however_they_were_saved(tmp_path: Path, encoding: str) -> None:
    table = tmp_path / "sources.txt"
    rows = [("10.0", "-30.0", "1.0"), ("00:40:10", "-30:10:00", "2.5", "-0.7")]
    for separator, quotes, header in itertools.product(SEPARATORS, (False, True), (False, True)):
        lines = [["RA", "Dec", "Flux_Jy"]] * header + [list(row) for row in rows]
        quote = '"' if quotes else ""
        text = "\r\n".join(separator.join(f"{quote}{c}{quote}" for c in row) for row in lines)
        table.write_bytes(f"# sky\r\n{text}  # bright\r\n".encode(encoding))
        assert read_sources(table) == [parse_source(",".join(row)) for row in rows]
    assert simulated(tmp_path, "--sources", table, "--num-antennas", "2") == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("10,5;-30,2;1,0\n", "10,5 has a decimal comma"),
        ("name,ra,dec,flux\na,1,2,3\n", "columns name, ra, dec, flux; expected RA,DEC"),
        ("[]", "is JSON"),
    ],
)
def test_other_forms_of_sources_are_refused_by_name(
    tmp_path: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "sources.txt"
    table.write_text(content)
    assert simulated(tmp_path, "--sources", table) == INPUT
    assert words in capsys.readouterr().err
