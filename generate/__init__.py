"""Writes what is generated: reference pages, the configuration's schema, the charts' values."""
