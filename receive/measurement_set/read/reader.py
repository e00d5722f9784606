"""Read a Measurement Set: the telescope model by one scan of its columns, and its integrations.

Nothing is assumed of the rows: a set may hold several spectral windows and fields, lack rows,
columns or cells, and change its baselines from one time to the next.  One data description and one
field are read (see `receive.measurement_set.read.choice`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from receive.command.errors import ConfigError, InputError
from receive.measurement_set import casacore_thread
from receive.measurement_set.read.choice import Choice, choose
from receive.measurement_set.read.measures import uvw_is_usable
from receive.measurement_set.read.opening import UNUSUAL, open_main_table, unusual
from receive.measurement_set.read.row_cells import IntegrationRows, read_column
from receive.measurement_set.read.row_scan import RowScan
from receive.measurement_set.read.spectra_cells import SpectraCells
from receive.model import Integration, TelescopeModel

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from receive.measurement_set.read.subtables import Description

logger = logging.getLogger(__name__)

_ANY = Choice()


def open_set(
    path: Path | str, *, visibilities: bool = True, choice: Choice = _ANY, column: str = "DATA"
) -> SetReader:
    """Open a Measurement Set for reading and scan its rows.

    Parameters
    ----------
    path : Path or str
        The set's folder.  No permission to write is needed.
    visibilities : bool
        Whether they will be read; a model needs none.
    choice : Choice
        Which spectral window and field; the first that will do, unless it says so.
    column : str
        Which visibilities are read.

    Raises
    ------
    InputError
        If it is missing, not a Measurement Set, truncated, locked by another process, empty, or
        holds what heaps cannot carry (Stokes parameters, say).
    ConfigError
        If it does not have what was chosen.
    """
    try:
        return casacore_thread.run(
            SetReader, Path(path), visibilities=visibilities, choice=choice, column=column
        )
    except UNUSUAL as error:
        raise unusual(Path(path), error) from error


class SetReader:
    """An open Measurement Set.  Use `open_set`, whose parameters these are; a context manager.

    Its methods may be called from any thread; casacore itself runs on its own.
    """

    def __init__(self, path: Path, *, visibilities: bool, choice: Choice, column: str) -> None:
        self.path = path
        self._table = open_main_table(path, visibilities=column if visibilities else None)
        try:
            self._columns = frozenset(self._table.colnames())
            self._column = column
            self._cells = SpectraCells()
            scan = RowScan(path, self._table)
            self.description: Description = choose(
                path,
                self._table,
                scan.pairs(),
                choice,
                self._look_at_cells if visibilities else _look_at_nothing,
            )
            pair = (self.description.data_desc_id, self.description.field_id)
            self._row_map = scan.row_map(pair)
            self._uvw = scan.conversion("UVW")
            self._uvw_is_usable = uvw_is_usable(self._table.getcolkeywords("UVW"))
            if not self._uvw_is_usable:
                logger.warning("%s: UVW is in a frame of its own: it is computed instead", path)
            self._centroid = (
                scan.conversion("TIME_CENTROID") if "TIME_CENTROID" in self._columns else None
            )
            self._told_of_centroids = False
            self._model = self._make_model()
        except InputError as error:
            self._table.close()
            # The model does not know where what it is made of came from.
            named = str(path) in str(error)
            raise error if named else InputError(f"{path}: {error}") from None
        except BaseException:
            self._table.close()
            raise

    @property
    def has_weight_spectrum(self) -> bool:
        """Whether the set has weights of each channel."""
        return "WEIGHT_SPECTRUM" in self._cells.missing

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
        rows = IntegrationRows.of(self._row_map, index)
        casacore_thread.run(self._read_uvw, uvw, rows)
        return uvw

    def _look_at_cells(self, description: Description) -> None:
        self._cells = SpectraCells.look(self.path, self._table, description, self._column)

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
        rows = IntegrationRows.of(self._row_map, index)
        if into is None:
            baselines = self._row_map.num_baselines
            shape = (baselines, num_chan, self._model.num_pols)
            into = Integration(
                data=np.empty(shape, np.complex64),
                flag=np.empty(shape, np.bool_),
                weight_spectrum=np.empty(shape, np.float32) if self.has_weight_spectrum else None,
                time_centroid=np.empty(baselines, np.float64),
                uvw=np.empty((baselines, 3), np.float64),
                present=np.empty(baselines, np.bool_),
                time_mjd_s=0.0,
                interval_s=0.0,
                exposure_s=0.0,
            )
        channels = slice(start_chan, start_chan + num_chan)
        time_mjd_s = float(self._row_map.times_mjd_s[index])
        exposure_s = float(self._row_map.exposures_s[index])
        self._read_spectra(self._column, into.data, rows, channels, absent=0, missing=0)
        self._read_flags(into.flag, rows, channels)
        if into.weight_spectrum is not None:
            full = np.abs(self.description.channel_width_hz[channels, np.newaxis]) * exposure_s
            self._read_spectra(
                "WEIGHT_SPECTRUM", into.weight_spectrum, rows, channels, absent=0, missing=full
            )
        self._read_centroids(into.time_centroid, rows, time_mjd_s)
        self._read_uvw(into.uvw, rows)
        into.present[:] = rows.present
        return replace(
            into,
            time_mjd_s=time_mjd_s,
            interval_s=float(self._row_map.intervals_s[index]),
            exposure_s=exposure_s,
        )

    def _read_spectra(
        self,
        name: str,
        out: NDArray[Any],
        rows: IntegrationRows,
        channels: slice,
        *,
        absent: float,
        missing: float | NDArray[np.float64],
    ) -> IntegrationRows:
        """Read spectra: `absent` where there is no row, `missing` where its cell is.

        Return the rows that have a cell.
        """
        there = rows.without(self._cells.missing[name])
        read_column(self.path, self._table, name, out, there, absent, channels)
        if there is not rows:
            out[rows.present & ~there.present] = missing
        return there

    def _read_flags(self, flag: NDArray[np.bool_], rows: IntegrationRows, channels: slice) -> None:
        if "FLAG" in self._columns:
            self._read_spectra("FLAG", flag, rows, channels, absent=True, missing=False)
        else:
            flag[:] = ~rows.present[:, None, None]
        if "FLAG_ROW" in self._columns:
            flag_row = np.empty(len(flag), np.bool_)
            read_column(self.path, self._table, "FLAG_ROW", flag_row, rows, fill=True)
            flag[flag_row] = True
        with_data = rows.without(self._cells.missing[self._column])
        if with_data is not rows:
            flag[~with_data.present] = True

    def _read_centroids(
        self, centroid: NDArray[np.float64], rows: IntegrationRows, time_mjd_s: float
    ) -> None:
        if self._centroid is None:
            centroid.fill(time_mjd_s)
            return
        read_column(self.path, self._table, "TIME_CENTROID", centroid, rows, 0.0)
        unset = centroid == 0
        if not self._told_of_centroids and (unset & rows.present).any():
            self._told_of_centroids = True
            logger.warning("%s: TIME_CENTROID of some rows is 0: TIME is taken for it", self.path)
        if not self._centroid.is_identity:
            centroid[~unset] = self._centroid(centroid[~unset])
        centroid[unset] = time_mjd_s

    def _read_uvw(self, uvw: NDArray[np.float64], rows: IntegrationRows) -> None:
        if not self._uvw_is_usable:
            uvw.fill(np.nan)
            return
        read_column(self.path, self._table, "UVW", uvw, rows, np.nan)
        if not self._uvw.is_identity:
            uvw[:] = self._uvw(uvw)


def _look_at_nothing(_description: Description) -> None:
    """Take a model as it is: no visibilities of it are read."""
