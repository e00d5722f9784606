"""What keeps a bed from being built or started, or a cluster from being used."""

from __future__ import annotations


class BedError(Exception):
    """The bed cannot be built or started."""


class ClusterError(Exception):
    """A cluster did not do what it was told to, or cannot be found."""


class MissingToolError(ClusterError):
    """A tool that a cluster is used with is not on the machine."""
