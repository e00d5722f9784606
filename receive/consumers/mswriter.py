"""The consumer that writes Measurement Sets: one for each scan."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from receive import __version__
from receive.consumers.names import output_path
from receive.errors import OutputError
from receive.measurement_set.kernels import compile_kernels
from receive.measurement_set.space import check_free_space, required_bytes
from receive.measurement_set.writer import SetWriter
from receive.progress import format_bytes

if TYPE_CHECKING:
    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel
    from receive.stream.ledger import ScanLedger

logger = logging.getLogger(__name__)


class MeasurementSetConsumer:
    """Writes the payloads of each scan into a Measurement Set.

    Raises
    ------
    OutputError
        If the output exists and may not be overwritten, or the disk is too small.
    """

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        self._config = config
        self._model = tm
        self._template = Path(config["reception.datamodel"])
        self._writer: SetWriter | None = None
        self._path = output_path(config, 1)
        self._scans = 0
        self.written: list[Path] = []
        self._check_output(self._path)
        limit = config["reception.max_dumps"]
        dumps = len(tm.times_mjd_s)
        self._dumps_per_set = min(limit, dumps) if limit else dumps
        check_free_space(self._path, required_bytes(tm, self._dumps_per_set))
        # Now, not when the first integration waits for it.
        compile_kernels()

    def _check_output(self, path: Path) -> None:
        if path.exists() and not self._config["reception.overwrite"]:
            raise OutputError(
                f"{path} exists: choose another reception.outputfilename, or give "
                f"reception.overwrite=true to replace it"
            )
        if not path.parent.is_dir():
            raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")

    async def consume(self, payload: Payload) -> None:
        """Write one integration; the first of a scan creates its set."""
        if self._writer is None:
            self._writer = self._create(payload)
        self._writer.write(payload)
        logger.debug("%s: integration %d closed", self._path.name, self._writer.dumps_closed)

    def _create(self, payload: Payload) -> SetWriter:
        self._scans += 1
        self._path = output_path(self._config, self._scans)
        self._check_output(self._path)
        start = payload.channel_id
        logger.info("Writing %s (%s free)", self._path, format_bytes(_free(self._path)))
        return SetWriter.create(
            self._path,
            self._template,
            self._model,
            overwrite=self._config["reception.overwrite"],
            history=[
                f"vis-receive {__version__} emu-recv",
                f"configuration {self._config.to_json(masked=True)}",
            ],
            channels=(start, payload.channel_count),
            scan_number=payload.scan_id,
            fd_zero=self._config["reception.fd_zero"],
            expected_dumps=self._dumps_per_set,
        )

    async def scan_ended(self, ledger: ScanLedger) -> None:
        """Close the scan's set, with its ledger in HISTORY."""
        self._close(ledger.lines())

    async def close(self) -> None:
        """Close the set that is still open."""
        self._close([])

    def _close(self, history: list[str]) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.close(history=history)
        self.written.append(self._path)
        logger.info("Closed %s: %d integrations", self._path, writer.dumps_closed)


def _free(path: Path) -> int:
    return shutil.disk_usage(path.parent).free
