"""The consumer that writes Measurement Sets: one for each scan, or several that part it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from receive import __version__
from receive.command.errors import OutputError, VisReceiveError
from receive.command.progress import format_bytes
from receive.consumers.ms.closing import ClosedSet, Closing
from receive.consumers.ms.lost import LostIntegrations
from receive.consumers.ms.names import base_path, output_path, possible_names
from receive.consumers.ms.output_checks import check_folder, check_output, check_outputs
from receive.consumers.ms.rotation import Rotation
from receive.consumers.ms.set_account import SetAccount
from receive.consumers.ms.trouble import Rest, Trouble, set_goes_on
from receive.measurement_set.tiled.kernels import compile_kernels
from receive.measurement_set.write.growing import output_error
from receive.measurement_set.write.leftovers import remove_leftovers
from receive.measurement_set.write.name_lock import NameLock
from receive.measurement_set.write.space import free_bytes
from receive.measurement_set.write.writer import SetWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel
    from receive.stream.dumps.ledger import ScanLedger

logger = logging.getLogger(__name__)


class MeasurementSetConsumer:
    """Writes the payloads of each scan into Measurement Sets.

    What a disk does not take is lost, but nothing else: the next integrations are tried again, in
    the same set or in another one, whose rows say by their flags what was lost.

    Attributes
    ----------
    on_closed
        Called with each set that was closed.

    Raises
    ------
    ConfigError, OutputError
        If the sets cannot be written, as far as that can be told before, or somebody else writes
        sets of that name.
    """

    def __init__(self, config: Config, tm: TelescopeModel) -> None:
        self._config = config
        self._model = tm
        if tm.source is None:
            raise ValueError("a model without a source has no subtables for new sets")
        self._source = tm.source
        self._rotation = Rotation.make(config, tm)
        self._writer: SetWriter | None = None
        self._path = output_path(config, 1)
        self._scans = 0
        self._part = 0
        self._in_scan = False
        self._scan_so_far: ScanLedger | None = None
        self._given = 0
        self._written_heaps = 0
        self._lost_heaps = 0
        self._account: SetAccount
        self._closing = Closing(self._announce)
        self._lost = LostIntegrations()
        self._trouble = Trouble("mswriter", config.consumer.retry)
        self._rest = Rest()
        self._unwritten = 0
        self.on_closed: Callable[[Path], None] = _ignore
        base = base_path(config)
        check_folder(base)
        self._lock = NameLock(base)
        try:
            self._remove_leftovers()
            check_outputs(self._rotation)
        except BaseException:
            self._lock.release()
            raise
        # Now, not when the first integration waits for it.
        compile_kernels()

    @property
    def unwritten(self) -> int:
        """Integrations with data that could not be written, or that a disk could not keep."""
        return self._unwritten + self._closing.damaged

    def _remove_leftovers(self) -> None:
        """Remove what another receiver has left; in the end, what a disk has not let us remove."""
        with suppress(OSError):
            remove_leftovers(self._lock.path, possible_names(self._config))

    async def scan_began(self, ledger: ScanLedger) -> None:
        """Take note of the ledger that the receiver keeps up to date."""
        self._scan_so_far = ledger
        self._given = self._written_heaps = self._lost_heaps = 0

    async def consume(self, payload: Payload) -> None:
        """Write one integration; the first of a scan, or of a part of it, creates its set."""
        if not self._in_scan:
            self._in_scan = True
            self._scans += 1
            self._part = 0
        self._given += 1
        try:
            self._write(payload)
        except VisReceiveError as error:
            self._lose(payload, error)
        except OSError as error:
            # A disk may fail when it is only looked at.
            self._lose(payload, output_error(error, self._path))
        else:
            self._trouble.over()

    def _write(self, payload: Payload) -> None:
        self._closing.try_again()
        if self._writer is not None and self._writer.removed:
            self._note_removed(self._writer)
        if self._writer is not None and self._rotation.is_full(self._account.written):
            self._close(self._lines_so_far())
        try:
            self._append(payload)
        except OutputError as error:
            if self._writer is None or set_goes_on(error):
                raise
            logger.warning("%s cannot go on (%s): another set is begun", self._path, error)
            self._close(self._lines_so_far())
            self._append(payload)

    def _append(self, payload: Payload) -> None:
        """Write what was lost before, as flags, and an integration; begin a set if there is none.

        One that was begun for it, and has not taken it, is not left behind.
        """
        if self._writer is not None:
            self._put_lost(self._writer)
            self._put(self._writer, payload)
            return
        began_s, part = self._rest.begin(), self._part
        try:
            self._writer = self._create(payload)
            for lost in self._lost.waiting:
                self._put(self._writer, lost, lost=True)
            self._put(self._writer, payload)
        except VisReceiveError as error:
            self._rest.failed(began_s, error)
            self._part = part
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.discard()
            raise
        self._lost.waiting.clear()

    def _put_lost(self, writer: SetWriter) -> None:
        while self._lost.waiting:
            self._put(writer, self._lost.waiting[0], lost=True)
            self._lost.waiting.popleft()

    def _put(self, writer: SetWriter, payload: Payload, *, lost: bool = False) -> None:
        writer.write(payload)
        self._account.add(payload, lost=lost)
        self._written_heaps += _heaps(payload)
        became = "flagged, since it was lost" if lost else "closed"
        logger.debug("%s: integration %d %s", self._path.name, writer.dumps_closed, became)

    def _lose(self, payload: Payload, error: VisReceiveError) -> None:
        heaps = _heaps(payload)
        self._unwritten += bool(heaps)
        self._lost_heaps += heaps
        self._lost.add(payload, self._scans)
        self._trouble.failed(error, int(bool(heaps)))

    def _note_removed(self, writer: SetWriter) -> None:
        """Give a set up that somebody has removed."""
        logger.error(
            "%s was removed while it was written, and its %d integrations are lost",
            self._path,
            writer.dumps_closed,
        )
        self._unwritten += self._account.with_data
        self._lost_heaps += self._account.heaps
        self._written_heaps -= self._account.heaps
        self._lost.add_without_rows(writer.dumps_closed, self._scans)
        writer.leave()
        self._writer = None

    def _create(self, payload: Payload) -> SetWriter:
        try:
            self._lock.renew()
            self._path = self._next_path()
            free = format_bytes(free_bytes(self._path))
        except OSError as error:
            # Looking at a disk that fails.
            raise output_error(error, self._path) from error
        self._account = SetAccount(len(payload.parts))
        start = payload.channel_id
        logger.info("Writing %s (%s free)", self._path, free)
        with self._source.template() as template:
            return SetWriter.create(
                self._path,
                template,
                self._model,
                overwrite=self._config.reception.overwrite,
                history=[
                    f"vis-receive {__version__} emu-recv",
                    f"configuration {self._config.to_json(masked=True)}",
                ],
                channels=(start, payload.channel_count),
                scan_number=payload.scan_id,
                fd_zero=self._config.reception.fd_zero,
                direct=self._config.consumer.direct_io,
                expected_dumps=self._rotation.expected_dumps(self._part),
                name_held=True,
            )

    def _next_path(self) -> Path:
        """Return where the next part goes: what has come to lie there meanwhile stays."""
        while True:
            self._part += 1
            path = output_path(self._config, self._scans, self._part)
            check_folder(path)
            try:
                check_output(self._rotation, path)
            except VisReceiveError as error:
                logger.warning("%s; the next part is tried", error)
            else:
                return path

    async def scan_ended(self, ledger: ScanLedger) -> None:
        """Close the scan's set, with its ledger in HISTORY."""
        self._give_up_lost()
        self._close([*self._own_lines(), *ledger.lines(), *self._not_written_lines(ledger)])
        self._in_scan = False
        self._scan_so_far = None

    async def close(self) -> None:
        """Close the set that is still open.

        Raises
        ------
        OutputError
            If a set cannot be closed, the disk still takes nothing, or no set tells what it did
            not take.
        """
        try:
            self._give_up_lost()
            self._close(self._lines_so_far())
            wrong = self._closing.end()
        finally:
            self._remove_leftovers()
            self._lock.release()
        if self._trouble.error is not None:
            wrong.insert(0, str(self._trouble.error))
        if wrong := [*wrong, *self._lost.take_line()]:
            raise OutputError("; ".join(wrong))

    def _give_up_lost(self) -> None:
        """Write what was lost as flags, if there is a set that takes it: no data follow."""
        try:
            if self._writer is not None and not self._writer.removed:
                self._put_lost(self._writer)
        except VisReceiveError as error:
            logger.debug("%s takes no flags either: %s", self._path, error)
        self._lost.give_up(self._scans)

    def _own_lines(self) -> list[str]:
        """Return what the set holds itself."""
        if self._writer is None:
            return []
        name = f"part {self._part} of scan {self._scans}"
        is_part = self._rotation.dumps_per_set is not None or self._part > 1
        lines = self._account.lines(name) if is_part else []
        return [*lines, *self._account.lost_lines(name if is_part else f"scan {self._scans}")]

    def _not_written_lines(self, ledger: ScanLedger) -> list[str]:
        """Return what the receiver has of a scan and its sets have not."""
        flagged = int(ledger.received.sum()) - self._written_heaps - self._lost_heaps
        never_given = ledger.dumps - self._given
        lines = []
        if flagged and not never_given:
            said = "of the heaps received found no room, since the disk was slower than the sender"
            lines = [f"scan {self._scans}: {flagged} {said}: their integrations are flagged"]
        if never_given > 0:
            said = "are in no set: they still waited when the receiver was told to stop"
            lines = [f"scan {self._scans}: {never_given} integrations {said}"]
        return lines

    def _lines_so_far(self) -> list[str]:
        so_far = self._scan_so_far.refusals() if self._scan_so_far is not None else []
        return [*self._own_lines(), *(f"scan {self._scans} so far: {text}" for text in so_far)]

    def _close(self, history: list[str]) -> None:
        if self._writer is not None and self._writer.removed:
            self._note_removed(self._writer)
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        lines = [*history, *self._lost.take_line()]
        self._closing.close(ClosedSet(self._path, writer, lines, self._account.with_data))

    def _announce(self, closed: ClosedSet) -> None:
        logger.info("Closed %s: %d integrations", closed.path, closed.writer.dumps_closed)
        self.on_closed(closed.path)


def _heaps(payload: Payload) -> int:
    return sum(part.present for part in payload.parts)


def _ignore(path: Path) -> None:
    del path
