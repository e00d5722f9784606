"""Tables of antennas: what is accepted, and what a user learns of what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.coordinates import EarthLocation

from emulator.simulate.antenna_table import Site, parse_antennas, read_antennas
from receive.command.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

X, Y, Z = 5109271.498, 2006808.893, -3239130.736


def test_commas_and_blanks_are_the_same() -> None:
    blanks = parse_antennas(f"A {X} {Y} {Z} 13.5\nB {X + 9} {Y} {Z} 15\n", "t")
    commas = parse_antennas(
        f"# telescope: MINE\nname, x[m], y[m], z[m], diameter\nA,{X},{Y},{Z},13.5\n"
        f"\nB, {X + 9}, {Y}, {Z}, 15\n",
        "t",
    )
    assert blanks.names == commas.names == ("A", "B")
    np.testing.assert_array_equal(blanks.positions_m, commas.positions_m)
    np.testing.assert_array_equal(commas.diameters_m, [13.5, 15])
    assert commas.header == {"telescope": "MINE"}


def test_no_diameters_without_their_column() -> None:
    assert parse_antennas(f"A {X} {Y} {Z}\n", "t").diameters_m is None


def test_site_is_where_astropy_puts_it() -> None:
    site = Site(116.764448, -26.824722, 365.0)
    there = EarthLocation.from_geodetic(116.764448, -26.824722, 365.0)
    expected = [c.to_value("m") for c in (there.x, there.y, there.z)]
    np.testing.assert_allclose(site.itrf_m(), expected, rtol=0, atol=1e-6)


def test_local_coordinates_are_east_north_up_of_the_site() -> None:
    site = Site(21.44, -30.71, 1086.0)
    table = parse_antennas("name,east,north,up\nO,0,0,0\nE,100,0,0\nN,0,50,0\nU,0,0,7\n", "t", site)
    origin, east, north, up = table.positions_m
    higher = EarthLocation.from_geodetic(21.44, -30.71, 1093.0)
    np.testing.assert_allclose(up, [higher.x.value, higher.y.value, higher.z.value], atol=1e-6)
    assert np.linalg.norm(east - origin) == pytest.approx(100)
    assert north[2] > origin[2]
    assert (east - origin) @ (north - origin) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no antennas in it"),
        ("# only: comments\n", "no antennas in it"),
        (f"A {X} {Y}\n", "line 1: 3 columns; expected 4"),
        (f"A {X} {Y} {Z}\nB {X} {Y}\n", "line 2: 3 columns; expected 4: name, x, y, z"),
        (f"A {X} north {Z}\n", "line 1: column y: 'north' is not a number"),
        (f"A {X} nan {Z}\n", "line 1: column y: 'nan'"),
        (f"name,x,y,z\nA,{X},{Y},{Z}\nA,{X},{Y},{Z}\n", "line 3: antenna A was on line 2 already"),
        (f"name,y,x,z\nA,{X},{Y},{Z}\n", "line 1: columns name, y, x, z; expected name, x, y, z"),
        (f"A {X} {Y} {Z} 0\n", "line 1: column diameter: 0 must be above 0"),
        ("name,x,y,z\nA,10,20,1\n", "line 2: antenna A is 0.0 km from the centre"),
        ("name,east,north,up\nA,10,20,1\n", "--site LON,LAT,HEIGHT"),
        (f",{X},{Y},{Z}\n", "line 1: column name is empty"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_antennas(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_geocentric_tables_need_no_site() -> None:
    with pytest.raises(InputError, match="leave --site out"):
        parse_antennas(f"A {X} {Y} {Z}\n", "t", Site(0, 0, 0))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_antennas(tmp_path / "none.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x7fELF\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not a text file"):
        read_antennas(binary)
