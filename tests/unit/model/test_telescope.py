"""The telescope model, as consumers and the receiver use it."""

from __future__ import annotations

import numpy as np
import pytest

from receive.command.errors import ConfigError, InputError
from receive.model import Antennas, TelescopeModel

TIMES_MJD_S = np.array([4.9e9, 4.9e9 + 10, 4.9e9 + 20, 4.9e9 + 60])
INTERVALS_S = np.array([10.0, 10.0, 10.0, 20.0])
POSITIONS_M = np.array(
    [[3826896.0, 460979.0, 5064658.0], [3829205.0, 469142.0, 5062181.0], [3847753.0, 466962.0, 5e6]]
)


def model(**changes):
    values = {
        "antennas": Antennas(("A", "B", "C"), POSITIONS_M),
        "antenna1": [0, 0, 1],
        "antenna2": [1, 2, 2],
        "channel_freq_hz": [1e8, 1.1e8, 1.2e8, 1.3e8],
        "channel_width_hz": [1e7] * 4,
        "corr_types": (9, 12),
        "phase_centre_radec_rad": (0.4, 0.6),
        "times_mjd_s": TIMES_MJD_S,
        "intervals_s": INTERVALS_S,
        "exposures_s": INTERVALS_S * 0.9,
    }
    return TelescopeModel(**{**values, **changes})


def test_each_attribute_has_a_get_form():
    expected = {
        "num_stations": 3,
        "num_baselines": 3,
        "num_channels": 4,
        "num_pols": 2,
        "num_times": 4,
        "freq_start_hz": 1e8,
        "freq_inc_hz": pytest.approx(1e7),
        "is_autocorrelated": False,
        "phase_centre_radec_rad": (0.4, 0.6),
    }
    made = model()
    for name, value in expected.items():
        assert getattr(made, name) == value
        assert getattr(made, f"get_{name}")() == value
    with pytest.raises(AttributeError):
        made.num_pols = 3


def test_autocorrelations_are_told():
    assert model(antenna1=[0, 0, 1], antenna2=[0, 1, 1]).is_autocorrelated is True
    assert model().is_autocorrelated is False


def test_frequencies_of_one_channel_and_of_descending_ones():
    one = model(channel_freq_hz=[1e8], channel_width_hz=[3e6])
    assert (one.freq_start_hz, one.freq_inc_hz) == (1e8, 3e6)
    assert model(channel_freq_hz=[4e8, 3e8, 2e8, 1e8]).freq_inc_hz == -1e8


@pytest.mark.parametrize(
    ("offset_s", "index"),
    [
        (0, 0), (2.5, 0), (-2.5, 0), (2.51, None), (-2.51, None), (7.4, None), (7.5, 1),
        (12.5, 1), (20, 2), (22.6, None), (40, None), (54.9, None), (55, 3), (65, 3), (65.1, None),
        (1e9, None), (-4.9e9, None), (np.nan, None), (np.inf, None),
    ],
)  # fmt: skip
def test_a_time_matches_within_a_quarter_of_the_interval(offset_s, index):
    made = model()
    time = TIMES_MJD_S[0] + offset_s
    assert made.match(time) == index
    if index is None:
        with pytest.raises(ValueError, match="no integration of the model, which holds 4 from 20"):
            made.get_matching_data(time)
    else:
        assert made.get_matching_data(time)[0] == index


@pytest.mark.parametrize(
    ("offset_s", "index"),
    [(-1e6, 0), (4.9, 0), (5.0, 0), (5.1, 1), (39.9, 2), (40.1, 3), (1e6, 3), (np.inf, 3)],
)
def test_nearest_is_nearest(offset_s, index):
    found, data = model().get_nearest_data(TIMES_MJD_S[0] + offset_s)
    assert found == index
    assert data.time == TIMES_MJD_S[index]
    assert data.interval == INTERVALS_S[index]
    assert data.exposure == pytest.approx(INTERVALS_S[index] * 0.9)


