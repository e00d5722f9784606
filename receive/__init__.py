"""Receives visibilities from the network and writes Measurement Sets."""

__version__ = "0.1.0"
