"""UVW: against the textbook, against astropy, and against a set that casacore made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import erfa
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import ITRS, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from receive.icd.times import mjd_s_from_iso
from receive.model import earth
from receive.model.uvw import compute_uvw

if TYPE_CHECKING:
    from pathlib import Path

# Three stations of LOFAR and one far off, ITRF, metres.
POSITIONS_M = np.array(
    [
        [3826896.235, 460979.455, 5064658.203],
        [3829205.598, 469142.533, 5062181.002],
        [3847753.310, 466962.809, 5048397.244],
        [4033949.5, 486989.4, 4900430.8],
    ]
)
ANTENNA1, ANTENNA2 = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 3, 2, 3, 3])
LENGTHS_M = np.linalg.norm(POSITIONS_M[ANTENNA2] - POSITIONS_M[ANTENNA1], axis=1)
TIMES = ["1984-02-29T06:30:00", "2000-01-01T12:00:00", "2013-03-29T13:59:52", "2026-11-21T00:00:00"]
DIRECTIONS = [(0.42624572, 0.57874697), (3.0, -0.4), (5.5, 1.2)]


@pytest.fixture(autouse=True)
def no_network():
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


def textbook_uvw(baseline_m, time_mjd_s, ra, dec):
    """Thompson, Moran and Swenson, eq. 4.1, with GMST of 1982 and precession of 1976."""
    days = (time_mjd_s - mjd_s_from_iso("2000-01-01T12:00:00")) / 86400
    centuries = days / 36525
    # Meeus, Astronomical Algorithms, eq. 12.4 and 21.3 and 21.4.
    gmst = np.radians(280.46061837 + 360.98564736629 * days + 0.000387933 * centuries**2)
    zeta = np.radians((2306.2181 + 0.30188 * centuries) * centuries / 3600)
    z = np.radians((2306.2181 + 1.09468 * centuries) * centuries / 3600)
    theta = np.radians((2004.3109 - 0.42665 * centuries) * centuries / 3600)
    a = np.cos(dec) * np.sin(ra + zeta)
    b = np.cos(theta) * np.cos(dec) * np.cos(ra + zeta) - np.sin(theta) * np.sin(dec)
    c = np.sin(theta) * np.cos(dec) * np.cos(ra + zeta) + np.cos(theta) * np.sin(dec)
    hour_angle, dec_now = gmst - (np.arctan2(a, b) + z), np.arcsin(c)
    # North of J2000 and of date differ by the parallactic angle of the precession.
    angle = np.arcsin(np.sin(theta) * np.sin(ra + zeta) / np.cos(dec_now))
    x, y, w_z = baseline_m.T
    sin_h, cos_h, sin_d, cos_d = (
        f(angle) for angle in (hour_angle, dec_now) for f in (np.sin, np.cos)
    )
    u = sin_h * x + cos_h * y
    v = -sin_d * cos_h * x + sin_d * sin_h * y + cos_d * w_z
    w = cos_d * cos_h * x - cos_d * sin_h * y + sin_d * w_z
    return np.stack(
        [np.cos(angle) * u - np.sin(angle) * v, np.sin(angle) * u + np.cos(angle) * v, w], axis=1
    )


@pytest.mark.parametrize("radec", DIRECTIONS)
@pytest.mark.parametrize("time", TIMES)
def test_textbook_formula(time, radec):
    time_mjd_s = mjd_s_from_iso(time)
    uvw = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, time_mjd_s, radec)
    baseline_m = POSITIONS_M[ANTENNA2] - POSITIONS_M[ANTENNA1]
    expected = textbook_uvw(baseline_m, time_mjd_s, *radec)
    # The formula knows neither aberration (20"), nutation (17") nor UT1 - UTC (13"): 2.5e-4.
    assert (np.linalg.norm(uvw - expected, axis=1) < 2.5e-4 * LENGTHS_M).all()


@pytest.mark.parametrize("radec", DIRECTIONS)
@pytest.mark.parametrize("time", TIMES)
def test_w_is_along_the_direction_that_astropy_computes(time, radec):
    uvw = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, mjd_s_from_iso(time), radec)
    source = SkyCoord(*radec, unit="rad", frame="icrs")
    direction = source.transform_to(ITRS(obstime=Time(time, scale="utc"))).cartesian.xyz.value
    expected = (POSITIONS_M[ANTENNA2] - POSITIONS_M[ANTENNA1]) @ direction
    # Astropy bends light at the Sun, 0.02" here at most: 1e-7.
    assert (np.abs(uvw[:, 2] - expected) < 1e-7 * LENGTHS_M).all()


def test_u_and_v_are_along_east_and_north_that_astropy_computes():
    radec, time, step = DIRECTIONS[0], TIMES[3], 1e-5
    frame = ITRS(obstime=Time(time, scale="utc"))

    def apparent(ra, dec):
        return SkyCoord(ra, dec, unit="rad").transform_to(frame).cartesian.xyz.to_value(units.one)

    ra, dec = radec
    east = apparent(ra + step, dec) - apparent(ra - step, dec)
    north = apparent(ra, dec + step) - apparent(ra, dec - step)
    baselines_m = POSITIONS_M[ANTENNA2] - POSITIONS_M[ANTENNA1]
    expected = np.stack([baselines_m @ (axis / np.linalg.norm(axis)) for axis in (east, north)])
    uvw = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, mjd_s_from_iso(time), radec)
    # Aberration also shears the sky, by a few times 1e-9 and v/c x tan(dec): 1e-4 of rotation.
    assert (np.abs(uvw[:, :2].T - expected) < 1.1e-4 * LENGTHS_M).all()


def test_uvw_continues_that_of_a_set_made_by_casacore(lofar_ms: Path):
    tables = pytest.importorskip("casacore.tables")
    with tables.table(str(lofar_ms), ack=False) as main:
        time, recorded = main.getcol("TIME"), main.getcol("UVW")
        antenna1, antenna2 = main.getcol("ANTENNA1"), main.getcol("ANTENNA2")
    with tables.table(str(lofar_ms / "ANTENNA"), ack=False) as antennas:
        positions_m = antennas.getcol("POSITION")
    with tables.table(str(lofar_ms / "FIELD"), ack=False) as field:
        radec = tuple(field.getcol("PHASE_DIR").ravel())
    times, which = np.unique(time, return_inverse=True)
    pairs = slice(int(np.count_nonzero(which == 0)))
    computed = compute_uvw(positions_m, antenna1[pairs], antenna2[pairs], times, radec)
    difference = recorded - computed.reshape(-1, 3)
    assert np.abs(difference).max() < 0.045
    assert (np.sqrt((difference**2).mean(axis=0)) < [0.002, 0.010, 0.025]).all()


def test_shapes_lengths_and_autocorrelations():
    time_mjd_s = np.array([[mjd_s_from_iso(time) for time in TIMES]])
    everyone = np.arange(4)
    zero = compute_uvw(POSITIONS_M, everyone, everyone, time_mjd_s, DIRECTIONS[0])
    assert zero.shape == (1, 4, 4, 3)
    assert not zero.any()
    uvw = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, time_mjd_s[0], DIRECTIONS[0])
    np.testing.assert_allclose(np.linalg.norm(uvw, axis=-1), np.tile(LENGTHS_M, (4, 1)), rtol=1e-12)
    swapped = compute_uvw(POSITIONS_M, ANTENNA2, ANTENNA1, time_mjd_s[0], DIRECTIONS[0])
    np.testing.assert_array_equal(swapped, -uvw)
    for index in range(4):
        one = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, time_mjd_s[0, index], DIRECTIONS[0])
        assert one.shape == (6, 3)
        np.testing.assert_allclose(one, uvw[index], rtol=0, atol=1e-8)


def test_a_leap_second_does_not_jump():
    leap_mjd_s = mjd_s_from_iso("2017-01-01T00:00:00")
    uvw = compute_uvw(
        POSITIONS_M, ANTENNA1, ANTENNA2, leap_mjd_s + np.array([-2.0, -1.0, 0, 1.0]), DIRECTIONS[1]
    )
    step = np.linalg.norm(np.diff(uvw, axis=0), axis=-1)
    # 23:59:60 is the second after, so the Earth turns by two seconds where the number goes up by
    # one, and evenly before and after.
    np.testing.assert_allclose(step[1] / step[0], 2, rtol=1e-3)
    np.testing.assert_allclose(step[2] / step[0], 1, rtol=1e-3)


@pytest.mark.parametrize("time", [*TIMES[:3], "2016-12-31T12:00:00"])
def test_the_earth_turns_as_astropy_says(time):
    when = earth.orientation(np.float64(mjd_s_from_iso(time)))
    moment = Time(time, scale="utc")
    # Astropy takes the final values, ours are the rapid ones: 0.1 ms apart in the eighties.
    assert (when.day - moment.ut1.mjd) + when.ut1_day == pytest.approx(0, abs=2e-4 / 86400)
    assert (when.day - moment.tt.mjd) + when.tt_day == pytest.approx(0, abs=2e-10)
    pole_x, pole_y = iers.earth_orientation_table.get().pm_xy(moment)
    assert when.pole_x_rad == pytest.approx(pole_x.to_value("rad"), abs=1e-8)
    assert when.pole_y_rad == pytest.approx(pole_y.to_value("rad"), abs=1e-8)


def test_unknown_rotation_of_the_earth_is_told_once(caplog):
    earth._warn_once.cache_clear()
    far = [mjd_s_from_iso("1971-01-01"), mjd_s_from_iso("2101-01-01")]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            uvw = compute_uvw(POSITIONS_M, ANTENNA1, ANTENNA2, far, DIRECTIONS[0])
    assert np.isfinite(uvw).all()
    assert [record.message.split(" (")[0] for record in caplog.records] == ["The Earth's rotation"]
    day = erfa.cal2jd(2101, 1, 1)[1]
    when = earth.orientation(np.array([day * 86400.0]))
    assert (when.ut1_day, when.pole_x_rad, when.pole_y_rad) == (0, 0, 0)
