"""Read a Measurement Set: the telescope model by one scan of its columns, and its integrations.

Nothing is assumed of the rows: a set may hold several spectral windows and fields, lack rows or
columns, and change its baselines from one time to the next.  One data description and one field
are read, the first that have rows; a warning names what is not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from receive.errors import ConfigError, InputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.opening import UNUSUAL, damaged, open_main_table, unusual
from receive.measurement_set.subtables import Description, read_description
from receive.model import TelescopeModel
from receive.model.rows import RowMap, RowMapBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# 256 Ki rows of the nine columns scanned are 14 MiB, whatever the size of the set.
_SCAN_ROWS = 1 << 18


@dataclass(frozen=True, eq=False)
class Integration:
    """What a set holds of one integration, baselines in the model's order.

    Attributes
    ----------
    data : ndarray of complex64, (baselines, channels, polarisations)
        0 where there is no row.
    flag : ndarray of bool, same shape
        FLAG, true in every cell of a row with FLAG_ROW and where there is no row.
    weight_spectrum : ndarray of float32, same shape, or None
        None where the set has none; 0 where there is no row.
    time_centroid : ndarray of float64, (baselines,)
        MJD seconds, UTC; TIME where the set has none or there is no row.
    uvw : ndarray of float64, (baselines, 3)
        Metres; NaN where there is no row.
    present : ndarray of bool, (baselines,)
        Whether there is a row.
    time_mjd_s, interval_s, exposure_s : float
        Centre of the integration (MJD seconds, UTC), its length and exposure (seconds).
    """

    data: NDArray[np.complex64]
    flag: NDArray[np.bool_]
    weight_spectrum: NDArray[np.float32] | None
    time_centroid: NDArray[np.float64]
    uvw: NDArray[np.float64]
    present: NDArray[np.bool_]
    time_mjd_s: float
    interval_s: float
    exposure_s: float


def open_set(path: Path | str, *, visibilities: bool = True) -> SetReader:
    """Open a Measurement Set for reading and scan its rows.

    Parameters
    ----------
    path : Path or str
        The set's folder.  No permission to write is needed.
    visibilities : bool
        Whether they will be read; a model needs none.

    Raises
    ------
    InputError
        If it is missing, not a Measurement Set, truncated, locked by another process, empty, or
        holds what heaps cannot carry (Stokes parameters, say).
    """
    try:
        return casacore_thread.run(SetReader, Path(path), visibilities=visibilities)
    except UNUSUAL as error:
        raise unusual(Path(path), error) from error


class SetReader:
    """An open Measurement Set.  Use `open_set`; may be used as a context manager.

    Its methods may be called from any thread; casacore itself runs on its own.

    Parameters
    ----------
    path : Path
        The set's folder.
    visibilities : bool
        Whether they will be read.
    """

    def __init__(self, path: Path, *, visibilities: bool = True) -> None:
        self.path = path
        self._table = open_main_table(path, visibilities=visibilities)
        try:
            self._columns = frozenset(self._table.colnames())
            data_desc_id, field_id = self._choose()
            self.description: Description = read_description(path, data_desc_id, field_id)
            self._row_map = self._scan(data_desc_id, field_id)
            self._sample_row = int(self._first_rows().max())
            self.has_weight_spectrum = False
            if visibilities:
                self._check_data_shape()
                self.has_weight_spectrum = self._find_weight_spectrum()
            self._model = self._make_model()
        except InputError as error:
            self._table.close()
            # The model does not know where what it is made of came from.
            named = str(path) in str(error)
            raise error if named else InputError(f"{path}: {error}") from None
        except BaseException:
            self._table.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the set.  The model stays usable but for the UVW that it reads from here."""
        casacore_thread.run(self._table.close)

    def model(self) -> TelescopeModel:
        """Return the telescope model, with all channels of the set."""
        return self._model

    def integration(
        self, index: int, start_chan: int, num_chan: int, into: Integration | None = None
    ) -> Integration:
        """Read one integration.

        Parameters
        ----------
        index : int
            Index into the model's times.
        start_chan, num_chan : int
            Channels to read.
        into : Integration, optional
            An earlier result of this reader with the same number of channels, whose arrays are
            overwritten and returned again: large integrations then need no new memory.

        Raises
        ------
        ConfigError
            If there are no such channels.
        InputError
            If the set's files cannot be read.
        """
        channels = self._model.num_channels
        if start_chan < 0 or num_chan < 1 or start_chan + num_chan > channels:
            raise ConfigError(
                f"{num_chan} channels from number {start_chan} were asked for, but {self.path} "
                f"has {channels} (0 to {channels - 1})"
            )
        return casacore_thread.run(self._read_integration, index, start_chan, num_chan, into)

    def uvw(self, index: int) -> NDArray[np.float64]:
        """Return the UVW recorded for an integration: (baselines, 3), metres, NaN without a row."""
        uvw = np.empty((self._row_map.num_baselines, 3), np.float64)
        casacore_thread.run(self._read_column, "UVW", uvw, _Rows.of(self._row_map, index), np.nan)
        return uvw

    def _choose(self) -> tuple[int, int]:
        """Return the first data description and field that have rows; warn of the others."""
        pairs: set[tuple[int, int]] = set()
        for start, count in self._slices():
            ids = np.stack([self._ids("DATA_DESC_ID", start, count),
                            self._ids("FIELD_ID", start, count)])  # fmt: skip
            pairs.update((int(dd), int(field)) for dd, field in np.unique(ids, axis=1).T)
        chosen = min(pairs)
        others = sorted(pairs - {chosen})
        if others:
            logger.warning(
                "%s: only data description %d of field %d is taken; left out: %s",
                self.path,
                *chosen,
                _list_pairs(others),
            )
        return chosen

    def _scan(self, data_desc_id: int, field_id: int) -> RowMap:
        builder = RowMapBuilder()
        for start, count in self._slices():
            wanted = self._ids("DATA_DESC_ID", start, count) == data_desc_id
            wanted &= self._ids("FIELD_ID", start, count) == field_id
            chosen: Any = slice(None) if wanted.all() else wanted
            builder.add(
                self._floats("TIME", start, count)[chosen],
                self._ids("ANTENNA1", start, count)[chosen],
                self._ids("ANTENNA2", start, count)[chosen],
                self._floats("INTERVAL", start, count)[chosen],
                self._floats("EXPOSURE", start, count)[chosen],
                np.arange(start, start + count)[chosen],
            )
        return builder.build()

    def _slices(self) -> Iterator[tuple[int, int]]:
        rows = self._table.nrows()
        for start in range(0, rows, _SCAN_ROWS):
            yield start, min(_SCAN_ROWS, rows - start)

    def _ids(self, name: str, start: int, count: int) -> NDArray[np.int32]:
        if name not in self._columns:
            return np.zeros(count, np.int32)
        return self._get(name, start, count, np.int32)

    def _floats(self, name: str, start: int, count: int) -> NDArray[np.float64]:
        return self._get(name, start, count, np.float64)

    def _get(self, name: str, start: int, count: int, dtype: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._table.getcol(name, start, count), dtype)
        except RuntimeError as error:
            rows = f"{start} to {start + count - 1}"
            raise damaged(self.path, error, f"reading {name} of rows {rows}") from None

    def _first_rows(self) -> NDArray[np.int64]:
        """Return the rows of the first integration that are there."""
        rows = self._row_map.rows(0)
        return rows[rows >= 0]

    def _check_data_shape(self) -> None:
        expected = (len(self.description.channel_freq_hz), len(self.description.corr_types))
        shape = self._cell_shape("DATA")
        if shape != expected:
            raise InputError(
                f"{self.path}: DATA of row {self._sample_row} has the shape {shape}, but its "
                f"spectral window and polarisation say (channels, polarisations) = {expected}"
            )

    def _find_weight_spectrum(self) -> bool:
        # The column is optional, and sets that have it often leave its cells empty.
        if "WEIGHT_SPECTRUM" not in self._columns:
            return False
        shape = self._cell_shape("WEIGHT_SPECTRUM")
        if shape is not None and shape != self._cell_shape("DATA"):
            logger.warning(
                "%s: WEIGHT_SPECTRUM has the shape %s, not that of DATA: it is not used",
                self.path,
                shape,
            )
        return shape == self._cell_shape("DATA")

    def _cell_shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of the sample row's cell, None where it is empty."""
        try:
            if not self._table.iscelldefined(name, self._sample_row):
                return None
            return tuple(np.shape(self._table.getcell(name, self._sample_row)))
        except RuntimeError as error:
            doing = f"reading {name} of row {self._sample_row}"
            raise damaged(self.path, error, doing) from None

    def _make_model(self) -> TelescopeModel:
        description, row_map = self.description, self._row_map
        return TelescopeModel(
            antennas=description.antennas,
            antenna1=row_map.antenna1,
            antenna2=row_map.antenna2,
            channel_freq_hz=description.channel_freq_hz,
            channel_width_hz=description.channel_width_hz,
            corr_types=description.corr_types,
            phase_centre_radec_rad=description.phase_centre_radec_rad,
            times_mjd_s=row_map.times_mjd_s,
            intervals_s=row_map.intervals_s,
            exposures_s=row_map.exposures_s,
            data_desc_id=description.data_desc_id,
            field_id=description.field_id,
            read_uvw=self.uvw,
        )

    def _read_integration(
        self, index: int, start_chan: int, num_chan: int, into: Integration | None
    ) -> Integration:
        rows = _Rows.of(self._row_map, index)
        baselines = self._row_map.num_baselines
        shape = (baselines, num_chan, self._model.num_pols)
        if into is None:
            weights = np.empty(shape, np.float32) if self.has_weight_spectrum else None
            into = Integration(
                data=np.empty(shape, np.complex64),
                flag=np.empty(shape, np.bool_),
                weight_spectrum=weights,
                time_centroid=np.empty(baselines, np.float64),
                uvw=np.empty((baselines, 3), np.float64),
                present=np.empty(baselines, np.bool_),
                time_mjd_s=0.0,
                interval_s=0.0,
                exposure_s=0.0,
            )
        channels = slice(start_chan, start_chan + num_chan)
        time_mjd_s = float(self._row_map.times_mjd_s[index])
        self._read_column("DATA", into.data, rows, 0, channels)
        self._read_flags(into.flag, rows, channels)
        if into.weight_spectrum is not None:
            self._read_column("WEIGHT_SPECTRUM", into.weight_spectrum, rows, 0, channels)
        if "TIME_CENTROID" in self._columns:
            self._read_column("TIME_CENTROID", into.time_centroid, rows, time_mjd_s)
        else:
            into.time_centroid.fill(time_mjd_s)
        self._read_column("UVW", into.uvw, rows, np.nan)
        into.present[:] = rows.present
        return Integration(
            data=into.data,
            flag=into.flag,
            weight_spectrum=into.weight_spectrum,
            time_centroid=into.time_centroid,
            uvw=into.uvw,
            present=into.present,
            time_mjd_s=time_mjd_s,
            interval_s=float(self._row_map.intervals_s[index]),
            exposure_s=float(self._row_map.exposures_s[index]),
        )

    def _read_flags(self, flag: NDArray[np.bool_], rows: _Rows, channels: slice) -> None:
        if "FLAG" in self._columns:
            self._read_column("FLAG", flag, rows, fill=True, channels=channels)
        else:
            flag[:] = ~rows.present[:, None, None]
        if "FLAG_ROW" in self._columns:
            flag_row = np.empty(len(flag), np.bool_)
            self._read_column("FLAG_ROW", flag_row, rows, fill=True)
            flag[flag_row] = True

    def _read_column(
        self,
        name: str,
        out: NDArray[Any],
        rows: _Rows,
        fill: float,
        channels: slice | None = None,
    ) -> None:
        """Read a column of some rows into an array of all baselines, `fill` where there is none."""
        try:
            if rows.first is not None:
                _copy_cells(self._table, name, out, rows.first, channels)
                return
            cells = np.empty((len(rows.numbers), *out.shape[1:]), out.dtype)
            if rows.consecutive:
                _copy_cells(self._table, name, cells, int(rows.numbers[0]), channels)
            else:
                _copy_cells(self._table.selectrows(rows.numbers), name, cells, 0, channels)
            out[rows.slots] = cells
            out[~rows.present] = fill
        except RuntimeError as error:
            numbers = rows.numbers
            doing = f"reading {name} of rows {numbers.min()} to {numbers.max()}"
            raise damaged(self.path, error, doing) from None


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one integration, ascending, and the baselines that they are of.

    `first` is set where they are simply all baselines in order, one row after the other.
    """

    first: int | None
    numbers: NDArray[np.int64]
    slots: NDArray[np.intp]
    present: NDArray[np.bool_]

    @property
    def consecutive(self) -> bool:
        """Whether the rows follow each other; casacore then need not look for each of them."""
        return bool(self.numbers[-1] - self.numbers[0] == len(self.numbers) - 1)

    @classmethod
    def of(cls, row_map: RowMap, index: int) -> _Rows:
        rows = row_map.rows(index)
        present = rows >= 0
        slots = np.flatnonzero(present)
        slots = slots[np.argsort(rows[slots], kind="stable")]
        return cls(row_map.first_row(index), rows[slots], slots, present)


def _copy_cells(
    table: Any, name: str, out: NDArray[Any], first: int, channels: slice | None
) -> None:
    """Read ``len(out)`` rows from number `first`, their channels where there are any, into `out`.

    casacore fills the array in place where it has the column's type; other types (DATA in double
    precision, say) are converted.
    """
    count = len(out)
    if _NUMPY_TYPES.get(table.coldatatype(name)) != out.dtype:
        cells = table.getcol(name, first, count)
        out[...] = cells if channels is None else cells[:, channels]
    elif channels is None:
        table.getcolnp(name, out, first, count)
    else:
        last = [channels.stop - 1, out.shape[-1] - 1]
        table.getcolslicenp(name, out, [channels.start, 0], last, [], first, count)


_NUMPY_TYPES = {
    "boolean": np.dtype(np.bool_),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "complex": np.dtype(np.complex64),
}
"""casacore's names of the types that the reader's arrays have."""


def _list_pairs(pairs: list[tuple[int, int]]) -> str:
    shown = [f"data description {dd} of field {field}" for dd, field in pairs[:3]]
    if len(pairs) > len(shown):
        shown.append(f"{len(pairs) - len(shown)} more")
    return ", ".join(shown)
