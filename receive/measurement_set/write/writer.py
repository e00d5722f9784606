"""Write a Measurement Set, integration by integration, so that a kill loses none that was closed.

casacore makes the empty set and the last lines of HISTORY; everything in between is written
straight into the tiles (`convert`, `tiles`), and the number of rows into the headers (`headers`,
`growing`).
"""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import OutputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.read.table_name import WORK
from receive.measurement_set.tiled.tiles import pack_bits
from receive.measurement_set.write.convert import Channels, FdZero, RowValues, SpectraWriter
from receive.measurement_set.write.empty_set import build_skeleton
from receive.measurement_set.write.growing import (
    GrowingFiles,
    drop_ballast,
    output_error,
    remove_work,
)
from receive.measurement_set.write.history import swap_in_lines
from receive.measurement_set.write.placing import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from receive.icd.payload import Payload
    from receive.measurement_set.write.file_layout import SetLayout
    from receive.model import Integration, TelescopeModel

log = logging.getLogger(__name__)


class SetWriter:
    """A Measurement Set that is being written.  Made by `create`; for one thread at a time.

    Attributes
    ----------
    path : Path
        The set.
    dumps_closed : int
        Integrations that are in the set and stay there whatever happens to this process.
    """

    def __init__(
        self,
        path: Path,
        files: GrowingFiles,
        model: TelescopeModel,
        fd_zero: FdZero,
        removal: threading.Thread,
    ) -> None:
        self.path = path
        self.dumps_closed = 0
        self._files = files
        self._removal = removal
        self._model = model
        self._fd_zero = fd_zero
        self._fd_filled = False
        self._fd_warned = False
        self._closed = False
        self._torn = False
        self._told = False
        self._spectra = SpectraWriter(files.layout, model, files.write)
        self._flag_row_lead = np.zeros(0, np.bool_)
        self._row = np.empty(model.num_baselines, np.float64)

    @classmethod
    def create(
        cls,
        path: Path,
        template: Path,
        model: TelescopeModel,
        *,
        overwrite: bool = False,
        history: Sequence[str] = (),
        channels: tuple[int, int] | None = None,
        scan_number: int = 1,
        fd_zero: FdZero = "auto",
        expected_dumps: int | None = None,
        weight_spectrum: bool = True,
        direct: bool = True,
        name_held: bool = False,
    ) -> SetWriter:
        """Create a set without rows, complete from the moment it has its name.

        Parameters
        ----------
        path : Path
            The new set.
        template : Path
            Measurement Set whose subtables are copied.
        model : TelescopeModel
            Baselines, channels and polarisations of the rows; times and UVW.
        overwrite : bool
            Replace a Measurement Set that is there; anything else is never replaced.
        history : sequence of str
            First lines of HISTORY.
        channels : (int, int) or None
            First channel and number of channels of the template that the model stands for; None:
            all.
        scan_number : int
            SCAN_NUMBER of all rows.
        fd_zero : {"auto", "flag", "ignore"}
            What FD = 0 means: see `reception.fd_zero`.
        expected_dumps : int or None
            How many integrations will come, if that is known: tiles and files are not made
            larger than that in advance.  More may come.
        weight_spectrum : bool
            Write WEIGHT_SPECTRUM.
        direct : bool
            Write large pieces past the kernel's cache, where that is fast.
        name_held : bool
            Whether the caller holds the lock of the set's name.

        Raises
        ------
        OutputError
            If the set exists or cannot be written there.
        InputError
            If the template cannot serve as one.
        """
        try:
            place = Place(path, overwrite=overwrite, name_held=name_held)
        except OSError as error:
            raise output_error(error, path) from error
        files = None
        try:
            layout: SetLayout = casacore_thread.run(
                build_skeleton,
                place.temporary,
                template,
                model,
                channels=channels,
                scan_number=scan_number,
                history=history,
                weight_spectrum=weight_spectrum,
                expected_dumps=expected_dumps,
            )
            files = GrowingFiles(place.temporary, layout, expected_dumps, direct=direct)
            place.put_in_place()
        except OSError as error:
            raise output_error(error, path) from error
        except RuntimeError as error:
            # casacore tells a full or read-only disk by the text of its exceptions only.
            reason = " ".join(str(error).split())
            raise OutputError(f"{path} cannot be created: {reason}") from error
        finally:
            if not place.placed:
                if files is not None:
                    files.close()
                place.clean_up()
        # Meanwhile integrations come.
        removal = threading.Thread(target=place.remove_replaced, name="remove-replaced")
        removal.start()
        return cls(place.path, files, model, fd_zero, removal)

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        finally:
            self.leave()

    def write(self, payload: Payload) -> None:
        """Append an integration as it was received.

        Parameters
        ----------
        payload : Payload
            Its parts are read in place.  What never came is flagged.

        Raises
        ------
        OutputError
            If it cannot be written; it then does not count, and the next one takes its place.
        """
        model = self._model
        given = (payload.channel_count, payload.baseline_count)
        if given != (model.num_channels, model.num_baselines):
            # The kernels read by address, and would read beyond the records.
            raise ValueError(
                f"payload of {given[0]} channels and {given[1]} baselines, "
                f"{model.num_channels} and {model.num_baselines} were expected"
            )
        time_mjd_s, index = payload.mjd_time, payload.model_index
        channels = Channels(payload.parts, model.num_channels)
        self._judge_fd(channels)
        uvw = model.compute_uvw(time_mjd_s) if index is None else model.uvw(index)
        known = model.nearest(time_mjd_s) if index is None else index
        times = (time_mjd_s, float(model.intervals_s[known]), float(model.exposures_s[known]))
        self._append(lambda dump: self._spectra.write_records(dump, channels, *times), times, uvw)

    def write_integration(self, integration: Integration) -> None:
        """Append an integration given as arrays, written as they are: a row for each baseline.

        Raises
        ------
        OutputError
            If it cannot be written; it then does not count, and the next one takes its place.
        """
        model = self._model
        shape = (model.num_baselines, model.num_channels, model.num_pols)
        for name in ("data", "flag", "weight_spectrum"):
            values = getattr(integration, name)
            if values is not None and np.shape(values) != shape:
                raise ValueError(f"{name} has shape {np.shape(values)}, {shape} was expected")
        times = (integration.time_mjd_s, integration.interval_s, integration.exposure_s)
        write = self._spectra.write_integration
        self._append(lambda dump: write(dump, integration), times, integration.uvw)

    def close(self, history: Sequence[str] = (), *, leave: bool = True) -> None:
        """Close the set: exactly the integrations that were written, and HISTORY.

        Parameters
        ----------
        history : sequence of str
            Last lines of HISTORY.
        leave : bool
            Whether to let go of the files too; else `sync` may follow, and then `leave`.

        Raises
        ------
        OutputError
            If it cannot be closed.  It may be tried again; if it is left, ms-recover ends it.
        """
        if self._closed:
            return
        self._spectra.close()
        self._removal.join()
        try:
            # In this order: a set that is not there any more may not be taken for what is.
            found = self._files.whereabouts(self.path)
            if self._torn:
                self._commit(self.dumps_closed)
            self._files.trim(self.dumps_closed)
            drop_ballast(found)
            if not self._told:
                self._add_history(found, history)
                self._told = True
            # While the lock is held nobody takes what is left for a crashed writer's.
            remove_work(found)
        except OSError as error:
            raise output_error(error, self.path) from error
        if found != self.path:
            log.warning("%s was moved while it was written, and is now %s", self.path, found)
            self.path = found
        self._closed = True
        if leave:
            self.leave()

    def sync(self) -> None:
        """Wait until the disk has the set, which is closed.

        Raises
        ------
        OutputError
            If it could not keep all that it had taken.  That is said once.
        """
        try:
            self._files.sync()
        except OSError as error:
            raise output_error(error, self.path) from error

    def leave(self) -> None:
        """Let go of the set as it is; ms-recover closes it."""
        self._closed = True
        self._spectra.close()
        self._files.close()

    def discard(self) -> None:
        """Remove the set, in which there is nothing to keep."""
        self._removal.join()
        with suppress(OSError):
            shutil.rmtree(self._files.whereabouts(self.path))
        self.leave()

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the set: what is written would be nowhere."""
        return self._files.removed

    def _add_history(self, found: Path, lines: Sequence[str]) -> None:
        try:
            casacore_thread.run(swap_in_lines, found, found / WORK, lines)
        except (OSError, RuntimeError) as error:
            # The observation matters more than its log: the set is closed without these lines.
            log.warning("HISTORY of %s lacks its last lines (%s)", found, error)

    def _take_back(self) -> None:
        """Give back what a write that failed has taken of the disk."""
        with suppress(OSError):
            self._files.cut(self.dumps_closed)
            self._spectra.taken_back()

    def _commit(self, dumps: int) -> None:
        # Of a commit that fails some headers may be written.
        self._torn = True
        self._files.commit(dumps)
        self._torn = False

    def _append(
        self,
        write_spectra: Callable[[int], RowValues],
        times: tuple[float, float, float],
        uvw: NDArray[np.float64],
    ) -> None:
        """Append an integration: its spectra, its other columns, and at last the number of rows.

        Parameters
        ----------
        write_spectra : callable
            ``write_spectra(dump)`` writes the columns with a channel axis.
        times : tuple of float
            TIME, INTERVAL and EXPOSURE.
        uvw : ndarray of float64, (baselines, 3)
            Metres.
        """
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        dump = self.dumps_closed
        try:
            self._files.make_room(dump)
        except OSError as error:
            raise output_error(error, self.path) from error
        try:
            rows = write_spectra(dump)
            self._put("UVW", dump, uvw)
            for name, value in zip(("TIME", "INTERVAL", "EXPOSURE"), times, strict=True):
                self._row.fill(value)
                self._put(name, dump, self._row)
            self._put("TIME_CENTROID", dump, rows.centroid_mjd_s)
            self._put("ANTENNA1", dump, self._model.antenna1)
            self._put("ANTENNA2", dump, self._model.antenna2)
            self._put("WEIGHT", dump, rows.weight)
            self._put("SIGMA", dump, rows.sigma)
            packed = pack_bits(rows.flag_row, self._flag_row_lead)
            self._files.write("FLAG_ROW", self._flag_row_bit(dump) // 8, packed)
            self._count(rows)
        except OSError as error:
            self._take_back()
            raise output_error(error, self.path) from error

    def _count(self, rows: RowValues) -> None:
        """Make the integration part of the set."""
        self._commit(self.dumps_closed + 1)
        self.dumps_closed += 1
        self._spectra.dump_written()
        lead_bits = self._flag_row_bit(self.dumps_closed) % 8
        joined = np.concatenate([self._flag_row_lead, rows.flag_row])
        self._flag_row_lead = joined[joined.size - lead_bits :].copy()

    def _flag_row_bit(self, dump: int) -> int:
        column = self._files.layout.column("FLAG_ROW")
        assert column is not None  # noqa: S101 - always planned
        return column.tiling.dump_bit(dump)

    def _judge_fd(self, channels: Channels) -> None:
        """Decide what an FD of 0 means.

        A sender that fills FD in somewhere fills it in everywhere: after the first FD that is not
        0, zeros are flags.  (Else a heap whose records are all flagged would lose its flags.)
        """
        if self._fd_zero == "ignore":
            channels.disbelieve_all()
        if self._fd_zero != "auto" or self._fd_filled:
            return
        filled = channels.fd_is_filled()
        if filled:
            self._fd_filled = True
        elif filled is False:
            channels.disbelieve()
            if not self._fd_warned:
                self._fd_warned = True
                log.warning(
                    "the sender leaves FD at 0 in heaps that hold data: they are taken as fully "
                    "correlated (reception.fd_zero=flag flags them)"
                )

    def _put(self, name: str, dump: int, values: NDArray[Any]) -> None:
        column = self._files.layout.column(name)
        assert column is not None  # noqa: S101 - always planned
        expected = self._model.num_baselines * int(np.prod(column.tiling.cell))
        stored = np.ascontiguousarray(values, column.dtype)
        if stored.size != expected:
            raise ValueError(f"{name} has {stored.size} values, {expected} were expected")
        self._files.write(name, column.tiling.dump_bit(dump) // 8, stored)
