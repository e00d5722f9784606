"""Records: their bytes, and the codes of weights and centroids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from receive.command.errors import InputError
from receive.icd import records
from receive.icd.records import RECORD_DTYPE

ALL_FD = np.arange(256, dtype=np.uint8)
fractions = hnp.arrays(
    np.float64, hnp.array_shapes(max_dims=2, max_side=8), elements=st.floats(0, 1)
)


def test_a_record_has_these_bytes():
    low = np.zeros((), RECORD_DTYPE["low"])
    low["TCI"], low["FD"], low["VIS"] = -2, 255, [1, 2j, 0, 0]
    expected = b"\xfe\xff" + np.array([1, 0, 0, 2, 0, 0, 0, 0], "<f4").tobytes()
    assert low.tobytes() == expected
    mid = np.zeros((), RECORD_DTYPE["mid"])
    mid["TCI"], mid["FD"], mid["CCI"], mid["VIS"] = -2, 255, 7, [1, 2j, 0, 0]
    assert mid.tobytes() == expected[:2] + b"\x07" + expected[2:]
    assert (RECORD_DTYPE["low"].itemsize, RECORD_DTYPE["mid"].itemsize) == (34, 35)


@pytest.mark.parametrize(
    ("corr_types", "slots"),
    [
        ([9, 10, 11, 12], [0, 1, 2, 3]),
        ([5, 6, 7, 8], [0, 1, 2, 3]),
        ([9, 12], [0, 3]),
        ([8, 5], [3, 0]),
        ([12], [3]),
    ],
)
def test_polarisations_take_their_slots(corr_types, slots):
    assert records.vis_slots(corr_types).tolist() == slots


@pytest.mark.parametrize(
    ("corr_types", "named"),
    [
        ([1], "CORR_TYPE 1 "),
        ([9, 0, 4], "0, 4"),
        ([9, 9], "XX XX"),
        ([5, 12], "RR YY"),
        ([], "one to four"),
    ],
)
def test_polarisations_that_have_no_slot_are_named(corr_types, named):
    with pytest.raises(InputError) as caught:
        records.vis_slots(corr_types)
    assert named in str(caught.value)


@given(fractions)
def test_fraction_survives_within_the_stated_error(fraction):
    fd = records.fd_from_fraction(fraction)
    assert fd.dtype == np.uint8
    assert (fd >= 1).all()
    error = np.abs(records.fraction_from_fd(fd) - fraction)
    # A hair more than the formula, for the rounding of float64.
    bound = np.sqrt(fraction) / 255 + 1 / (4 * 255**2) + 1e-15
    smallest = fraction < 1 / 510**2
    assert (error <= np.where(smallest, 1 / 255**2, bound)).all()


def test_fraction_beyond_its_range_is_clipped():
    odd = [-np.inf, -1, 0, 1e-300, 1, 2, np.inf, np.nan]
    assert records.fd_from_fraction(odd).tolist() == [1, 1, 1, 1, 255, 255, 255, 1]
    assert records.fraction_from_fd([0, 255]).tolist() == [0, 1]


@given(st.floats(1, 1e9), st.floats(1e-3, 1e3))
def test_a_second_trip_of_weights_changes_nothing(width_hz, exposure_s):
    weights = records.weights_from_fd(ALL_FD, width_hz, exposure_s)
    assert weights.dtype == np.float32
    flag = np.broadcast_to(ALL_FD[:, None] == 0, (256, 4))
    spectrum = np.broadcast_to(weights[:, None], (256, 4))
    again = records.fd_from_weights(flag, spectrum, -width_hz, exposure_s)
    np.testing.assert_array_equal(again, ALL_FD)


def test_fd_from_weights_takes_the_smallest_and_any_flag():
    # (baselines, channels, polarisations) of a width and exposure that give a full weight of 20.
    weights = np.full((2, 3, 2), 20, np.float32)
    weights[0, 1] = [5, 20]
    weights[1, 2] = [1e9, 1e9]
    flag = np.zeros((2, 3, 2), bool)
    flag[1, 0, 1] = True
    width_hz, exposure_s = np.array([-10.0, 10, 10]), 2.0
    expected = [[255, 128, 255], [0, 255, 255]]
    assert records.fd_from_weights(flag, weights, width_hz, exposure_s).tolist() == expected
    no_weights = records.fd_from_weights(flag, None, width_hz, exposure_s)
    assert no_weights.tolist() == [[255, 255, 255], [0, 255, 255]]
    no_exposure = records.fd_from_weights(flag, weights * 0, width_hz, 0.0)
    assert no_exposure.tolist() == [[1, 1, 1], [0, 1, 1]]


@given(
    st.floats(4e9, 7e9),
    st.floats(0.01, 100),
    hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-0.5, 0.498)),
)
def test_centroids_survive_within_half_a_step(time_mjd_s, interval_s, offset):
    centroid = time_mjd_s + offset * interval_s
    tci, clipped = records.tci_from_centroid(centroid, time_mjd_s, interval_s)
    assert tci.dtype == np.int8
    assert not clipped
    tci_grid, weight = np.tile(tci, (3, 1)), np.ones((3, len(tci)))
    back = records.centroid_from_tci(tci_grid, weight, time_mjd_s, interval_s)
    assert (np.abs(back - centroid) <= interval_s / 512 + 2e-6).all()
    again, _ = records.tci_from_centroid(back, time_mjd_s, interval_s)
    np.testing.assert_array_equal(again, tci)


def test_centroids_outside_are_clipped_and_that_is_told():
    centroid = 5e9 + np.array([-6.0, -5.0, 0.0, 5.0, 1e9, np.nan])
    tci, clipped = records.tci_from_centroid(centroid, 5e9, 10.0)
    assert tci.tolist() == [-128, -128, 0, 127, 127, 0]
    assert clipped
    assert records.tci_from_centroid([5e9, np.nan], 5e9, 10.0)[1] is False
    tci, clipped = records.tci_from_centroid(5e9, 5e9, 0.0)
    assert tci == 0
    assert not clipped


def test_centroid_of_a_row_is_the_weighted_mean():
    tci = np.array([[100, 10, 7], [-28, 50, 7]], np.int8)
    weight = np.array([[1.0, 0.0, 0.0], [3.0, 0.25, 0.0]])
    centroid = records.centroid_from_tci(tci, weight, 5e9, 25.6)
    np.testing.assert_array_equal(centroid, 5e9 + np.array([0.4, 5.0, 0.0]))
