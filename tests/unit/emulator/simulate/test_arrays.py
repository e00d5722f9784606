"""Built-in layouts against what is published of the arrays; choosing among antennas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.coordinates import EarthLocation

from emulator.simulate.antenna_table import Site
from emulator.simulate.arrays import (
    builtin_names,
    describe_arrays,
    load_builtin,
    load_file,
    longest_baseline_m,
    random_array,
)
from receive.command.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

# Number of antennas, longest baseline in km and longitude and latitude of the centre as the
# observatories publish them; LOFAR's stations are spread over Europe.
PUBLISHED = {
    "meerkat": (64, 7.7, 0.1, 21.44, -30.71, 0.05),
    "ska-low": (512, 74, 1, 116.76, -26.82, 0.2),
    "ska-mid": (197, 160, 2, 21.44, -30.71, 0.2),
    "mwa": (128, 2.87, 0.05, 116.67, -26.70, 0.05),
    "lofar-hba": (77, 2720, 20, 6.87, 52.9, 3),
    "lofar-lba": (53, 2720, 20, 6.87, 52.9, 3),
    "vla-a": (27, 36.4, 0.5, -107.62, 34.08, 0.1),
    "vla-b": (27, 11.1, 0.2, -107.62, 34.08, 0.05),
    "vla-c": (27, 3.4, 0.1, -107.62, 34.08, 0.02),
    "vla-d": (27, 1.03, 0.02, -107.62, 34.08, 0.01),
}


def test_every_layout_is_checked_here() -> None:
    assert builtin_names() == sorted(PUBLISHED)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_layout_is_the_array_that_it_says(name: str) -> None:
    count, longest_km, tolerance_km, longitude, latitude, tolerance_deg = PUBLISHED[name]
    array = load_builtin(name)
    assert len(array) == len(set(array.names)) == count
    assert longest_baseline_m(array) / 1e3 == pytest.approx(longest_km, abs=tolerance_km)
    centre = EarthLocation.from_geocentric(*array.centre_m, unit="m").to_geodetic()
    assert centre.lon.deg == pytest.approx(longitude, abs=tolerance_deg)
    assert centre.lat.deg == pytest.approx(latitude, abs=tolerance_deg)
    heights = EarthLocation.from_geocentric(*array.positions_m.T, unit="m").height.to_value("m")
    assert heights.min() > 0
    assert heights.max() < 2200
    assert "Python package" in array.source
    assert array.freq_start_hz > 10e6
    assert array.channel_width_hz > 0


def test_dishes_of_two_sizes() -> None:
    array = load_builtin("ska-mid")
    assert array.diameters_m[array.names.index("m000")] == 13.5
    assert array.diameters_m[array.names.index("SKA001")] == 15


def test_the_list_names_places_and_sources() -> None:
    page = describe_arrays()
    for name in builtin_names():
        assert name in page
    assert "64 antennas" in page
    assert "coordinates:" in page
    assert max(map(len, page.splitlines())) <= 96


def test_unknown_array_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean meerkat\? There are: .*ska-low"):
        load_builtin("meerkatt")


def test_names_are_taken_in_any_case() -> None:
    assert load_builtin("MeerKAT").telescope == "MeerKAT"


def test_take_the_first_or_named_ones() -> None:
    array = load_builtin("meerkat")
    assert array.take("3").names == ("m000", "m001", "m002")
    chosen = array.take("m063, m010")
    assert chosen.names == ("m063", "m010")
    np.testing.assert_array_equal(chosen.positions_m[1], array.positions_m[10])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("65", "more than the 64"),
        ("0", "at least 1"),
        ("m000,m0001", "did you mean m00"),
        ("m000,m000", "named twice"),
        ("-3", "no antenna '-3'"),
    ],
)
def test_impossible_choices(choice: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_builtin("meerkat").take(choice)


def test_random_antennas_are_the_same_again_and_say_what_they_are() -> None:
    first, again, other = random_array(50, 1), random_array(50, 1), random_array(50, 2)
    np.testing.assert_array_equal(first.positions_m, again.positions_m)
    assert not np.array_equal(first.positions_m, other.positions_m)
    assert "not a real array" in first.kind
    apart = np.linalg.norm(first.positions_m[:, None] - first.positions_m, axis=-1)
    assert apart[apart > 0].min() >= 40


def test_random_antennas_at_a_site() -> None:
    site = Site(10.0, 50.0, 100.0)
    array = random_array(4, 0, site)
    assert np.linalg.norm(array.positions_m - site.itrf_m(), axis=1).max() < 10e3
    with pytest.raises(ConfigError, match="--random-antennas: 0"):
        random_array(0, 0)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mini.txt"
    path.write_text("name east north up diameter\nA 0 0 0 12\nB 30 0 0 12\n")
    array = load_file(path, Site(0, 45, 0))
    assert array.telescope == "MINI"
    assert "mini.txt" in array.source
    np.testing.assert_array_equal(array.diameters_m, [12, 12])


def test_a_table_may_describe_the_array(tmp_path: Path) -> None:
    path = tmp_path / "mini.txt"
    path.write_text("# telescope: MINI-2\n# diameter_m: 4\nname,east,north,up\nA,0,0,0\n")
    array = load_file(path, Site(0, 45, 0))
    assert array.telescope == "MINI-2"
    assert array.diameters_m[0] == 4
    path.write_text("# diameter_m: big\nname,east,north,up\nA,0,0,0\n")
    with pytest.raises(InputError, match=r"diameter_m: 'big'"):
        load_file(path, Site(0, 45, 0))
