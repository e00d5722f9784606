"""Pieces of one observation as receivers write them, and the set that one receiver writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from receive.icd.payload import Payload, PayloadPart
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.writing import make_payload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from receive.model import TelescopeModel


@dataclass(frozen=True)
class Cut:
    """What a piece holds: channels, integrations, and the scan that it says it is of."""

    start: int
    count: int
    dumps: tuple[int, ...]
    scan: int = 1


def write_piece(path: Path, template: Path, model: TelescopeModel, cut: Cut) -> Path:
    """Write what a receiver of some of the channels writes."""
    own = model.select_channels(cut.start, cut.count)
    with SetWriter.create(
        path,
        template,
        own,
        channels=(cut.start, cut.count),
        scan_number=cut.scan,
        history=[f"wrote {path.name}"],
    ) as writer:
        for dump in cut.dumps:
            writer.write(cut_payload(make_payload(model, dump), cut))
    return path


def cut_payload(payload: Payload, cut: Cut) -> Payload:
    (part,) = payload.parts
    records = part.records[cut.start : cut.start + cut.count]
    return Payload(
        timestamp_count=payload.timestamp_count,
        timestamp_fraction=payload.timestamp_fraction,
        channel_id=cut.start,
        channel_count=cut.count,
        baseline_count=payload.baseline_count,
        parts=[PayloadPart(0, cut.count, records, True)],
        scan_id=cut.scan,
        model_index=payload.model_index,
    )


def cut_channels(model: TelescopeModel, sizes: Sequence[int], dumps: int) -> list[Cut]:
    """Cut all channels into pieces of these sizes."""
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    assert sum(sizes) == model.num_channels
    every = tuple(range(dumps))
    return [Cut(start, size, every) for start, size in zip(starts, sizes, strict=True)]


def reverse_channels(model: TelescopeModel) -> TelescopeModel:
    return replace(model, channel_freq_hz=model.channel_freq_hz[::-1])
