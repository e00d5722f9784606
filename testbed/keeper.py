"""The process that owns a bed: starts it, waits to be told to stop, and takes everything back.

It is nobody's terminal's child, so that Ctrl-C of a test run does not end it half-way; attached,
it stops when its standard input is closed, that is when whoever started it has ended, however.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import IO

from testbed import registry
from testbed.bed import Bed, write_state
from testbed.errors import BedError
from testbed.places import run_folder


class _Stop(Exception):  # noqa: N818 - not an error: it unwinds whatever is being started
    pass


def main() -> int:
    """Own a bed until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--attached", action="store_true")
    parser.add_argument("--said", type=int, required=True)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    said = os.fdopen(options.said, "w")
    status = 0
    claim = None
    try:
        claim, folder = registry.claim(options.folder, run_folder, attached=options.attached)
        state = Bed(folder, options.bin, claim.addresses).start()
        write_state(folder, state)
        print(folder, file=said)
        said.close()
        if options.attached:
            select.select([sys.stdin], [], [])
        else:
            while True:
                signal.pause()
    except _Stop:
        pass
    except BedError as error:
        _tell(said, str(error))
        status = 1
    except Exception as error:  # noqa: BLE001 - told to whoever waits, and cleaned up after
        traceback.print_exc()
        _tell(said, f"{type(error).__name__}: {error}")
        status = 1
    finally:
        # A second signal must not end the cleaning.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if claim is not None:
            registry.release(claim)
    return status


def _tell(said: IO[str], line: str) -> None:
    print(f"error: {line}", file=sys.stderr)
    if not said.closed:
        print(f"error: {line}", file=said)


def _stop(*_: object) -> None:
    raise _Stop


if __name__ == "__main__":
    sys.exit(main())
