"""``emu-push``: push what the receiver beside it wrote, when it has ended."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from receive.command import cli
from receive.command.errors import (
    ConfigError,
    NetworkError,
    OutputError,
    PushError,
    VisReceiveError,
)
from receive.command.stop import StopRequest
from receive.command.whole_file import write_whole
from receive.config.arguments import common_parser, load_config
from receive.config.destination import ACCEPTED, Destination, destinations, parse_destination
from receive.pod.run_folder import RunFolder
from receive.push.push import Pushed, push_set
from receive.push.rclone import Rclone, RcloneError
from receive.push.rclone_config import RcloneConfig
from receive.push.results import COMPLETE, CRASHED, Results, results_of, wait_for_end

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from receive.config import Config

logger = logging.getLogger(__name__)

PROG = "emu-push"
ACTS_ON = ("results", "rclone")
RESULT = "push.json"
_TERMINATED = 143
_EPILOG = """\
exit codes:
  0    pushed and compared; or there was nothing that should be pushed
  1    a defect of ours: a traceback, and how to report it
  2    usage or configuration
  10   could not be pushed: the remote is away, refuses, or has something else than is here
  11   no receiver began before results.start_timeout
  130  stopped by SIGINT
  143  told to stop by SIGTERM, and there was nothing that should be pushed
"""


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(
        PROG,
        "Wait until the receiver of a run folder has ended, and push the Measurement Sets it "
        "wrote with rclone\nto rclone.command. What a stopped, failed or crashed receiver left "
        "is pushed only with results.push_partial.\nNothing at the destination is ever deleted "
        "or overwritten. The result is written to DIR/push.json.\nrclone gets no RCLONE_* of the "
        "environment but RCLONE_CONFIG_*, which define remotes.",
        _EPILOG,
    )
    parser.add_argument(
        "--run-folder",
        type=Path,
        required=True,
        metavar="DIR",
        help="that of emu-recv --run-folder",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="gets a copy of rclone's configuration, with its credentials: give a folder in "
        "memory (a temporary one)",
    )
    parser.add_argument(
        "--rclone-config",
        type=Path,
        metavar="FILE",
        help="an rclone.conf; else rclone.configurl or rclone.anonymous",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``emu-push``; return its exit code."""
    args = _parser().parse_args(argv)
    cli.setup_logging(args.verbose)
    config = load_config(args)
    config.require_available(ACTS_ON)
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    command = _command(config)
    with _scratch(args.scratch) as scratch:
        rclone_config = RcloneConfig(config, args.rclone_config, scratch)
        try:
            rclone = Rclone(rclone_config.path, scratch, command.variables)
            push = Push(config, command, rclone_config, rclone)
            # Before the observation has ended there is time to mend what is wrong.
            rclone_config.fetch_early()
            push.check_remote()
            return push.run(RunFolder(args.run_folder), stop)
        finally:
            rclone_config.remove()


def _command(config: Config) -> Destination:
    """Return the destination that the user gave."""
    command = config.rclone.command
    if command is None:
        raise ConfigError(f"rclone.command is not given; accepted: {ACCEPTED}")
    try:
        return parse_destination(command)
    except ValueError as error:
        # It may hold a credential, so it is not shown.
        raise ConfigError(
            f"{config.place_of('rclone.command')}: rclone.command is not accepted: {error}; "
            f"accepted: {ACCEPTED}"
        ) from None


@contextlib.contextmanager
def _scratch(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="emu-push-") as folder:
            yield Path(folder)
        return
    try:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--scratch {given} cannot be made: {error.strerror}") from None
    yield given


