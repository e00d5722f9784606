"""Models, templates and payloads to write sets with, and what is expected of the sets."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from receive.icd.payload import Payload, PayloadPart
from receive.icd.records import (
    FRACTION_OF_FD,
    RECORD_DTYPE,
    centroid_from_tci,
    vis_slots,
    weights_from_fd,
)
from receive.icd.times import count_fraction_from_mjd_s
from receive.measurement_set.write.bare_set import SetDescription, create_empty_set
from receive.model.telescope import Antennas, TelescopeModel

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

START_MJD_S = 4.9e9
INTERVAL_S = 2.0
EXPOSURE_S = 1.75
CORR_TYPES = {1: (9,), 2: (9, 12), 4: (9, 10, 11, 12)}


def make_model(
    antennas: int = 4, channels: int = 5, pols: int = 4, dumps: int = 12, *, auto: bool = False
) -> TelescopeModel:
    rng = np.random.default_rng(antennas * 1000 + channels)
    first, second = np.triu_indices(antennas, 0 if auto else 1)
    return TelescopeModel(
        antennas=Antennas(
            tuple(f"a{number:03}" for number in range(antennas)),
            np.array([5109271.5, 2006808.9, -3239130.7]) + rng.normal(0, 500, (antennas, 3)),
        ),
        antenna1=first.astype(np.int32),
        antenna2=second.astype(np.int32),
        channel_freq_hz=1e9 + np.arange(channels, dtype=np.float64) * 1e5,
        channel_width_hz=np.full(channels, 1e5),
        corr_types=CORR_TYPES[pols],
        phase_centre_radec_rad=(1.25, -0.5),
        times_mjd_s=START_MJD_S + np.arange(dumps, dtype=np.float64) * INTERVAL_S,
        intervals_s=np.full(dumps, INTERVAL_S),
        exposures_s=np.full(dumps, EXPOSURE_S),
    )


def make_template(path: Path, model: TelescopeModel) -> Path:
    count = len(model.antennas)
    create_empty_set(
        path,
        SetDescription(
            model=model,
            telescope="MeerKAT",
            observer="someone",
            project="a project",
            field_name="Field",
            stations=model.antennas.names,
            mounts=("ALT-AZ",) * count,
            diameters_m=np.full(count, 13.5),
            start_mjd_s=START_MJD_S,
            end_mjd_s=START_MJD_S + 60,
        ),
    )
    return path


def make_payload(
    model: TelescopeModel,
    index: int,
    *,
    parts: int = 1,
    telescope: str = "low",
    absent: Collection[int] = (),
    seed: int | None = None,
) -> Payload:
    """Make a payload of random records, a fifth of them with an FD of 0."""
    rng = np.random.default_rng(index if seed is None else seed)
    spans = np.array_split(np.arange(model.num_channels), parts)
    made = []
    for number, span in enumerate(spans):
        records = np.zeros((len(span), model.num_baselines), RECORD_DTYPE[telescope])  # type: ignore[index]
        records["VIS"] = rng.normal(size=(*records.shape, 4)) + 1j
        records["FD"] = rng.integers(1, 256, records.shape) * (rng.random(records.shape) > 0.2)
        records["TCI"] = rng.integers(-128, 128, records.shape)
        made.append(PayloadPart(int(span[0]), len(span), records, number not in absent))
    count, fraction = count_fraction_from_mjd_s(START_MJD_S + index * INTERVAL_S)
    return Payload(
        timestamp_count=int(count),
        timestamp_fraction=int(fraction),
        channel_id=0,
        channel_count=model.num_channels,
        baseline_count=model.num_baselines,
        parts=made,
        scan_id=1,
        model_index=model.match(START_MJD_S + index * INTERVAL_S),
    )


@dataclass
class Rows:
    """Columns of one integration."""

    data: NDArray[Any]
    flag: NDArray[Any]
    weight_spectrum: NDArray[Any]
    time_centroid: NDArray[Any]
    weight: NDArray[Any]


def expected_rows(model: TelescopeModel, payload: Payload) -> Rows:
    """Compute a payload's rows by the whole-array functions of the interface's description."""
    pols = model.num_pols
    fd = payload.correlated_data_fraction
    flagged = payload.flags | (fd == 0)
    weight = weights_from_fd(fd, model.channel_width_hz[:, None], EXPOSURE_S)
    good = (~flagged).sum(axis=0)
    mean = np.divide(
        weight.sum(axis=0, dtype=np.float64), good, out=np.zeros(len(good)), where=good > 0
    )
    return Rows(
        data=payload.visibilities[:, :, vis_slots(model.corr_types)].transpose(1, 0, 2),
        flag=np.repeat(flagged.T[:, :, None], pols, axis=2),
        weight_spectrum=np.repeat(weight.T[:, :, None], pols, axis=2),
        time_centroid=centroid_from_tci(
            payload.time_centroid_indices,
            np.where(flagged, 0, FRACTION_OF_FD[fd]),
            payload.mjd_time,
            INTERVAL_S,
        ),
        weight=np.repeat(mean[:, None], pols, axis=1),
    )


def columns(path: Path, *names: str) -> list[Any]:
    with tables.table(str(path), ack=False) as table:
        return [table.getcol(name) for name in names]


def assert_holds(path: Path, model: TelescopeModel, payloads: list[Payload]) -> None:
    """Assert that the first rows of a set are these payloads, bit for bit."""
    data, flag, weights, centroid, time, uvw, flag_row, weight, sigma = columns(
        path,
        "DATA",
        "FLAG",
        "WEIGHT_SPECTRUM",
        "TIME_CENTROID",
        "TIME",
        "UVW",
        "FLAG_ROW",
        "WEIGHT",
        "SIGMA",
    )
    antenna1, antenna2, interval, exposure = columns(
        path, "ANTENNA1", "ANTENNA2", "INTERVAL", "EXPOSURE"
    )
    for dump, payload in enumerate(payloads):
        rows = slice(dump * model.num_baselines, (dump + 1) * model.num_baselines)
        expected = expected_rows(model, payload)
        assert data[rows].tobytes() == np.ascontiguousarray(expected.data).tobytes()
        np.testing.assert_array_equal(flag[rows], expected.flag)
        np.testing.assert_array_equal(weights[rows], expected.weight_spectrum)
        # Sums in another order.
        np.testing.assert_allclose(centroid[rows], expected.time_centroid, rtol=0, atol=2e-6)
        np.testing.assert_allclose(weight[rows], expected.weight, rtol=1e-6)
        good = expected.weight > 0
        np.testing.assert_allclose(sigma[rows][good], expected.weight[good] ** -0.5, rtol=1e-6)
        assert not sigma[rows][~good].any()
        np.testing.assert_array_equal(flag_row[rows], expected.flag.all(axis=(1, 2)))
        assert (time[rows] == payload.mjd_time).all()
        np.testing.assert_array_equal(uvw[rows], model.compute_uvw(payload.mjd_time))
        np.testing.assert_array_equal(antenna1[rows], model.antenna1)
        np.testing.assert_array_equal(antenna2[rows], model.antenna2)
        assert (interval[rows] == INTERVAL_S).all()
        assert (exposure[rows] == EXPOSURE_S).all()


_READ_ELSEWHERE = """
import json, sys
from casacore import tables
with tables.table(sys.argv[1], ack=False) as table:
    sums = {name: repr(table.getcol(name).sum()) for name in ("DATA", "TIME", "FLAG", "UVW")}
    print(json.dumps({"rows": table.nrows(), "sums": sums}))
"""


def read_elsewhere(path: Path) -> Any:
    """Read a set in a process that knows nothing of us."""
    done = subprocess.run(
        [sys.executable, "-c", _READ_ELSEWHERE, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
