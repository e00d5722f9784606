"""Measurement Sets: read, create, append to, close, compare; the only room that knows casacore."""
