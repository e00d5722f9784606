"""Models that are not quite: each is refused before ready in one line, or received with right data.

``python -m tests.fuzz.models --seed 1 --count 10000`` makes a campaign of any length; a mutant that
failed is had again with ``--first NUMBER --count 1``.  Each mutant is judged by a worker, a process
that casacore may end as it likes: then the command itself has to say so in one line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from casacore import tables

from emulator.send.app import main as emu_send
from receive.command.errors import ConfigError, InputError
from receive.config import Config
from receive.icd.records import vis_slots
from receive.icd.times import ticks_from_mjd_s
from receive.measurement_set import casacore_thread
from receive.measurement_set.compare.tables import diff_sets
from receive.measurement_set.read.columns import read_cells
from receive.measurement_set.read.reader import open_set
from receive.measurement_set.read.source import model_source
from receive.run.trial import Trial, attempt
from tests.commands import BIN, ok
from tests.fuzz.mutants import MAIN, Mutant, make_mutant
from tests.integration.running import DEFAULTS, Running
from tests.integration.senders import Observation, Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.model import TelescopeModel

HANG_S = 90.0
WORKERS = 2
BY_COMMAND = 40
"""Every so many mutants the command itself is asked, too."""
SMALL = ("--num-antennas", "3", "--integrations", "2", "--channels", "4", "--seed", "5")
VARIANTS: dict[str, tuple[str, ...]] = {
    "linear": ("--array", "meerkat", *SMALL),
    "circular": ("--array", "vla-d", "--pols", "RR,LL", *SMALL, "--no-autocorrelations"),
    "flagged": ("--array", "lofar-hba", *SMALL, "--flag-fraction", "0.2", "--weights", "random"),
}
TAKEN, REFUSED = "taken", "refused"


def make_good_sets(folder: Path, others: Sequence[Path] = ()) -> list[Path]:
    """Make the sets that mutants are made of; `others` are taken as they are."""
    made = []
    for name, arguments in VARIANTS.items():
        ok("emu-simulate", *arguments, folder / f"{name}.ms")
        made.append(folder / f"{name}.ms")
    free = folder / "free.ms"
    _with_free_shapes(made[0], free)
    return [*made, free, *others]


def _with_free_shapes(source: Path, target: Path) -> None:
    """Copy a set, the cells of its main table without a common shape."""
    with tables.table(str(source), ack=False) as table:
        table.copy(str(target), deep=True, valuecopy=True).close()
        description = table.getdesc()
        with tables.table(str(target), readonly=False, ack=False) as copy:
            for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM", "UVW"):
                values = table.getcol(name)
                copy.removecols([name])
                kind = {"shape", "dataManagerType", "dataManagerGroup"}
                column = {k: v for k, v in description[name].items() if k not in kind}
                copy.addcols({name: column | {"option": 0}})
                copy.putcol(name, values)


@dataclass
class Result:
    """What became of the mutants: how many were taken and refused, and the faults."""

    taken: int = 0
    refused: int = 0
    died: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.taken} mutants received, {self.refused} refused, casacore died of "
            f"{self.died}; {len(self.faults)} faults"
        )


def campaign(
    folder: Path, good: Sequence[Path], seed: int, numbers: Sequence[int], workers: int = WORKERS
) -> Result:
    """Judge mutants.

    Parameters
    ----------
    folder
        For all files.
    good
        What they are made of.
    seed, numbers
        Which.
    workers
        Processes at a time.
    """
    left: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in numbers:
        left.put(number)
    result = Result()
    threads = [
        threading.Thread(target=_serve, args=(folder / f"w{i}", good, seed, left, result))
        for i in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return result


def _serve(
    folder: Path, good: Sequence[Path], seed: int, left: queue.SimpleQueue[int], result: Result
) -> None:
    """Give numbers to a worker, and to another one when it has died."""
    folder.mkdir()
    worker = _start_worker(folder, good, seed)
    with contextlib.suppress(queue.Empty):
        while True:
            number = left.get_nowait()
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(f"{number}\n")
            worker.stdin.flush()
            alarm = threading.Timer(HANG_S, worker.kill)
            alarm.start()
            line = worker.stdout.readline()
            alarm.cancel()
            if not line:
                with worker:  # and its pipes
                    worker.wait()
                result.died += 1
                worker = _start_worker(folder, good, seed)
                if number >= 0:
                    left.put(-number - 1)
                    continue
                kind, said = "fault", "a worker died or hung, although a trial went before"
            else:
                kind, said = json.loads(line)
            number = max(number, -number - 1)
            if kind == TAKEN:
                result.taken += 1
            elif kind == REFUSED:
                result.refused += 1
            else:
                result.faults.append(f"mutant {number}: {said}")
            logging.getLogger(__name__).info("%d %s %s", number, kind, said)
    with worker:
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait()


def _start_worker(folder: Path, good: Sequence[Path], seed: int) -> subprocess.Popen[str]:
    with (folder / "worker.log").open("a") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.fuzz.models"),
                *("--worker", str(folder), "--seed", str(seed), *map(str, good)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def work(folder: Path, good: Sequence[Path], seed: int) -> None:
    """Judge the mutants whose numbers come on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        # casacore remembers tables by their names.
        here = folder / line.strip()
        answers.write(json.dumps(judge(here, good, seed, int(line))) + "\n")
        answers.flush()
        shutil.rmtree(here)


