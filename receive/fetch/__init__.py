"""Brings a telescope model, a Measurement Set in an archive, to where a receiver reads it."""
