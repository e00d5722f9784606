"""The records of heaps from the arrays of an integration, in one compiled pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from receive.icd.records import FD_MAX, SMALLEST_SENT, WEIGHT_SLACK, tci_from_centroid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.model import Integration

# A tile of a set holds the channels of a baseline together, a heap the baselines of a channel.
# Turning so many baselines at a time keeps the cache lines of both sides in the second-level
# cache: 64 baselines x 64 channels x 66 bytes are 264 KiB.
_BASELINE_BLOCK = 64

_LARGEST = 1.0 + WEIGHT_SLACK


class RecordPacker:
    """Turns integrations into records of (channels, baselines).

    Parameters
    ----------
    channel_width_hz : ndarray of float64, (channels,)
        Widths of the channels sent; the sign does not matter.
    slots : ndarray of intp, (polarisations,)
        Which of the four slots of VIS each polarisation of the set takes.
    """

    def __init__(self, channel_width_hz: NDArray[np.float64], slots: NDArray[np.intp]) -> None:
        self._width_hz = np.abs(channel_width_hz)
        self._slots = slots
        self.centroids_clipped = 0
        self.weights_clipped = 0

    def pack(self, integration: Integration, records: NDArray[Any]) -> None:
        """Fill in the records of one integration.

        FD, TCI and VIS are those of INTERFACES: FD is 0 where any polarisation is flagged or the
        set has no row, and the data of a flagged record still travel.  Empty slots of VIS and
        other fields are left as they are.  Counts integrations whose time centroids did not fit
        in `centroids_clipped`, and records with weights that are beyond any fraction of data in
        `weights_clipped`.

        Parameters
        ----------
        integration : Integration
            What the set holds, with the channels that are sent.
        records : structured ndarray, (channels, baselines)
            Where to put them.
        """
        tci, clipped = tci_from_centroid(
            np.where(integration.present, integration.time_centroid, integration.time_mjd_s),
            integration.time_mjd_s,
            integration.interval_s,
        )
        self.centroids_clipped += clipped
        weights = integration.weight_spectrum
        has_weights = weights is not None
        self.weights_clipped += _pack(
            integration.data,
            integration.flag,
            np.empty((0, 0, 0), np.float32) if weights is None else weights,
            has_weights,
            integration.present,
            self._width_hz * integration.exposure_s,
            tci,
            self._slots,
            records,
        )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _fd_of_smallest(fraction: float) -> int:
    """Encode as `receive.icd.records.fd_from_fraction` does; NaN counts as 0."""
    if not fraction > 0.0:
        return 1
    if fraction >= 1.0:
        return FD_MAX
    return max(int(np.rint(FD_MAX * np.sqrt(fraction))), 1)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _smallest(weights: Any) -> float:
    """Return the smallest weight, or NaN if there is one, as numpy's min does."""
    smallest = np.float64(weights[0])
    for polarisation in range(1, weights.shape[0]):
        weight = np.float64(weights[polarisation])
        if weight < smallest or np.isnan(weight):
            smallest = weight
    return smallest


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _any(values: Any) -> bool:
    for value in values:  # noqa: SIM110 (a plain loop is what the compiler unrolls)
        if value:
            return True
    return False


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _pack(
    data: Any,
    flag: Any,
    weights: Any,
    has_weights: bool,  # noqa: FBT001
    present: Any,
    full_weight: Any,
    tci: Any,
    slots: Any,
    records: Any,
) -> int:
    baselines, channels, polarisations = data.shape
    beyond = 0
    for first in range(0, baselines, _BASELINE_BLOCK):
        last = min(baselines, first + _BASELINE_BLOCK)
        for channel in range(channels):
            for baseline in range(first, last):
                record = records[channel, baseline]
                record["TCI"] = tci[baseline]
                if not present[baseline] or _any(flag[baseline, channel]):
                    record["FD"] = 0
                elif has_weights:
                    fraction = _smallest(weights[baseline, channel]) / full_weight[channel]
                    record["FD"] = _fd_of_smallest(fraction)
                    if fraction > _LARGEST or 0.0 < fraction < SMALLEST_SENT:
                        beyond += 1
                else:
                    record["FD"] = FD_MAX
                visibilities = record["VIS"]
                for polarisation in range(polarisations):
                    visibilities[slots[polarisation]] = data[baseline, channel, polarisation]
    return beyond
