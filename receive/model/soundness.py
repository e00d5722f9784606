"""Checks that the values of a model are usable for receiving an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from receive.command.errors import InputError
from receive.icd.times import COUNT_LIMIT, ticks_from_mjd_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from receive.model.telescope import TelescopeModel


def check_sound(model: TelescopeModel, name: str) -> None:
    """Refuse a model with an unusable value.

    Parameters
    ----------
    model
        The model.
    name
        What it was made of, for the message.

    Raises
    ------
    InputError
        If a time is outside of 1970 to 2106, an interval is not positive, a channel has no
        frequency or width, or something is not a number.
    """
    if not model.num_channels:
        raise InputError(f"{name}: there is not one channel in it (CHAN_FREQ is empty)")
    frequencies_hz, widths_hz = model.channel_freq_hz, model.channel_width_hz
    _refuse(name, "CHAN_FREQ of channel", frequencies_hz, "above 0 Hz", frequencies_hz > 0)
    _refuse(name, "CHAN_WIDTH of channel", widths_hz, "other than 0 Hz", widths_hz != 0)
    intervals_s, exposures_s = model.intervals_s, model.exposures_s
    possible = (intervals_s > 0) & (intervals_s < COUNT_LIMIT)
    _refuse(name, "INTERVAL of integration", intervals_s, "above 0 s", possible)
    _refuse(name, "EXPOSURE of integration", exposures_s, "0 s or more", exposures_s >= 0)
    positions_m = model.antennas.positions_m.reshape(-1)
    _refuse(name, "POSITION of ANTENNA, coordinate", positions_m, "finite", positions_m != np.inf)
    centre_rad = np.asarray(model.phase_centre_radec_rad)
    _refuse(name, "PHASE_DIR of FIELD, coordinate", centre_rad, "finite", centre_rad != np.inf)
    try:
        ticks_from_mjd_s(model.times_mjd_s)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _refuse(
    name: str, what: str, values: NDArray[np.float64], expected: str, good: NDArray[np.bool_]
) -> None:
    wrong = np.flatnonzero(~(good & np.isfinite(values)))
    if wrong.size:
        raise InputError(f"{name}: {what} {wrong[0]} is {values[wrong[0]]:g}, not {expected}")