def _mutant(folder: Path, good: Sequence[Path], seed: int, number: int) -> tuple[Mutant, Path]:
    source = good[number % len(good)]
    turn = number // len(good)
    folder.mkdir()
    target = folder / "mutant.ms"
    return casacore_thread.run(make_mutant, source, target, seed, number, turn), source


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "reception.datamodel": str(folder / "mutant.ms"),
        "reception.outputfilename": str(folder / "received.ms"),
        "reception.transport": "tcp",
        "reception.consumer": "mswriter",
        "reception.idle_timeout": 20,
    }


def judge(folder: Path, good: Sequence[Path], seed: int, number: int) -> tuple[str, str]:
    """Return what became of a mutant, and what was said.

    A negative number is that of one at which a worker died: it is tried as the command does it.
    """
    guarded, number = number < 0, max(number, -number - 1)
    mutant, source = _mutant(folder, good, seed, number)
    config = Config.from_mapping(DEFAULTS | _settings(folder))
    (folder / "tried").mkdir()
    try:
        if guarded:
            Trial(config, model_source(config), writes=True).result()
        else:
            attempt(config, model_source(config), folder / "tried")
    except (InputError, ConfigError) as error:
        verdict = REFUSED, f"{mutant.what}: {' '.join(str(error).split())}"
    except Exception as error:  # noqa: BLE001 (a fault, whatever it is)
        return "fault", f"{mutant.what}: {type(error).__name__}: {error}"
    else:
        try:
            receive_and_compare(folder, source, mutant, config)
            verdict = TAKEN, mutant.what
        except Exception as error:  # noqa: BLE001 (a fault, whatever it is)
            return "fault", f"{mutant.what}: received wrongly: {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder / "tried", ignore_errors=True)
    if not guarded and (said := _read_otherwise(folder, source)):
        return "fault", f"{mutant.what}: {said}"
    if guarded or number % BY_COMMAND == 0:
        shutil.rmtree(folder / "received.ms", ignore_errors=True)
        kind, said = _check_by_command(folder, mutant)
        if kind != verdict[0]:
            return "fault", f"{mutant.what}: {verdict}, but by the command {kind}: {said}"
    return verdict


def _read_otherwise(folder: Path, source: Path) -> str:
    """Give a mutant to emu-send and ms-diff; return what else they do than read or refuse it."""
    path = folder / "mutant.ms"
    try:
        with contextlib.suppress(InputError, ConfigError):
            emu_send(["--check", str(path)])
        with contextlib.suppress(InputError):
            diff_sets(source, path)
    except Exception as error:  # noqa: BLE001 (a fault, whatever it is)
        return f"emu-send or ms-diff: {type(error).__name__}: {error}"
    return ""


