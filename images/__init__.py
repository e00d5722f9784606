"""Builds the container images: ``python -m images``, or ``make images``."""
