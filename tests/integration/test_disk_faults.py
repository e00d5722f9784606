"""A disk that fails here and there, in any way: what it did not take is known, the rest is kept.

A fault is that a call of the system fails; which calls do, with what, and for how long is drawn.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from casacore.tables import table

from receive.command.errors import OutputError
from receive.config import Config
from receive.consumers.ms.writer import MeasurementSetConsumer
from receive.measurement_set import casacore_thread
from receive.measurement_set.read.source import SetSource
from receive.measurement_set.write.recover import recover
from receive.stream.dumps.ledger import ScanLedger
from tests.unit.measurement_set.writing import make_model, make_payload, make_template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from receive.icd.payload import Payload

DUMPS = 24
ERRORS = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT,
    errno.EFBIG, errno.ENODEV,
)  # fmt: skip
CALLS = ("pwrite", "ftruncate", "mkdir", "rename", "unlink", "open")
CASACORE = "casacore"


@dataclass
class Disk:
    """Fails the calls that are named, as long as they are."""

    folder: Path
    failing: frozenset[str] = frozenset()
    error: int = errno.ENOSPC
    real: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            self.real[name] = getattr(os, name)
            monkeypatch.setattr(os, name, self._faulty(name))
        run = casacore_thread.run

        def faulty_run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if CASACORE in self.failing:
                raise RuntimeError("TableError: fsync failed")
            return run(function, *args, **kwargs)

        monkeypatch.setattr(casacore_thread, "run", faulty_run)

    def _faulty(self, name: str) -> Callable[..., Any]:
        def call(first: Any, *args: Any, **kwargs: Any) -> Any:
            if name in self.failing and self._is_mine(name, first, args):
                raise OSError(self.error, os.strerror(self.error))
            return self.real[name](first, *args, **kwargs)

        return call

    def _is_mine(self, name: str, first: Any, args: Any) -> bool:
        if name in {"pwrite", "ftruncate"}:
            return True
        writes = name != "open" or bool(args and args[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return writes and str(first).startswith(str(self.folder))


def sets_of(folder: Path) -> list[Path]:
    """Return all sets, in the order of their integrations."""
    found = [entry for entry in folder.iterdir() if entry.suffix == ".ms"]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def read(path: Path) -> tuple[np.ndarray, ...]:
    with table(str(path), ack=False) as opened:
        return opened.getcol("TIME"), opened.getcol("DATA"), opened.getcol("FLAG")


def fed(consumer: MeasurementSetConsumer, payloads: list[Payload], on_each: Any) -> ScanLedger:
    """Give a consumer one scan; return its ledger."""
    ledger = ScanLedger(1, 1, np.ones(1, np.int64), np.zeros((1, 20), np.int64))

    async def feed() -> None:
        await consumer.scan_began(ledger)
        for index, payload in enumerate(payloads):
            on_each(index)
            ledger.dumps += 1
            ledger.received += [part.present for part in payload.parts]
            await consumer.consume(payload)
        on_each(len(payloads))
        await consumer.scan_ended(ledger)

    asyncio.run(feed())
    return ledger


@pytest.mark.parametrize("seed", range(60))
def test_whatever_fails_what_is_not_lost_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    model = make_model(antennas=draw.choice((4, 16)), channels=draw.choice((3, 16)), dumps=DUMPS)
    template = make_template(tmp_path / "template.ms", model)
    model = replace(model, source=SetSource(template))
    folder = tmp_path / "disk"
    folder.mkdir()
    config = Config.from_mapping(
        {
            "reception.datamodel": str(template),
            "reception.outputfilename": str(folder / "out.ms"),
            "consumer.max_dumps_per_ms": draw.choice((0, 0, 5, 7)),
        }
    )
    disk = Disk(folder)
    disk.install(monkeypatch)
    consumer = MeasurementSetConsumer(config, model)
    announced: list[Path] = []
    consumer.on_closed = announced.append

    def change(index: int) -> None:
        if index >= DUMPS - 2:
            # It works again before the end.
            disk.failing = frozenset()
        elif draw.random() < 0.4:
            names = draw.sample((*CALLS, CASACORE), draw.choice((0, 0, 1, 2, 7)))
            disk.failing, disk.error = frozenset(names), draw.choice(ERRORS)

    # What takes long is not tried again at once; here nothing takes long.
    monkeypatch.setattr("receive.consumers.ms.trouble.REST_FACTOR", 0)
    payloads = [make_payload(model, index) for index in range(DUMPS)]
    fed(consumer, payloads, change)
    asyncio.run(consumer.close())

    found = sets_of(folder)
    assert announced == found
    assert set(folder.iterdir()) == set(found)
    times, data, flags = (np.concatenate(each) for each in zip(*map(read, found), strict=True))
    rows = model.num_baselines
    # Every integration has its rows, once and in order.
    assert np.array_equal(times[::rows], [payload.mjd_time for payload in payloads])
    flags = flags.reshape(DUMPS, -1)
    lost = flags.all(axis=1)
    assert lost.sum() == consumer.unwritten
    shutil.rmtree(template)
    template = make_template(tmp_path / "template.ms", model)
    whole = tmp_path / "whole.ms"
    disk.failing = frozenset()
    reference = MeasurementSetConsumer(
        config.with_values(
            {"reception.outputfilename": str(whole), "consumer.max_dumps_per_ms": 0}, "test"
        ),
        model,
    )
    fed(reference, payloads, lambda _: None)
    asyncio.run(reference.close())
    _, all_data, all_flags = read(whole)
    kept = ~lost
    data, all_data = data.reshape(DUMPS, -1), all_data.reshape(DUMPS, -1)
    assert np.array_equal(data[kept], all_data[kept])
    assert np.array_equal(flags[kept], all_flags.reshape(DUMPS, -1)[kept])
    # No part holds nothing but what was lost.
    assert all(not read(path)[2].all() for path in found)


@pytest.mark.parametrize("seed", range(20))
def test_what_fails_to_the_end_leaves_sets_that_open_or_can_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    model = make_model(dumps=DUMPS)
    template = make_template(tmp_path / "template.ms", model)
    model = replace(model, source=SetSource(template))
    folder = tmp_path / "disk"
    folder.mkdir()
    config = Config.from_mapping(
        {
            "reception.datamodel": str(template),
            "reception.outputfilename": str(folder / "out.ms"),
            "consumer.max_dumps_per_ms": draw.choice((0, 5)),
        }
    )
    disk = Disk(folder)
    disk.install(monkeypatch)
    consumer = MeasurementSetConsumer(config, model)
    begins = draw.randrange(1, DUMPS)

    def change(index: int) -> None:
        if index == begins:
            names = draw.sample((*CALLS, CASACORE), draw.choice((1, 2, 7)))
            disk.failing, disk.error = frozenset(names), draw.choice(ERRORS)

    payloads = [make_payload(model, index) for index in range(DUMPS)]
    fed(consumer, payloads, change)
    with suppress(OutputError):
        asyncio.run(consumer.close())
    disk.failing = frozenset()
    written = 0
    for path in sets_of(folder):
        recover(path)
        _, _, flags = read(path)
        flags = flags.reshape(-1, model.num_baselines * flags[0].size)
        written += int((~flags.all(axis=1)).sum())
    assert written == DUMPS - consumer.unwritten
