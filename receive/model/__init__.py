"""The telescope model: antennas, baselines, channels, phase centre, times and UVW.

`telescope` is the model, `uvw` computes UVW with `earth`'s orientation, `rows` finds which row of
a Measurement Set holds which baseline of which integration.
"""

from __future__ import annotations

from receive.model.telescope import Antennas, TelescopeModel, TimeData

__all__ = ["Antennas", "TelescopeModel", "TimeData"]
