"""Trial of the model and the output folder, before a run is ready.

A child process opens the model and writes a set without integrations to the output folder.  Some
damaged tables make casacore abort the process, which must not be the receiver.  Meanwhile the
receiver does its slow imports.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from receive.command import errors
from receive.command.errors import ConfigError, InputError, VisReceiveError
from receive.measurement_set.read.table_name import refuse_misread_output
from receive.measurement_set.write import left_out
from receive.measurement_set.write.try_folder import make_try_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from receive.config import Config
    from receive.model import ModelSource

PATIENCE_S = 600.0
"""Timeout of a trial."""

MEMORY_BYTES = 2 << 30
"""Memory that a trial may use in addition to the size of the model's main table."""

_PROGRAM = "import sys; sys.path[:] = {path!r}; from receive.run.trial import answer; answer()"
_STEPS = "receive.measurement_set"
"""Logger whose debug messages name the current step, and whose warnings are passed on."""


class Trial:
    """A running trial.

    Parameters
    ----------
    config
        Configuration of the run.
    source
        Source of the model.
    writes
        Whether the run writes sets.
    """

    def __init__(self, config: Config, source: ModelSource, *, writes: bool) -> None:
        self._config = config
        self._source = source
        self._writes = writes
        if writes:
            refuse_misread_output(Path(config.reception.outputfilename))
        self._begin()

    def _begin(self) -> None:
        self._folder: Path | None = None
        self._held: int | None = None
        if self._writes:
            self._folder, self._held = _place(self._config)
        self._process = subprocess.Popen(  # noqa: S603 (ourselves)
            # The child uses this process's module path, independent of the current folder.
            [sys.executable, "-P", "-c", _PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C goes to this process only, which reports where it stopped.
            process_group=0,
        )
        request = self._process.stdin
        assert request is not None  # noqa: S101 - it is a pipe
        without = left_out.subtables(self._source)
        with contextlib.suppress(BrokenPipeError), request:
            request.write(pickle.dumps((self._config, self._source, self._folder, without)))
        self._process.stdin = None

    def result(self) -> None:
        """Wait for the end of the trial.

        Raises
        ------
        VisReceiveError
            If the run would not work.
        """
        while (doing := self._result()) is not None:
            # Imports casacore, which most runs need only later.
            from receive.measurement_set.read.opening import REQUIRED_SUBTABLES  # noqa: PLC0415

            name = doing.removeprefix(left_out.COPYING)
            if name == doing or name in REQUIRED_SUBTABLES:
                raise InputError(f"{self._source} is damaged: {doing} ended {self._end()}")
            left_out.leave_out_subtable(self._source, name, f"{doing} ended {self._end()}")
            self._begin()

    def _result(self) -> str | None:
        """Wait for the process; return the step at which it died, None if it succeeded."""
        try:
            output, _ = self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            if self._held is not None:
                os.close(self._held)
        doing = "opening it"
        for line in output.decode().splitlines():
            kind, text = json.loads(line)
            if kind == "doing":
                doing = text
            elif kind == "without":
                left_out.adopt(self._source, text)
            elif kind == "warning":
                left_out.leave_out(text)
            elif kind == "done":
                return None
            else:
                raise getattr(errors, kind)(text)
        return doing

    def _end(self) -> str:
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return "in want of memory, or never"
        return f"casacore with {signal.Signals(-code).name}" if code < 0 else "without a word"


def _place(config: Config) -> tuple[Path, int]:
    """Make the folder for the set."""
    output = Path(os.path.realpath(config.reception.outputfilename))
    folder = output.parent
    usable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    # The output checks report an unusable folder; the model is tried in any case.
    try:
        return make_try_folder(folder if usable else None, output.name)
    except OSError:
        return make_try_folder(None, output.name)


def answer() -> None:
    """Run the trial described on standard input, and report the result on standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # casacore and its libraries may print: send that to standard error.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    config, source, folder, without = pickle.load(sys.stdin.buffer)  # noqa: S301 (of our own process)

    left_out.adopt(source, without)

    def tell(kind: str, text: str | list[str] = "") -> None:
        output.write(json.dumps([kind, text]) + "\n")
        output.flush()

    steps = logging.getLogger(_STEPS)
    steps.addHandler(_Steps(tell))
    steps.setLevel(logging.DEBUG)
    steps.propagate = False
    try:
        attempt(config, source, folder)
    except VisReceiveError as error:
        tell(type(error).__name__, str(error))
    else:
        tell("without", left_out.subtables(source))
        tell("done")
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def attempt(config: Config, source: ModelSource, folder: Path | None) -> None:
    """Use the model and the output folder once as a run does.

    Parameters
    ----------
    config, source
        Configuration and model source of the run.
    folder
        Where to make a set, which is kept there; None if the run writes no sets.

    Raises
    ------
    VisReceiveError
        If the run would not work.
    """
    from receive.measurement_set.write.growing import output_error  # noqa: PLC0415 (in the child only)

    output = Path(config.reception.outputfilename)
    try:
        with _little_memory(source):
            _attempt(config, source, folder)
    except VisReceiveError:
        raise
    except OSError as error:
        reading = error.filename is not None and source.folder in Path(error.filename).parents
        if reading:
            raise InputError(f"{source} cannot be read ({error})") from error
        raise output_error(error, output) from error
    except Exception as error:
        # The model is the only unknown input here, so it is the likely cause.
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source} cannot serve as a model: {type(error).__name__}: {reason}"
        ) from error


@contextlib.contextmanager
def _little_memory(source: ModelSource) -> Iterator[None]:
    """Limit memory to the size of the model plus `MEMORY_BYTES`.

    A damaged length field makes casacore allocate and fill all memory of the machine.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    has_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = has_bytes + MEMORY_BYTES
    with contextlib.suppress(OSError):
        files = source.folder.iterdir() if source.folder is not None else ()
        limit += sum(entry.stat().st_size for entry in files if entry.is_file())
    most = limit if before[1] == resource.RLIM_INFINITY else min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _attempt(config: Config, source: ModelSource, folder: Path | None) -> None:
    from receive.consumers.ms.output_checks import check_outputs  # noqa: PLC0415 (in the child only)
    from receive.consumers.ms.rotation import Rotation  # noqa: PLC0415
    from receive.run.plan import Plan  # noqa: PLC0415

    model = source.model()
    try:
        plan = Plan.make(config, model)
        rotation = Rotation.make(config, plan.model)
    except ConfigError:
        # The receiver reports this error itself.
        return
    plan.model.uvw(0)
    if folder is None:
        return
    from receive.consumers.ms.names import base_path  # noqa: PLC0415
    from receive.measurement_set.write.name_lock import refuse_held  # noqa: PLC0415
    from receive.measurement_set.write.trial_set import make_and_read  # noqa: PLC0415

    output = Path(os.path.realpath(config.reception.outputfilename))
    refuse_held(base_path(config))
    try:
        with source.template() as template:
            make_and_read(
                folder / output.name,
                template,
                plan.model,
                channels=(plan.layout.first_channel, plan.layout.channel_count),
                history=[f"configuration {config.to_json(masked=True)}"],
                expected_dumps=rotation.expected_dumps(1),
            )
    except OSError:
        # Its error is more precise: the space missing, or the file in the way.
        check_outputs(rotation)
        raise
    check_outputs(rotation)


class _Steps(logging.Handler):
    """Passes on the current step, and warnings of parts left out."""

    def __init__(self, tell: Callable[..., Any]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a message on."""
        if record.levelno < logging.WARNING:
            self._tell("doing", record.getMessage())
        elif record.name == left_out.__name__:
            # The reader's other warnings are repeated when the receiver reads the model.
            self._tell("warning", record.getMessage())
