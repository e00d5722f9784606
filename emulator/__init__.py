"""Stands in for the correlator: makes observations and sends them."""
