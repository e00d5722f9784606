"""Payloads: views of what came, and arrays of all of it."""

from __future__ import annotations

import numpy as np
import pytest

from receive.icd import RECORD_DTYPE, Payload, PayloadPart
from receive.icd.times import count_fraction_from_mjd_s

MJD_S = 4871282392.00695
BASELINES = 3


def records(channels, telescope="low"):
    made = np.zeros((channels, BASELINES), RECORD_DTYPE[telescope])
    made["VIS"] = np.arange(made.size * 4).reshape(channels, BASELINES, 4) + 1j
    made["FD"] = 200
    made["TCI"] = -3
    return made


def payload(*parts, channel_count=5, **values):
    count, fraction = count_fraction_from_mjd_s(MJD_S)
    return Payload(
        timestamp_count=count,
        timestamp_fraction=fraction,
        channel_id=40,
        channel_count=channel_count,
        baseline_count=BASELINES,
        parts=parts,
        scan_id=2**40,
        **values,
    )


@pytest.mark.parametrize("telescope", ["low", "mid"])
def test_a_complete_payload(telescope):
    first, second = records(4, telescope), records(1, telescope)
    made = payload(PayloadPart(0, 4, first, True), PayloadPart(4, 1, second, True))
    assert made.visibilities.shape == (5, BASELINES, 4)
    assert made.visibilities.dtype == np.complex64
    assert made.visibilities.flags.c_contiguous
    np.testing.assert_array_equal(made.visibilities, np.concatenate([first, second])["VIS"])
    assert made.complete
    assert not made.flags.any()
    assert (made.correlated_data_fraction == 200).all()
    assert made.correlated_data_fraction.dtype == np.uint8
    assert (made.time_centroid_indices == -3).all()
    assert made.time_centroid_indices.dtype == np.int8


def test_what_never_came_is_zero_and_flagged():
    rubbish = np.full((2, BASELINES), 0xFF, np.uint8).astype(RECORD_DTYPE["low"])
    rubbish["VIS"] = np.nan
    made = payload(PayloadPart(0, 2, rubbish, False), PayloadPart(2, 2, records(2), True))
    assert not made.complete
    # The last channel is covered by no part at all.
    assert made.flags[:, 0].tolist() == [True, True, False, False, True]
    assert made.flags.dtype == np.bool_
    assert made.flags.shape == (5, BASELINES)
    for array in (made.visibilities, made.correlated_data_fraction, made.time_centroid_indices):
        assert not array[[0, 1, 4]].any()
        assert array[2:4].all()


def test_arrays_are_assembled_once_and_parts_are_views():
    buffer = records(5)
    made = payload(PayloadPart(0, 5, buffer, True))
    visibilities = made.visibilities
    assert made.visibilities is visibilities
    assert np.shares_memory(made.parts[0].records, buffer)
    buffer["VIS"] = 0
    assert visibilities.any()


def test_times_and_items():
    made = payload(hardware_id=3, model_index=2)
    assert made.mjd_time == MJD_S
    assert made.unix_time == MJD_S - 3506716800
    assert made.ticks == made.timestamp_count << 32 | made.timestamp_fraction
    assert (made.scan_id, made.hardware_id, made.channel_id) == (2**40, 3, 40)
    assert (made.polarisation_id, made.phase_bin_id, made.phase_bin_count) == (0, 0, 1)
    assert made.model_index == 2
    assert payload().model_index is None
    assert "channels 40 to 44" in repr(made)


@pytest.mark.parametrize(("first", "count"), [(4, 2), (-1, 2), (0, 1)])
def test_a_part_that_does_not_fit_is_a_mistake_of_the_program(first, count):
    with pytest.raises(ValueError, match="does not fit"):
        payload(PayloadPart(first, count, records(2), True))