@dataclass
class Push:
    """The push of one receiver's results."""

    config: Config
    command: Destination
    rclone_config: RcloneConfig
    rclone: Rclone
    pushed: list[Pushed] = field(default_factory=list)

    def check_remote(self) -> None:
        """Refuse a remote that the configuration, as far as it is here, does not have."""
        if not self.rclone_config.is_here or self.command.is_described:
            return
        try:
            there = self.rclone.remotes()
        except RcloneError as error:
            raise ConfigError(f"the configuration of rclone cannot be read: {error}") from None
        if self.command.remote not in there:
            raise ConfigError(
                f"{self.config.place_of('rclone.command')}: rclone.command: the configuration of "
                f"rclone has no remote {self.command.remote}; it has: {', '.join(there) or 'none'}"
            )

    def run(self, folder: RunFolder, stop: StopRequest) -> int:
        """Wait for the receiver, push what should be; return the exit code."""
        if not wait_for_end(folder, self.config, stop):
            return self._nothing(folder, stop, "told to stop before a receiver had begun")
        results = results_of(folder)
        if results.status != COMPLETE and not self.config.results.push_partial:
            return self._nothing(
                folder,
                stop,
                f"the receiver {_ended(results)}, and results.push_partial is false",
            )
        if results.status == CRASHED and results.sets:
            logger.warning(
                "the receiver crashed: what it left is pushed as it is; ms-recover makes complete "
                "sets of it"
            )
        if not results.sets:
            return self._nothing(folder, stop, f"the receiver {_ended(results)} and left no set")
        try:
            self._push(results)
        except VisReceiveError as error:
            self._write(folder, "failed", str(error))
            raise
        self._write(folder, "pushed", None)
        return 0

    def _push(self, results: Results) -> None:
        retries = self.config.results.retries
        try:
            self.rclone_config.fetch(retries=retries)
        except NetworkError as error:
            raise PushError(str(error)) from None
        self.check_remote()
        places = destinations(
            self.command,
            results.sets,
            results.base,
            index=self.config.reception.process_index,
            count=self.config.reception.process_count,
            attempt=results.attempt,
        )
        errors: list[PushError] = []
        for path, place in places.items():
            if not path.is_dir():
                self._miss(path, errors)
                continue
            try:
                # What failed for good once is not waited for again, but the others are tried.
                one = push_set(
                    self.rclone,
                    path,
                    place,
                    results.attempt,
                    retries=0 if errors else retries,
                    beside=self.pushed[-1].beside if self.pushed else 0,
                )
            except PushError as error:
                errors.append(error)
                continue
            self.pushed.append(one)
            sys.stdout.write(f"{one.line()}\n")
            sys.stdout.flush()
        if errors:
            rest = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise PushError(f"{errors[0]}{rest}")

    def _miss(self, path: Path, errors: list[PushError]) -> None:
        """Take notice of a set that the receiver closed and that is not there."""
        if self.config.consumer.command:
            logger.warning("%s is not here any more (consumer.command): it is not pushed", path)
            return
        errors.append(
            PushError(f"{path} of the receiver is not here; mount its output in the same place")
        )

    def _nothing(self, folder: RunFolder, stop: StopRequest, why: str) -> int:
        logger.info("nothing is pushed: %s", why)
        self._write(folder, "nothing", why)
        return _TERMINATED if stop.is_set() else 0

    def _write(self, folder: RunFolder, status: str, why: str | None) -> None:
        """Leave the result for those who come later."""
        content: dict[str, Any] = {
            "status": status,
            "reason": why,
            "sets": [
                {
                    "set": str(one.path),
                    "destination": one.destination.shown,
                    "files": one.files,
                    "bytes": one.total_bytes,
                    "seconds": round(one.seconds, 3),
                    "compared": one.verified,
                }
                for one in self.pushed
            ],
        }
        try:
            write_whole(folder.path / RESULT, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            # What was pushed is pushed, and the exit code says so.
            logger.warning("%s cannot be written: %s", folder.path / RESULT, error.strerror)


def _ended(results: Results) -> str:
    words = {COMPLETE: "is complete", CRASHED: "crashed", "stopped": "was stopped"}
    return words.get(results.status, "failed")


def entry() -> int:
    """Entry point of the command."""
    return cli.run(PROG, main)


if __name__ == "__main__":
    sys.exit(entry())
