"""The telescope model: antennas, baselines, channels, phase centre, times and UVW.

`telescope` is the model, `source` what it is made of, `integration` what a set holds of one time,
`uvw` computes UVW with `earth`'s orientation, `rows` finds which row of a Measurement Set holds
which baseline of which integration.
"""

from __future__ import annotations

from receive.model.integration import Integration
from receive.model.source import ModelSource
from receive.model.telescope import Antennas, TelescopeModel, TimeData

__all__ = ["Antennas", "Integration", "ModelSource", "TelescopeModel", "TimeData"]
