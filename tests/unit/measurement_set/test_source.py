"""What telescope models are made of: Measurement Sets, and something that is none."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from casacore import tables

from receive.command.errors import ConfigError, InputError
from receive.config import Config
from receive.consumers.ms.writer import MeasurementSetConsumer
from receive.measurement_set.read.source import model_source
from receive.model import ModelSource
from receive.run.trial import Trial
from tests.unit.measurement_set.writing import (
    assert_holds,
    make_model,
    make_payload,
    make_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.model import TelescopeModel


@dataclass(frozen=True)
class Described(ModelSource):
    """A source that is no set."""

    scratch: Path

    def __str__(self) -> str:
        return "a layout, a pointing and a channel plan"

    @property
    def folder(self) -> None:
        return None

    def model(self) -> TelescopeModel:
        return replace(make_model(), source=self)

    @contextmanager
    def template(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            yield make_template(folder / "template.ms", make_model())
        finally:
            shutil.rmtree(folder)


def test_a_set_gives_the_model_and_the_template(lofar_ms: Path) -> None:
    source = model_source(Config.from_mapping({"reception.datamodel": str(lofar_ms)}))
    model = source.model()
    assert model.source is source
    assert model.select_channels(0, 1).source is source
    assert str(source) == str(source.folder) == str(lofar_ms)
    with source.template() as template:
        assert template == lofar_ms
    assert lofar_ms.is_dir()


def test_a_field_that_the_set_does_not_have(lofar_ms: Path) -> None:
    given = {"reception.datamodel": str(lofar_ms), "reception.field": "nowhere"}
    with pytest.raises(ConfigError, match=f"reception.field = nowhere: {lofar_ms} has no rows"):
        model_source(Config.from_mapping(given)).model()


def test_without_a_source() -> None:
    config = Config.from_mapping({})
    with pytest.raises(ConfigError, match=r"reception\.datamodel is missing"):
        model_source(config)
    with pytest.raises(ValueError, match="without a source"):
        MeasurementSetConsumer(config, make_model())


def test_numbers_that_nothing_can_be_received_with(lofar_ms: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.ms"
    shutil.copytree(lofar_ms, path)
    with tables.table(f"{path}/SPECTRAL_WINDOW", readonly=False, ack=False) as windows:
        windows.putcell("CHAN_FREQ", 0, -windows.getcell("CHAN_FREQ", 0))
    with pytest.raises(InputError, match=f"{path}: CHAN_FREQ of channel 0 is -"):
        model_source(Config.from_mapping({"reception.datamodel": str(path)})).model()


def test_a_source_that_is_no_set(tmp_path: Path) -> None:
    path, scratch = tmp_path / "out.ms", tmp_path / "scratch"
    scratch.mkdir()
    source = Described(scratch)
    config = Config.from_mapping({"reception.outputfilename": str(path)})
    Trial(config, source, writes=True).result()
    model = source.model()
    payloads = [make_payload(model, index) for index in range(2)]
    consumer = MeasurementSetConsumer(config, model)

    async def consume() -> None:
        for payload in payloads:
            await consumer.consume(payload)
        await consumer.close()

    asyncio.run(consume())
    assert_holds(path, model, payloads)
    assert [*scratch.iterdir()] == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.ms", "scratch"]
