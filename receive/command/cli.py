"""What all commands share: common options, logging, errors reported as one line and an exit code.

A command's module has ``main(argv) -> int`` and ``entry() -> int``, which is
``return cli.run("emu-recv", main)``.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from receive import __version__
from receive.command.errors import OutputError, VisReceiveError
from receive.command.progress import Progress
from receive.command.spead_messages import Rarely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

__all__ = [
    "EXIT_CODES",
    "Progress",
    "exit_code_of",
    "plain_parser",
    "run",
    "setup_logging",
]

EXIT_CODES = """\
exit codes:
  0    the observation ended by itself and everything was closed
  1    a defect of ours: a traceback, and how to report it
  2    usage or configuration
  3    input: missing, not a Measurement Set, truncated, locked, empty
  4    output: exists, not writable, disk full
  5    network: port in use, address not ours, no route, connection refused
  6    nothing arrived before reception.idle_timeout, or nothing that could be used
  7    data were lost and --fail-on-loss was given, or not all came and --fail-on-incomplete
  8    a consumer failed; the others went on to the end
  130  stopped by SIGINT; everything was closed
  143  stopped by SIGTERM; everything was closed
"""

_OUR_LOGGERS = ("receive", "emulator")
_DEFECT = 1
_INTERRUPTED = 130
_TERMINATED = 143
_BROKEN_PIPE = 141  # a shell's exit code for a command ended by SIGPIPE

logger = logging.getLogger(__name__)
_EVERYTHING = 2
"""Number of -v that also shows the messages of libraries."""


def plain_parser(prog: str, description: str, epilog: str = EXIT_CODES) -> argparse.ArgumentParser:
    """Return a parser with the common parts: -v, --version, exit codes in the help."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="say more; twice: what the libraries say too",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, above a progress bar if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write_line(self.format(record), sys.stderr)
        except Exception:  # noqa: BLE001 (a log line must not end an observation)
            self.handleError(record)


def write_line(text: str, stream: TextIO) -> None:
    """Write a line without disturbing a progress bar."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is not None and stream.isatty():
        tqdm.write(text, file=stream)
    else:
        stream.write(f"{text}\n")
    stream.flush()


def setup_logging(verbosity: int = 0) -> None:
    """Send log lines, ``time level message``, to standard error.

    Parameters
    ----------
    verbosity
        0 shows our messages from INFO and those of libraries from WARNING, 1 also our DEBUG
        messages, 2 everything.
    """
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbosity >= _EVERYTHING else logging.WARNING)
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbosity > 0 else logging.INFO)
    spead = logging.getLogger("spead2")
    for filter_ in [one for one in spead.filters if isinstance(one, Rarely)]:
        spead.removeFilter(filter_)
    if verbosity < _EVERYTHING:
        spead.addFilter(Rarely())
    logging.captureWarnings(capture=True)


def run(
    prog: str,
    main: Callable[[Sequence[str] | None], int],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a command and return its exit code; an error of the user is printed as one line.

    Parameters
    ----------
    prog
        Name of the command.
    main
        Does the work; gets `argv`, returns the exit code.
    argv
        Arguments; None for those of the process.
    """
    with contextlib.suppress(ValueError):  # tests may call this outside the main thread
        # As process 1 of a container it would ignore SIGTERM without a handler.
        signal.signal(signal.SIGTERM, _end)
    try:
        code = main(argv)
        sys.stdout.flush()
    except VisReceiveError as error:
        logger.debug("where it was raised:", exc_info=True)
        _say(f"{prog}: error: {' '.join(str(error).split())}")
        code = exit_code_of(error)
    except KeyboardInterrupt as error:
        _say(f"{prog}: stopped")
        code = exit_code_of(error)
    except SystemExit as error:  # argparse: help, version, usage
        code = exit_code_of(error)
    except OSError as error:
        code = exit_code_of(error)
        _say_system_error(prog, error, code)
    except Exception:  # noqa: BLE001 (the user must learn how to report any defect)
        _defect(prog)
        code = _DEFECT
    return code


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # standard error is closed
        write_line(text, sys.stderr)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that an error ends."""
    if isinstance(error, VisReceiveError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE and _stdout_is_broken():
            return _BROKEN_PIPE
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return OutputError.exit_code
    return _DEFECT


def _say_system_error(prog: str, error: OSError, code: int) -> None:
    """Report an `OSError` that was not turned into a `VisReceiveError`."""
    if code == _BROKEN_PIPE:
        _forget_stdout()  # the reader, such as "| head", has closed the pipe
    elif code == OutputError.exit_code:
        _say(f"{prog}: error: {error.filename or 'standard output'}: {error.strerror}")
        if error.filename is None:
            _forget_stdout()
    else:
        _defect(prog)


def _stdout_is_broken() -> bool:
    """Return whether standard output is a pipe without a reader."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no descriptor, so no pipe
        return False


def _forget_stdout() -> None:
    """Redirect standard output to /dev/null, so that Python's flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _defect(prog: str) -> None:
    _say(traceback.format_exc().rstrip())
    _say(
        f"{prog}: this is a defect of {prog} {__version__}, not of what you did. Please report it "
        "with the lines above, the command line and the configuration, without credentials."
    )
