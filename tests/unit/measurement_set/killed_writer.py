"""A process that makes writers to be killed.

It reads a job a line from stdin (JSON) and forks a writer for it, so that the imports are paid
for once.  A writer says ``pid N``, then ``closed K`` for each integration that is reported closed,
``closing`` before it closes the set and ``done`` after; ``reaped`` follows when it is dead.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from receive.icd.payload import Payload
from receive.icd.times import count_fraction_from_mjd_s
from receive.measurement_set.tiled.kernels import compile_kernels
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.writing import INTERVAL_S, START_MJD_S, make_model, make_payload

if TYPE_CHECKING:
    from receive.model.telescope import TelescopeModel

DIFFERENT_PAYLOADS = 3


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def payload_of(model: TelescopeModel, cycle: list[Payload], dump: int) -> Payload:
    """Return the integration of number `dump`: one of a few, at a time of its own."""
    records = cycle[dump % len(cycle)]
    count, fraction = count_fraction_from_mjd_s(START_MJD_S + dump * INTERVAL_S)
    return Payload(
        timestamp_count=count,
        timestamp_fraction=fraction,
        channel_id=0,
        channel_count=model.num_channels,
        baseline_count=model.num_baselines,
        parts=records.parts,
        scan_id=1,
        model_index=dump,
    )


def make_cycle(model: TelescopeModel) -> list[Payload]:
    return [make_payload(model, 0, parts=2, seed=seed) for seed in range(DIFFERENT_PAYLOADS)]


def write(job: dict[str, object], model: TelescopeModel, cycle: list[Payload]) -> None:
    writer = SetWriter.create(Path(str(job["path"])), Path(str(job["template"])), model)
    for dump in range(int(str(job["dumps"]))):
        writer.write(payload_of(model, cycle, dump))
        say(f"closed {writer.dumps_closed}")
    say("closing")
    writer.close(history=["the last line"])
    say("done")


def main() -> None:
    compile_kernels()
    for line in sys.stdin:
        job = json.loads(line)
        model = make_model(**job["shape"])
        cycle = make_cycle(model)
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            write(job, model, cycle)
            os._exit(0)
        os.waitpid(child, 0)
        say("reaped")


if __name__ == "__main__":
    main()
