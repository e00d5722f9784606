"""Times: exact on the wire, and the same as astropy's, leap seconds included."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import erfa
import numpy as np
import pytest
from astropy.time import Time
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from receive.command.errors import InputError
from receive.icd import times

FIRST_MJD_S = float(times.MJD_UNIX_EPOCH_S)
END_MJD_S = FIRST_MJD_S + 2**32
HALF_ULP_TICKS = 2**11

mjd_seconds = st.floats(FIRST_MJD_S, END_MJD_S, exclude_max=True)
all_ticks = st.integers(0, 2**64 - 1)
LEAPS = [
    (int(year), int(month), int(tai_utc))
    for year, month, tai_utc in erfa.leap_seconds.get()
    if (year, month) > (1972, 1)
]


@given(mjd_seconds)
@example(np.nextafter(END_MJD_S, 0))
@example(4871282392.006950)
def test_mjd_seconds_survive_the_wire_exactly(mjd_s):
    ticks = times.ticks_from_mjd_s(mjd_s)
    assert Fraction(ticks, 2**32) == Fraction(mjd_s) - times.MJD_UNIX_EPOCH_S
    assert times.mjd_s_from_ticks(ticks) == mjd_s
    count, fraction = times.count_fraction_from_mjd_s(mjd_s)
    assert (count, fraction) == divmod(ticks, 2**32)
    assert times.mjd_s_from_count_fraction(count, fraction) == mjd_s
    assert times.join_ticks(count, fraction) == ticks
    assert times.unix_s_from_ticks(ticks) == times.unix_s_from_mjd_s(mjd_s)
    assert times.mjd_s_from_unix_s(times.unix_s_from_mjd_s(mjd_s)) == mjd_s


@given(all_ticks)
@example(2**64 - 1)
def test_ticks_become_the_nearest_float(ticks):
    mjd_s = times.mjd_s_from_ticks(ticks)
    exact = Fraction(ticks, 2**32) + times.MJD_UNIX_EPOCH_S
    assert mjd_s == float(exact)
    assert abs(Fraction(mjd_s) - exact) <= Fraction(HALF_ULP_TICKS, 2**32) < Fraction(1, 2 * 10**6)
    if mjd_s < END_MJD_S:
        assert abs(times.ticks_from_mjd_s(mjd_s) - ticks) <= HALF_ULP_TICKS


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=5), elements=mjd_seconds))
def test_arrays_are_converted_as_their_elements(mjd_s):
    ticks = times.ticks_from_mjd_s(mjd_s)
    assert ticks.dtype == np.uint64
    assert ticks.shape == mjd_s.shape
    assert ticks.ravel().tolist() == [times.ticks_from_mjd_s(float(one)) for one in mjd_s.flat]
    np.testing.assert_array_equal(times.mjd_s_from_ticks(ticks), mjd_s)
    count, fraction = times.split_ticks(ticks)
    assert count.dtype == fraction.dtype == np.uint32
    np.testing.assert_array_equal(times.join_ticks(count, fraction), ticks)
    np.testing.assert_array_equal(times.mjd_s_from_count_fraction(count, fraction), mjd_s)
    unix = [times.unix_s_from_ticks(one) for one in ticks.ravel().tolist()]
    assert times.unix_s_from_ticks(ticks).ravel().tolist() == unix


@pytest.mark.parametrize(
    ("mjd_s", "named"),
    [
        (np.nextafter(FIRST_MJD_S, 0), "3506716799.9999995"),
        (END_MJD_S, "2106-02-07T06:28:16"),
        (0.0, "1858-11-17T00:00:00"),
        (1e30, "1e+30"),
        (-np.inf, "-inf"),
        (np.nan, "nan"),
    ],
)
def test_a_time_that_no_heap_can_carry_is_named(mjd_s, named):
    with pytest.raises(InputError, match="1970-01-01T00:00:00 to 2106") as caught:
        times.ticks_from_mjd_s(mjd_s)
    assert named in str(caught.value)
    with pytest.raises(InputError) as caught:
        times.ticks_from_mjd_s(np.array([5e9, mjd_s]))
    assert named in str(caught.value)


# Astropy warns of years far from now, for which leap seconds are not announced.
@pytest.mark.filterwarnings("ignore:ERFA function.*dubious year")
@given(
    st.datetimes(datetime(1972, 1, 1), datetime(2106, 2, 7)),
    st.integers(0, 60),
)
def test_calendar_times_are_those_of_astropy(moment, second):
    day = (moment.year, moment.month, moment.day)
    is_leap_day = any(
        erfa.cal2jd(year, month, 1)[1] == erfa.cal2jd(*day)[1] + 1 for year, month, _ in LEAPS
    )
    if second == 60:
        if not is_leap_day:
            return
        moment = moment.replace(hour=23, minute=59)
    text = f"{moment:%Y-%m-%dT%H:%M}:{second:02}.{moment.microsecond:06}"
    # A count of SI seconds less the leap seconds before that day is POSIX's count, in which
    # 23:59:60 is the second after.
    tai_utc = int(erfa.dat(*day, 0.0))
    expected_unix_s = Time(text, scale="utc").unix_tai - tai_utc
    mjd_s = times.mjd_s_from_iso(text)
    assert times.unix_s_from_mjd_s(mjd_s) == pytest.approx(expected_unix_s, rel=0, abs=1e-6)
    if not is_leap_day:
        # On other days a day has 86,400 s for astropy too.
        astropy_time = Time(text, scale="utc")
        day_number = Fraction(astropy_time.jd1) + Fraction(astropy_time.jd2)
        assert abs(mjd_s - float((day_number - Fraction(4800001, 2)) * 86400)) < 2e-6


@pytest.mark.parametrize(("year", "month", "tai_utc"), LEAPS)
def test_a_leap_second_is_the_second_after(year, month, tai_utc):
    midnight = datetime(year, month, 1, tzinfo=UTC).timestamp()
    last = datetime.fromtimestamp(midnight - 1, UTC)
    leap = f"{last:%Y-%m-%d}T23:59:60.25"
    mjd_s = times.mjd_s_from_iso(leap)
    assert times.unix_s_from_mjd_s(mjd_s) == midnight + 0.25
    assert mjd_s == times.mjd_s_from_iso(f"{year}-{month:02}-01T00:00:00.25")
    assert times.iso_from_mjd_s(mjd_s) == f"{year}-{month:02}-01T00:00:00.250000"
    assert Time(leap, scale="utc").unix_tai - (tai_utc - 1) == pytest.approx(midnight + 0.25)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_text_and_back(moment):
    text = moment.isoformat(timespec="microseconds").removesuffix("+00:00")
    mjd_s = times.mjd_s_from_iso(text)
    back = datetime.fromisoformat(times.iso_from_mjd_s(mjd_s)).replace(tzinfo=UTC)
    assert abs((back - moment).total_seconds()) <= 1e-6


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-02T03:04", 97440.0),
        (" 1970-01-01 00:00:01.5Z ", 1.5),
        ("1970-01-01T00:00:07.", 7.0),
    ],
)
def test_shorter_and_other_ways_to_write_a_time(text, unix_s):
    assert times.mjd_s_from_iso(text) == FIRST_MJD_S + unix_s


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-21T", "2026-02-30", "2026-13-01", "2026-11-21T24:00", "5e9",
     "2026-11-21T10:60:00", "2026-11-21T10:45:60", "2026-11-21T23:59:61", "2026-11-21T10:45+01:00"],
)  # fmt: skip
def test_text_that_is_no_time_is_named(text):
    with pytest.raises(InputError) as caught:
        times.mjd_s_from_iso(text)
    assert repr(text) in str(caught.value)
