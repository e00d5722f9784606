"""The writer's row: ``write.py ours|plain MODEL FOLDER BYTES``, prints bytes and seconds as JSON.

``ours``: dumps through `SetWriter`, all columns.  ``plain``: as many bytes with write(), nothing
else.  Both with a final sync.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from receive.icd.payload import Payload, PayloadPart
from receive.icd.records import RECORD_DTYPE
from receive.measurement_set.read.reader import open_set
from receive.measurement_set.write.writer import SetWriter
from tests.bench.shapes import FIRST_UNIX_S

PIECE_BYTES = 8 << 20


def main() -> None:
    how, model, folder, wanted = sys.argv[1], *map(Path, sys.argv[2:4]), int(sys.argv[4])
    seconds, cpu_s, written = (
        ours(model, folder, wanted) if how == "ours" else plain(folder, wanted)
    )
    print(json.dumps({"bytes": written, "seconds": seconds, "cpu_s": cpu_s}))


def ours(template: Path, folder: Path, wanted: int) -> tuple[float, float, int]:
    model = open_set(template).model()
    records = np.zeros((model.num_channels, model.num_baselines), RECORD_DTYPE["low"])
    records["FD"] = 255
    records["VIS"] = 1 + 2j
    cell = model.num_channels * 4 * (8 + 4) + 100
    dumps = max(2, round(wanted / (model.num_baselines * cell)))
    path = folder / "written.ms"

    def payload(dump: int) -> Payload:
        part = PayloadPart(0, model.num_channels, records, True)
        return Payload(
            timestamp_count=FIRST_UNIX_S + dump, timestamp_fraction=1 << 31, channel_id=0,
            channel_count=model.num_channels, baseline_count=model.num_baselines, parts=[part],
            scan_id=1, model_index=None,
        )  # fmt: skip

    with SetWriter.create(folder / "warm.ms", template, model, overwrite=True) as warm:
        warm.write(payload(0))
    shutil.rmtree(folder / "warm.ms")
    os.sync()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    writer = SetWriter.create(path, template, model, overwrite=True, expected_dumps=dumps)
    for dump in range(dumps):
        writer.write(payload(dump))
    writer.close()
    os.sync()
    seconds = time.perf_counter() - began_s
    cpu_s = time.process_time() - began_cpu_s
    # Blocks, not lengths: what was never written does not count.
    written = sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())
    shutil.rmtree(path)
    return seconds, cpu_s, written


def plain(folder: Path, wanted: int) -> tuple[float, float, int]:
    piece = np.random.default_rng(0).bytes(PIECE_BYTES)
    path = folder / "written.bin"
    os.sync()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    with path.open("wb", buffering=0) as file:
        for _ in range(wanted // PIECE_BYTES):
            file.write(piece)
    os.sync()
    seconds = time.perf_counter() - began_s
    cpu_s = time.process_time() - began_cpu_s
    path.unlink()
    return seconds, cpu_s, wanted // PIECE_BYTES * PIECE_BYTES


if __name__ == "__main__":
    main()