def test_a_model_without_times_has_nothing_near():
    empty = model(times_mjd_s=[], intervals_s=[], exposures_s=[])
    assert empty.match(4.9e9) is None
    for method in (empty.get_nearest_data, empty.get_matching_data):
        with pytest.raises(ValueError, match="holds none"):
            method(4.9e9)
    with pytest.raises(ValueError, match="nan"):
        model().get_nearest_data(np.nan)


def test_recorded_uvw_is_taken_and_holes_are_computed():
    recorded = np.arange(36.0).reshape(4, 3, 3)
    recorded[1, 2] = np.nan
    asked = []

    def read_uvw(index):
        asked.append(index)
        return recorded[index]

    made = model(read_uvw=read_uvw)
    assert not asked
    np.testing.assert_array_equal(made.uvw(0), recorded[0])
    np.testing.assert_array_equal(made.uvw(1)[:2], recorded[1, :2])
    np.testing.assert_array_equal(made.uvw(1)[2], made.compute_uvw(TIMES_MJD_S[1])[2])
    _, data = made.get_matching_data(TIMES_MJD_S[2])
    np.testing.assert_array_equal(np.stack([data.uu, data.vv, data.ww], axis=1), recorded[2])
    np.testing.assert_array_equal(model().uvw(3), made.compute_uvw(TIMES_MJD_S[3]))
    assert asked == [0, 1, 1, 2]
    for index in (-1, 4):
        with pytest.raises(IndexError, match=f"integration {index} of a model with 4"):
            made.uvw(index)


def test_computed_uvw_has_the_baselines_lengths():
    uvw = model().compute_uvw(TIMES_MJD_S[0] + 3.3)
    lengths_m = np.linalg.norm(POSITIONS_M[[1, 2, 2]] - POSITIONS_M[[0, 0, 1]], axis=1)
    np.testing.assert_allclose(np.linalg.norm(uvw, axis=1), lengths_m, rtol=1e-12)


def test_channels_are_selected():
    some = model(data_desc_id=2, field_id=1).select_channels(1, 2)
    assert some.channel_freq_hz.tolist() == [1.1e8, 1.2e8]
    assert (some.num_channels, some.channel_width_hz.tolist()) == (2, [1e7, 1e7])
    assert (some.data_desc_id, some.field_id, some.num_baselines) == (2, 1, 3)


@pytest.mark.parametrize(("start", "count"), [(4, 1), (3, 2), (-1, 2), (0, 0)])
def test_channels_that_are_not_there_are_named(start, count):
    with pytest.raises(ConfigError, match=rf"{count} channels from number {start} .* 4 \(0 to 3\)"):
        model().select_channels(start, count)


def test_arrays_are_the_models_own_and_cannot_be_written():
    times = TIMES_MJD_S.copy()
    made = model(times_mjd_s=times)
    times[0] = 0
    assert made.times_mjd_s[0] == TIMES_MJD_S[0]
    assert made.antenna1.dtype == np.int32
    for array in (made.times_mjd_s, made.antenna1, made.antennas.positions_m):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"antenna2": [1, 2]}, "antenna1, antenna2 differ in shape"),
        ({"channel_width_hz": [1e7]}, "channel_freq_hz, channel_width_hz differ"),
        ({"exposures_s": [1, 2, 3, 4, 5]}, "differ in shape"),
        ({"antenna2": [1, 2, 3]}, "antenna number 3 is used .* 3 antennas"),
        ({"antenna1": [0, -1, 1]}, "antenna number -1"),
        ({"times_mjd_s": [1, 3, 2, 4]}, "must ascend"),
        ({"times_mjd_s": [1, 2, 2, 4]}, "must ascend"),
    ],
)
def test_what_cannot_be_is_an_input_error(changes, message):
    with pytest.raises(InputError, match=message):
        model(**changes)


def test_antennas_need_a_position_each():
    with pytest.raises(InputError, match="2 antenna names"):
        Antennas(("A", "B"), POSITIONS_M)