def _check_by_command(folder: Path, mutant: Mutant) -> tuple[str, str]:
    """Ask ``emu-recv --check``: 0, or one line and the exit code of an input."""
    before = sorted(folder.iterdir())
    words = [f"-o{key}={value}" for key, value in _settings(folder).items()]
    try:
        done = subprocess.run(
            [BIN / "emu-recv", "--check", *words],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "fault", f"{mutant.what}: emu-recv --check hangs"
    said = f"{mutant.what}: {done.stderr.strip()[-300:]}"
    lines = [line for line in done.stderr.splitlines() if line.startswith("emu-recv: error: ")]
    if sorted(folder.iterdir()) != before:
        return "fault", f"{said}: --check left something behind"
    if done.returncode == 0:
        return TAKEN, said
    one_line = done.returncode in {2, 3} and len(lines) == 1 and "Traceback" not in done.stderr
    return (REFUSED if one_line else "fault"), f"{said} (exit code {done.returncode})"


class _Observed(Observation):
    """An observation of a mutant's model, with visibilities of our own."""

    def __init__(self, model: TelescopeModel) -> None:
        self._model = model
        super().__init__(
            times=min(model.num_times, 4),
            channels=model.num_channels,
            per_stream=model.num_channels,
        )
        self.antenna1, self.antenna2 = model.antenna1, model.antenna2
        self.baselines = model.num_baselines
        rng = np.random.default_rng(3)
        shape = (self.times, self.channels, self.baselines)
        self.records = np.zeros(shape, self.dtype)
        self.records["VIS"] = rng.standard_normal((*shape, 4)).astype(np.complex64)
        self.records["FD"] = rng.integers(1, 256, shape)

    @property
    def model(self) -> TelescopeModel:
        return self._model

    def ticks(self, index: int) -> int:
        return ticks_from_mjd_s(float(self._model.times_mjd_s[index]))


def receive_and_compare(folder: Path, source: Path, mutant: Mutant, config: Config) -> None:
    """Receive an observation of a mutant's model; all must be there, and as it was sent."""
    path = folder / "mutant.ms"
    with open_set(path, visibilities=False) as reader, open_set(source) as good:
        observed = _Observed(model_source(config).model())
        running = Running(observed, folder, _settings(folder))
        with _Ended(running), Sender(running.ports, tcp=True) as sender:
            sender.send(0, observed.stream(0))
            sender.close()
            outcome = running.finish()
        assert not outcome.errors, outcome.errors
        assert not outcome.lost
        casacore_thread.run(_compare, folder / "received.ms", observed)
        casacore_thread.run(_compare_subtables, folder / "received.ms", source, mutant.table)
        _compare_models(reader.model(), good.model(), mutant.table)


class _Ended:
    """A receiver that is stopped, whatever happens."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> Running:
        return self._running

    def __exit__(self, *_: object) -> None:
        self._running.abandon()


def _compare(received: Path, observed: _Observed) -> None:
    model = observed.model
    with tables.table(str(received), ack=False) as table:
        rows = observed.times * observed.baselines
        assert table.nrows() == rows, f"{table.nrows()} rows, not {rows}"
        data = table.getcol("DATA").reshape(observed.times, observed.baselines, -1, model.num_pols)
        sent = observed.records["VIS"][..., vis_slots(model.corr_types)]
        np.testing.assert_array_equal(data, sent.transpose(0, 2, 1, 3))
        assert not table.getcol("FLAG").any()
        times = np.repeat(model.times_mjd_s[: observed.times], observed.baselines)
        np.testing.assert_array_equal(table.getcol("TIME"), times)
        for name, expected in (("ANTENNA1", model.antenna1), ("ANTENNA2", model.antenna2)):
            np.testing.assert_array_equal(table.getcol(name), np.tile(expected, observed.times))
        uvw = np.concatenate([model.uvw(index) for index in range(observed.times)])
        np.testing.assert_array_equal(table.getcol("UVW"), uvw)
        for name in ("TIME", "INTERVAL", "EXPOSURE", "TIME_CENTROID"):
            assert list(table.getcolkeyword(name, "QuantumUnits")) == ["s"]


def _compare_models(model: TelescopeModel, good: TelescopeModel, touched: str) -> None:
    """What the mutation did not touch must be as it was."""
    if touched != "ANTENNA":
        assert model.antennas.names == good.antennas.names
        np.testing.assert_array_equal(model.antennas.positions_m, good.antennas.positions_m)
    if touched not in {"FIELD", MAIN}:
        assert model.phase_centre_radec_rad == good.phase_centre_radec_rad
    if touched not in {"SPECTRAL_WINDOW", "DATA_DESCRIPTION", MAIN}:
        np.testing.assert_array_equal(model.channel_freq_hz, good.channel_freq_hz)
    if touched not in {"POLARIZATION", "DATA_DESCRIPTION", MAIN}:
        assert model.corr_types == good.corr_types
    if touched != MAIN:
        np.testing.assert_array_equal(model.times_mjd_s, good.times_mjd_s)


def _compare_subtables(received: Path, source: Path, touched: str) -> None:
    for folder in sorted(entry for entry in source.iterdir() if entry.is_dir()):
        if folder.name in {touched, "HISTORY"} or touched == MAIN:
            continue
        with (
            tables.table(str(folder), ack=False) as good,
            tables.table(str(received / folder.name), ack=False) as made,
        ):
            assert made.nrows() == good.nrows(), folder.name
            for column in good.colnames() if good.nrows() else ():
                everything = slice(0, good.nrows())
                values = read_cells(good, column, everything), read_cells(made, column, everything)
                for expected, found in zip(*values, strict=True):
                    np.testing.assert_array_equal(found, expected, f"{folder.name}.{column}")


def main() -> None:
    """Run a campaign, or a worker of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("sets", nargs="*", type=Path, help="good sets, beside those made here")
    args = parser.parse_args()
    if args.worker is not None:
        work(args.worker, args.sets, args.seed)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as name:
        good = make_good_sets(Path(name), args.sets)
        numbers = range(args.first, args.first + args.count)
        result = campaign(Path(name), good, args.seed, numbers, args.workers)
    print("\n".join([*result.faults, result.line()]))
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
