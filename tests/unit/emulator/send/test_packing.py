"""Records from integrations, compared with the codes of the interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulator.send.packing import RecordPacker
from receive.icd.records import RECORD_DTYPE, fd_from_weights
from receive.model import Integration

WIDTH_HZ = np.array([1e4, -2e4, 1.5e4])
EXPOSURE_S = 8.0
TIME_MJD_S = 5e9


def make_integration(pols: int = 4, baselines: int = 150, **changes: Any) -> Integration:
    rng = np.random.default_rng(7)
    shape = (baselines, len(WIDTH_HZ), pols)
    full = np.abs(WIDTH_HZ)[None, :, None] * EXPOSURE_S
    values: dict[str, Any] = {
        "data": rng.standard_normal((2, *shape)).astype(np.float32),
        "flag": rng.random(shape) < 0.1,
        "weight_spectrum": (full * rng.uniform(-0.1, 1.3, shape)).astype(np.float32),
        "time_centroid": TIME_MJD_S + rng.uniform(-4, 4, baselines),
        "uvw": np.zeros((baselines, 3)),
        "present": np.ones(baselines, bool),
        "time_mjd_s": TIME_MJD_S,
        "interval_s": EXPOSURE_S,
        "exposure_s": EXPOSURE_S,
    }
    values["data"] = (values["data"][0] + 1j * values["data"][1]).astype(np.complex64)
    return Integration(**(values | changes))


def pack(integration: Integration, slots: list[int], telescope: Any = "low") -> Any:
    baselines, channels, _ = integration.data.shape
    records = np.zeros((channels, baselines), RECORD_DTYPE[telescope])
    packer = RecordPacker(WIDTH_HZ, np.array(slots, np.intp))
    packer.pack(integration, records)
    return records, packer


@pytest.mark.parametrize("telescope", ["low", "mid"])
@pytest.mark.parametrize("slots", [[0, 1, 2, 3], [0, 3], [1], [3, 2, 1, 0]])
def test_visibilities_take_their_slots(slots: list[int], telescope: str) -> None:
    integration = make_integration(len(slots))
    records, _ = pack(integration, slots, telescope)
    assert np.array_equal(records["VIS"][:, :, slots], integration.data.transpose(1, 0, 2))
    empty = [slot for slot in range(4) if slot not in slots]
    assert not records["VIS"][:, :, empty].any()
    if telescope == "mid":
        assert not records["CCI"].any()


def test_fd_is_that_of_the_interface_for_all_kinds_of_weights() -> None:
    integration = make_integration()
    weights = integration.weight_spectrum
    assert weights is not None
    integration.flag[:6] = False
    weights[0, 0] = np.nan
    weights[1, 0, 2] = np.nan
    weights[2, 0] = np.inf
    weights[3, 0, 1] = -np.inf
    weights[4, 0] = 0
    weights[5, 0, 3] = 1e-20
    records, _ = pack(integration, [0, 1, 2, 3])
    expected = fd_from_weights(integration.flag, weights, WIDTH_HZ, EXPOSURE_S)
    assert np.array_equal(records["FD"], expected.T)
    assert {0, 1, 255} <= set(np.unique(records["FD"]).tolist())


def test_fd_of_each_code_survives_a_second_trip() -> None:
    fd = np.arange(1, 256)
    full = 1.5e4 * EXPOSURE_S
    weights = np.empty((255, 3, 1), np.float32)
    weights[:] = ((fd / 255.0) ** 2 * full).astype(np.float32)[:, None, None]
    packer_width = np.full(3, 1.5e4)
    integration = make_integration(
        1, 255, weight_spectrum=weights, flag=np.zeros((255, 3, 1), bool)
    )
    records = np.zeros((3, 255), RECORD_DTYPE["low"])
    RecordPacker(packer_width, np.array([0])).pack(integration, records)
    assert np.array_equal(records["FD"], np.broadcast_to(fd, (3, 255)))


def test_without_weights_everything_unflagged_is_whole() -> None:
    integration = make_integration(weight_spectrum=None)
    records, _ = pack(integration, [0, 1, 2, 3])
    flagged = integration.flag.any(axis=2).T
    assert np.array_equal(records["FD"], np.where(flagged, 0, 255))


def test_widths_of_zero_do_not_stop_it() -> None:
    integration = make_integration(exposure_s=0.0)
    records, _ = pack(integration, [0, 1, 2, 3])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = fd_from_weights(integration.flag, integration.weight_spectrum, WIDTH_HZ, 0.0)
    assert np.array_equal(records["FD"], expected.T)


def test_rows_that_the_set_does_not_have_are_not_correlated() -> None:
    present = np.ones(150, bool)
    present[[3, 77]] = False
    data = make_integration().data
    data[~present] = 0
    integration = make_integration(
        present=present, data=data, flag=np.zeros(data.shape, bool), weight_spectrum=None
    )
    records, packer = pack(integration, [0, 1, 2, 3])
    assert np.array_equal(records["FD"], np.where(present, 255, 0)[None].repeat(3, axis=0))
    assert not records["TCI"][:, ~present].any()
    assert packer.centroids_clipped == 0


def test_time_centroids_are_coded_and_clipping_is_counted() -> None:
    offsets = np.zeros(150)
    offsets[:4] = [EXPOSURE_S / 256, -EXPOSURE_S / 2, EXPOSURE_S / 2, 100.0]
    integration = make_integration(time_centroid=TIME_MJD_S + offsets)
    records, packer = pack(integration, [0, 1, 2, 3])
    assert records["TCI"][0, :5].tolist() == [1, -128, 127, 127, 0]
    assert packer.centroids_clipped == 1
