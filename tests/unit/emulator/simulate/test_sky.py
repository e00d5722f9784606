"""Sources and their visibilities, against astropy and a sum written out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from emulator.simulate.sky import (
    SkyModel,
    Source,
    default_sources,
    direction_cosines,
    parse_dec,
    parse_ra,
    parse_source,
    read_sources,
)
from receive.command.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

CENTRE = (math.radians(65.03), math.radians(-30.77))
FREQ_HZ = 1.3e9 + np.arange(8) * 2e6


@pytest.mark.parametrize("text", ["12:30:49.4", "12h30m49.4s", "187.7058333333", "187d42m21s"])
def test_right_ascensions(text: str) -> None:
    assert math.degrees(parse_ra(text, "--ra")) == pytest.approx(187.7058333333)


@pytest.mark.parametrize("text", ["-5:23:28", "-5d23m28s", "-5.391111111111", "-5.391111111111deg"])
def test_declinations(text: str) -> None:
    assert math.degrees(parse_dec(text, "--dec")) == pytest.approx(-5.3911111111)


def test_small_negative_declination_keeps_its_sign() -> None:
    assert math.degrees(parse_dec("-0:30:00", "--dec")) == pytest.approx(-0.5)


@pytest.mark.parametrize("text", ["east", "", "12:75:00", "361", "-1", "nan", "25:00:00"])
def test_what_is_no_right_ascension(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--ra: .* is not a right ascension"):
        parse_ra(text, "--ra")


@pytest.mark.parametrize("text", ["91", "-91:00:00", "up"])
def test_what_is_no_declination(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a declination"):
        parse_dec(text, "--dec")


def test_sources_from_text() -> None:
    assert parse_source("0,90,1.5") == Source(0.0, math.pi / 2, 1.5)
    full = parse_source("12:00:00, -45:00:00, 2, -0.7, 1.4e9")
    assert full == Source(math.pi, -math.pi / 4, 2.0, -0.7, 1.4e9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2", "has 2 fields; expected RA,DEC,FLUX_JY"),
        ("1,2,3,4,5,6", "has 6 fields"),
        ("1,2,bright", "'bright' is not a number"),
        ("1,2,3,-0.7,0", "must be above 0 Hz"),
        ("1,100,3", "not a declination"),
    ],
)
def test_bad_sources(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_source(text)


def test_sources_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sky.txt"
    path.write_text("# my sky\n10,20,1.5  # the bright one\n\n11,20,0.5,-0.8\n")
    assert [s.flux_jy for s in read_sources(path)] == [1.5, 0.5]
    path.write_text("10,20,1.5\n10,20\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_sources(path)
    path.write_text("# none\n")
    with pytest.raises(InputError, match="no sources in it"):
        read_sources(path)
    with pytest.raises(InputError, match="No such file"):
        read_sources(tmp_path / "none")
    path.write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match="not a text file"):
        read_sources(path)


def test_spectra() -> None:
    source = Source(0, 0, 2.0, -0.7, 1.4e9)
    np.testing.assert_allclose(source.flux_at(np.array([1.4e9, 2.8e9])), [2, 2 * 2**-0.7])
    assert Source(0, 0, 2.0, -0.7).flux_at(FREQ_HZ)[0] == 2


def test_direction_cosines_are_those_of_astropy() -> None:
    ra = np.radians([65.03, 66.0, 70.0, 65.03])
    dec = np.radians([-30.77, -30.0, -25.0, -30.76999])
    sources = [Source(float(r), float(d), 1) for r, d in zip(ra, dec, strict=True)]
    centre = SkyCoord(*CENTRE, unit="rad")
    offset = SkyCoord(ra, dec, unit="rad").transform_to(centre.skyoffset_frame())
    lon, lat = offset.lon.rad, offset.lat.rad
    expected = [np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon) - 1]
    np.testing.assert_allclose(direction_cosines(sources, CENTRE).T, expected, atol=1e-14)


def test_phase_is_zero_at_the_phase_centre() -> None:
    uvw = np.random.default_rng(1).normal(scale=70e3, size=(20, 3))
    sky = SkyModel([Source(*CENTRE, 3.0)], CENTRE, FREQ_HZ)
    visibilities = sky.visibilities(uvw)
    assert visibilities.shape == (20, 8)
    assert visibilities.dtype == np.complex64
    # A direction has 1e-16 rad of rounding; on 70 km it is 1e-9 turns.
    np.testing.assert_allclose(visibilities, 3.0, rtol=0, atol=1e-6)


def test_visibilities_are_the_sum_written_out() -> None:
    sources = default_sources(CENTRE, math.radians(3))
    uvw = np.random.default_rng(2).normal(scale=3000, size=(37, 3))
    got = SkyModel(sources, CENTRE, FREQ_HZ).visibilities(uvw)
    expected = np.zeros((37, 8), complex)
    centre = SkyCoord(*CENTRE, unit="rad")
    for source in sources:
        offset = SkyCoord(source.ra_rad, source.dec_rad, unit="rad").transform_to(
            centre.skyoffset_frame()
        )
        l = math.cos(offset.lat.rad) * math.sin(offset.lon.rad)  # noqa: E741
        m = math.sin(offset.lat.rad)
        n = math.sqrt(1 - l * l - m * m)
        for channel, freq in enumerate(FREQ_HZ):
            flux = source.flux_jy * (freq / FREQ_HZ[0]) ** source.spectral_index
            path = (uvw @ [l, m, n - 1]) * freq / 299792458.0
            expected[:, channel] += flux * np.exp(2j * np.pi * path)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_sign_is_that_of_the_casa_family() -> None:
    # V = exp(+2 pi i u l): one turn of phase is one wavelength of path.
    eastern = Source(CENTRE[0] + 1e-4, 0.0, 1.0)
    sky = SkyModel([eastern], (CENTRE[0], 0.0), np.array([299792458.0]))
    phase = np.angle(sky.visibilities(np.array([[100.0, 0, 0]])))[0, 0]
    assert phase == pytest.approx(2 * math.pi * 100 * 1e-4, rel=1e-5)


def test_no_sources_no_signal() -> None:
    assert not SkyModel([], CENTRE, FREQ_HZ).visibilities(np.ones((3, 3))).any()


def test_default_sources_lie_in_the_field_even_at_a_pole() -> None:
    for centre in (CENTRE, (0.0, math.pi / 2)):
        sources = default_sources(centre, 0.1)
        lmn = direction_cosines(sources, centre)
        assert np.hypot(lmn[:, 0], lmn[:, 1]).max() < 0.05
        assert len({s.flux_jy for s in sources}) == len(sources)
