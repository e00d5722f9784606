"""Receives visibilities from the network and writes Measurement Sets."""

import os

__version__ = "0.1.0"

if "VIS_RECEIVE_COMPILED" in os.environ:  # in an image, and before anything imports numba
    from receive.host.compiled_code import use_prepared

    use_prepared()
