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
    ├── PushError             10  results could not be pushed, or are not there as they are here
    └── NotStartedError       11  no receiver began before ``results.start_timeout``

The message of each is one line that names what was wrong, where, and what would be right; the
commands print that line and end with ``exit_code``.  Anything else that escapes is a defect of
ours and ends with a traceback and 1.
"""

from __future__ import annotations


class VisReceiveError(Exception):
    """Base of every error that a user can cause and mend."""

    exit_code = 1


class ConfigError(VisReceiveError):
    """Wrong usage, or a configuration that cannot work."""

    exit_code = 2


class InputError(VisReceiveError):
    """An input that is missing, or is not what it should be."""

    exit_code = 3


class OutputError(VisReceiveError):
    """An output that exists already or cannot be written."""

    exit_code = 4


class NetworkError(VisReceiveError):
    """An address, port, group or connection that cannot be used."""

    exit_code = 5


class NothingReceivedError(VisReceiveError):
    """Not one heap arrived in the time allowed for it."""

    exit_code = 6


class DataLostError(VisReceiveError):
    """Data were lost and the user asked for that to be a failure."""

    exit_code = 7


class ConsumerError(VisReceiveError):
    """A consumer failed; the others were served to the end."""

    exit_code = 8


class PushError(VisReceiveError):
    """Results that could not be pushed, or are not there as they are here."""

    exit_code = 10


class NotStartedError(VisReceiveError):
    """No receiver began in the time allowed for it."""

    exit_code = 11
