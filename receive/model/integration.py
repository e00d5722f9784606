"""`Integration`: the form of an integration everywhere but on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUE_BYTES = 8 + 1 + 4
"""Size of a visibility in an integration: complex64, flag and weight."""


@dataclass(frozen=True, eq=False)
class Integration:
    """The data of one integration of a set, with baselines in the model's order.

    Made by a reader or a simulator, used by a writer or a sender.

    Attributes
    ----------
    data : ndarray of complex64, (baselines, channels, polarisations)
        0 where there is no row.
    flag : ndarray of bool, same shape
        FLAG, true in every cell of a row with FLAG_ROW and where there is no row.
    weight_spectrum : ndarray of float32, same shape, or None
        The correlated fraction times |channel width| times exposure; 0 where there is no row.
        None where a set has no weights of each channel: see `weights`.
    time_centroid : ndarray of float64, (baselines,)
        MJD seconds, UTC; TIME where the set has none or there is no row.
    uvw : ndarray of float64, (baselines, 3)
        Metres; NaN where there is no row.
    present : ndarray of bool, (baselines,)
        Whether there is a row.  A writer writes all rows.
    time_mjd_s, interval_s, exposure_s : float
        Centre of the integration (MJD seconds, UTC), its length and exposure (seconds).
    """

    data: NDArray[np.complex64]
    flag: NDArray[np.bool_]
    weight_spectrum: NDArray[np.float32] | None
    time_centroid: NDArray[np.float64]
    uvw: NDArray[np.float64]
    present: NDArray[np.bool_]
    time_mjd_s: float
    interval_s: float
    exposure_s: float

    def weights(self, channel_width_hz: NDArray[np.float64]) -> NDArray[np.floating]:
        """Return `weight_spectrum`, or the weights of complete data if it is None.

        Parameters
        ----------
        channel_width_hz : ndarray of float64, (channels,)
            The sign is ignored.

        Returns
        -------
        ndarray of float32 or float64, (baselines, channels, polarisations)
            Without `weight_spectrum`, 0 where flagged.
        """
        if self.weight_spectrum is not None:
            return self.weight_spectrum
        full = np.abs(channel_width_hz) * self.exposure_s
        return np.where(self.flag, 0, full[:, np.newaxis])
