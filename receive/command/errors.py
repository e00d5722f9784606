"""Errors that a user can cause, and the exit code each of them ends a command with.

::

    VisReceiveError
    ├── ConfigError            2  usage or configuration
    ├── InputError             3  input missing, not a Measurement Set, truncated, locked, empty
    ├── OutputError            4  output exists, not writable, disk full
    ├── NetworkError           5  port in use, address not ours, no route, connection refused
    ├── NothingReceivedError   6  nothing of use arrived before ``reception.idle_timeout``
    ├── DataLostError          7  data were lost and ``--fail-on-loss`` was given, or not all came
    │                             and ``--fail-on-incomplete`` was
    ├── ConsumerError          8  a consumer failed; the others went on
    ├── PushError             10  results could not be pushed, or the remote copy differs
    └── NotStartedError       11  no receiver began before ``results.start_timeout``

Each message is one line that names what was wrong, where, and what would be right.  The commands
print it and exit with ``exit_code``.  Any other exception is a defect of this software and ends
with a traceback and exit code 1.
"""

from __future__ import annotations


class VisReceiveError(Exception):
    """Base of every error that a user can cause and correct."""

    exit_code = 1


class ConfigError(VisReceiveError):
    """The usage is wrong, or the configuration cannot work."""

    exit_code = 2


class InputError(VisReceiveError):
    """An input is missing or invalid."""

    exit_code = 3


class OutputError(VisReceiveError):
    """An output already exists or cannot be written."""

    exit_code = 4


class NetworkError(VisReceiveError):
    """An address, port, multicast group or connection cannot be used."""

    exit_code = 5


class NothingReceivedError(VisReceiveError):
    """No usable heap arrived before the timeout."""

    exit_code = 6


class DataLostError(VisReceiveError):
    """Data were lost, and the user asked to treat loss as a failure."""

    exit_code = 7


class ConsumerError(VisReceiveError):
    """A consumer failed; the others ran to the end."""

    exit_code = 8


class PushError(VisReceiveError):
    """Results could not be pushed, or the remote copy differs from the local set."""

    exit_code = 10


class NotStartedError(VisReceiveError):
    """No receiver started before the timeout."""

    exit_code = 11
