"""The consumer that writes Measurement Sets: one for each scan, or several that part it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from receive import __version__
from receive.consumers.names import output_path
from receive.consumers.output_checks import check_output, check_outputs
from receive.consumers.rotation import Rotation
from receive.consumers.set_account import SetAccount
from receive.measurement_set.kernels import compile_kernels
from receive.measurement_set.space import free_bytes
from receive.measurement_set.writer import SetWriter
from receive.progress import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel
    from receive.stream.ledger import ScanLedger

logger = logging.getLogger(__name__)


class MeasurementSetConsumer:
    """Writes the payloads of each scan into Measurement Sets.

    Attributes
    ----------
    on_closed
        Called with each set that was closed.

    Raises
    ------
    ConfigError, OutputError
        If the sets cannot be written, as far as that can be told before.
    """

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        self._config = config
        self._model = tm
        self._template = Path(config["reception.datamodel"])
        self._rotation = Rotation.make(config, tm)
        self._writer: SetWriter | None = None
        self._path = output_path(config, 1)
        self._scans = 0
        self._part = 0
        self._in_scan = False
        self._scan_so_far: ScanLedger | None = None
        self._written_heaps = 0
        self._account: SetAccount
        self.on_closed: Callable[[Path], None] = _ignore
        check_outputs(self._rotation)
        # Now, not when the first integration waits for it.
        compile_kernels()

    async def scan_began(self, ledger: ScanLedger) -> None:
        """Take note of the ledger that the receiver keeps up to date."""
        self._scan_so_far = ledger
        self._written_heaps = 0

    async def consume(self, payload: Payload) -> None:
        """Write one integration; the first of a scan, or of a part of it, creates its set."""
        if self._writer is not None and self._rotation.is_full(self._writer.dumps_closed):
            self._close(self._lines_so_far())
        if self._writer is None:
            self._writer = self._create(payload)
        self._writer.write(payload)
        self._account.add(payload)
        self._written_heaps += sum(part.present for part in payload.parts)
        logger.debug("%s: integration %d closed", self._path.name, self._writer.dumps_closed)

    def _create(self, payload: Payload) -> SetWriter:
        if not self._in_scan:
            self._in_scan = True
            self._scans += 1
            self._part = 0
        self._part += 1
        self._path = output_path(self._config, self._scans, self._part)
        check_output(self._config, self._path)
        self._account = SetAccount(len(payload.parts))
        start = payload.channel_id
        logger.info("Writing %s (%s free)", self._path, format_bytes(free_bytes(self._path)))
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
            direct=self._config["consumer.direct_io"],
            expected_dumps=self._rotation.expected_dumps(self._part),
        )

    async def scan_ended(self, ledger: ScanLedger) -> None:
        """Close the scan's set, with its ledger in HISTORY."""
        self._close([*self._own_lines(), *ledger.lines(), *self._no_room_lines(ledger)])
        self._in_scan = False
        self._scan_so_far = None

    async def close(self) -> None:
        """Close the set that is still open."""
        self._close(self._lines_so_far())

    def _own_lines(self) -> list[str]:
        """Return what a part of a scan holds itself."""
        if self._writer is None or self._rotation.dumps_per_set is None:
            return []
        return self._account.lines(f"part {self._part} of scan {self._scans}")

    def _no_room_lines(self, ledger: ScanLedger) -> list[str]:
        """Return what the receiver has of a scan and its sets have not."""
        flagged = int(ledger.received.sum()) - self._written_heaps
        if not flagged:
            return []
        said = "of the heaps received found no room, since the disk was slower than the sender"
        return [f"scan {self._scans}: {flagged} {said}: their integrations are flagged"]

    def _lines_so_far(self) -> list[str]:
        so_far = self._scan_so_far.refusals() if self._scan_so_far is not None else []
        return [*self._own_lines(), *(f"scan {self._scans} so far: {text}" for text in so_far)]

    def _close(self, history: list[str]) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.close(history=history)
        logger.info("Closed %s: %d integrations", self._path, writer.dumps_closed)
        self.on_closed(self._path)


def _ignore(path: Path) -> None:
    del path
