"""Time scales against astropy's, and over leap seconds."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time

from receive.command.errors import InputError
from receive.icd.times import mjd_s_from_iso
from receive.model.time_scales import known_scale, to_utc

DAYS = np.array([44000.25, 51177.75, 53371.0, 55197.5, 57202.999, 57204.001, 57752.9, 58849.1])
"""From 1979 to 2020; on the days of leap seconds astropy counts a day as 86,401 s, casacore not."""


@pytest.mark.parametrize("scale", ["UTC", "TAI", "IAT", "TT", "TDT", "ET", "TDB"])
def test_as_astropy_has_it(scale: str) -> None:
    name = known_scale(scale)
    utc = Time(DAYS, format="mjd", scale="utc")
    there = getattr(utc, name.lower())
    there_s = np.asarray(there.mjd) * 86400
    # A float64 of MJD days is good for a microsecond.
    assert np.abs(to_utc(there_s, name) - DAYS * 86400).max() < 3e-6


def test_tai_on_both_sides_of_a_leap_second() -> None:
    before, after = (mjd_s_from_iso(f"2017-01-01T00:00:{second:02d}") for second in (0, 1))
    before -= 2.0
    assert to_utc(np.array([before + 36, after + 37]), "TAI").tolist() == [before, after]


def test_ut1_is_within_a_second_of_utc_and_refused_where_no_table_has_it() -> None:
    utc_s = DAYS * 86400
    assert (np.abs(to_utc(utc_s, "UT1") - utc_s) < 0.9).all()
    with pytest.raises(InputError, match="in UT1"):
        to_utc(np.array([7.0e9]), "UT1")


@pytest.mark.parametrize("scale", ["LAST", "GMST1", "TCB", "nonsense"])
def test_other_scales_are_refused_by_name(scale: str) -> None:
    with pytest.raises(InputError, match=scale):
        known_scale(scale)
