"""Gathers from a Measurement Set what its picture shows, in bounded time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import ConfigError
from receive.measurement_set import casacore_thread
from receive.measurement_set.plot.sample import Sample, choose
from receive.measurement_set.read.columns import SLICE_BYTES
from receive.measurement_set.read.opening import damaged, open_main_table, open_subtable
from receive.measurement_set.read.texts import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: Baselines whose averages over time are drawn against channel.
MAX_SPECTRA = 200

#: CORR_TYPE numbers of the Measurement Set's definition, and their names.
_CORRELATIONS = {
    **dict(zip(range(1, 5), "IQUV", strict=True)),
    **dict(zip(range(5, 9), ("RR", "RL", "LR", "LL"), strict=True)),
    **dict(zip(range(9, 13), ("XX", "XY", "YX", "YY"), strict=True)),
}


@dataclass(frozen=True)
class Facts:
    """What the title says.

    Attributes
    ----------
    telescope, field : str
        Their names; of several fields the first, and how many more.
    times, antennas, baselines, rows, channels : int
        How many the set has (of one data description).
    start_mjd_s, end_mjd_s : float
        First and last TIME.
    flagged : float
        Fraction of what was read that is flagged, 0 to 1.
    notes : tuple of str
        What the picture leaves out.
    """

    telescope: str
    field: str
    times: int
    antennas: int
    baselines: int
    rows: int
    channels: int
    start_mjd_s: float
    end_mjd_s: float
    flagged: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlotData:
    """What the panels show; averages are over what is not flagged, NaN where all is.

    Attributes
    ----------
    facts : Facts
        For the title.
    column, unit : str
        The data column, and its unit if it has one.
    correlations : tuple of str
        Names, such as ``XX``.
    autocorrelations : bool
        Whether averages are of autocorrelations: only where there is nothing else.
    time_mjd_s : ndarray
        ``(rows,)``: of each row that was read.
    row_amplitude, row_visibility : ndarray
        ``(rows, pols)``: mean over channels of the amplitude, and of the visibility (complex).
    channels : ndarray
        ``(channels,)``: their numbers.
    frequency_hz : ndarray
        ``(channels,)``.
    spectrum_amplitude, spectrum_visibility : ndarray
        ``(baselines, channels, pols)``: means over time, of some baselines.
    uv_m : ndarray
        ``(rows, 2)``.
    row_flagged : ndarray of bool
        ``(rows,)``: all of the row is flagged.
    flag_times_mjd_s, flag_fraction : ndarray
        ``(times,)`` and ``(times, channels)``: over baselines and polarisations, 0 to 1.
    """

    facts: Facts
    column: str
    unit: str
    correlations: tuple[str, ...]
    autocorrelations: bool
    time_mjd_s: NDArray[np.float64]
    row_amplitude: NDArray[np.float64]
    row_visibility: NDArray[np.complex128]
    channels: NDArray[np.int64]
    frequency_hz: NDArray[np.float64]
    spectrum_amplitude: NDArray[np.float64]
    spectrum_visibility: NDArray[np.complex128]
    uv_m: NDArray[np.float64]
    row_flagged: NDArray[np.bool_]
    flag_times_mjd_s: NDArray[np.float64]
    flag_fraction: NDArray[np.float64]


def gather(path: Path, column: str = "DATA") -> PlotData:
    """Read what the picture of a set shows.

    Parameters
    ----------
    path : Path
        A Measurement Set.
    column : str
        The data column.

    Returns
    -------
    PlotData
        Bounded in size, whatever the size of the set.

    Raises
    ------
    InputError
        The set is missing or cannot be read.
    ConfigError
        It has no such column.
    """
    return casacore_thread.run(_gather, path, column)


def _gather(path: Path, column: str) -> PlotData:
    table = open_main_table(path, visibilities=None)
    try:
        _check_column(path, table, column)
        return _read(path, table, column)
    except (RuntimeError, ValueError) as error:
        raise damaged(path, error, "reading what to draw") from error
    finally:
        table.close()


def _check_column(path: Path, table: Any, column: str) -> None:
    spectra = [
        name
        for name in table.colnames()
        if table.getcoldesc(name)["valueType"] == "complex" and table.iscelldefined(name, 0)
    ]
    if column not in spectra:
        raise ConfigError(f"{path} has no data column {column}: it has {', '.join(spectra)}")


def _read(path: Path, table: Any, column: str) -> PlotData:
    description = int(table.getcell("DATA_DESC_ID", 0))
    rows, notes = _one_description(path, table, description)
    channel_count, pols = np.shape(rows.getcell(column, 0))
    sample = choose(rows, channel_count, pols)
    view = sample.table
    channels = np.arange(0, channel_count, sample.channel_step)
    pairs = np.stack([view.getcol("ANTENNA1"), view.getcol("ANTENNA2")], axis=1)
    cross = pairs[:, 0] != pairs[:, 1]
    autocorrelations = not cross.any()
    if cross.any() and not cross.all():
        notes.append("autocorrelations left out of amplitudes and phases")
    sums = _Sums.for_rows(view.getcol("TIME"), pairs, cross | autocorrelations, channels, pols)
    not_finite = 0
    for piece, data, flag in _slices(sample, column, channel_count, pols):
        finite = np.isfinite(data)
        not_finite += int(np.count_nonzero(~finite & ~flag))
        sums.add(piece, data, flag, finite)
    if not_finite:
        notes.append(f"{not_finite} unflagged values are not finite")
    window, correlations = _description(path, description)
    observation = open_subtable(path, "OBSERVATION") if (path / "OBSERVATION").exists() else None
    telescope = observation.getcell("TELESCOPE_NAME", 0) if observation and len(observation) else ""
    facts = Facts(
        telescope=telescope or "unknown telescope",
        field=_fields(path, view),
        times=sample.times,
        antennas=open_subtable(path, "ANTENNA").nrows(),
        baselines=sample.baselines,
        rows=sample.rows,
        channels=channel_count,
        start_mjd_s=sample.start_mjd_s,
        end_mjd_s=sample.end_mjd_s,
        flagged=sums.flagged / max(sums.values, 1),
        notes=tuple([f"shown: {sample.note}"] if sample.note else []) + tuple(notes),
    )
    return PlotData(
        facts=facts,
        column=column,
        unit=_unit(table.getcolkeywords(column)),
        correlations=tuple(_CORRELATIONS.get(int(c), f"type {c}") for c in correlations),
        autocorrelations=autocorrelations,
        time_mjd_s=sums.time_mjd_s,
        row_amplitude=sums.row_amplitude,
        row_visibility=sums.row_visibility,
        channels=channels,
        frequency_hz=np.asarray(window)[channels],
        spectrum_amplitude=_mean(sums.amplitude, sums.count),
        spectrum_visibility=_mean(sums.visibility, sums.count),
        uv_m=np.asarray(view.getcol("UVW"))[:, :2],
        row_flagged=sums.row_flagged,
        flag_times_mjd_s=sums.times_mjd_s,
        flag_fraction=_mean(sums.flags, sums.flag_count[:, np.newaxis]),
    )


class _Sums:
    """What is added up while slices of rows go by."""

    def __init__(
        self,
        time_mjd_s: NDArray[np.float64],
        spectrum: NDArray[np.int64],
        use: NDArray[np.bool_],
        channels: int,
        pols: int,
    ) -> None:
        rows = len(time_mjd_s)
        self.time_mjd_s = time_mjd_s
        self.times_mjd_s, self._time = np.unique(time_mjd_s, return_inverse=True)
        self._spectrum = spectrum
        self._use = use
        self.row_amplitude = np.full((rows, pols), np.nan)
        self.row_visibility = np.full((rows, pols), complex(np.nan, np.nan))
        self.row_flagged = np.zeros(rows, dtype=bool)
        shape = (int(spectrum.max(initial=-1)) + 1, channels, pols)
        self.amplitude = np.zeros(shape)
        self.visibility = np.zeros(shape, dtype=np.complex128)
        self.count = np.zeros(shape, dtype=np.int64)
        self.flags = np.zeros((len(self.times_mjd_s), channels))
        self.flag_count = np.zeros(len(self.times_mjd_s))
        self.flagged = 0
        self.values = 0

    @classmethod
    def for_rows(
        cls,
        time_mjd_s: NDArray[np.float64],
        pairs: NDArray[np.int32],
        use: NDArray[np.bool_],
        channels: NDArray[np.int64],
        pols: int,
    ) -> _Sums:
        """Make the sums of rows: choose the baselines whose spectra are kept."""
        kept = np.unique(pairs[use], axis=0)
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, MAX_SPECTRA).round().astype(int))]
        number = {(int(i), int(j)): n for n, (i, j) in enumerate(kept)}
        spectrum = np.array([number.get((int(i), int(j)), -1) for i, j in pairs])
        return cls(np.asarray(time_mjd_s), spectrum, use, len(channels), pols)

    def add(
        self,
        piece: slice,
        data: NDArray[np.complex64],
        flag: NDArray[np.bool_],
        finite: NDArray[np.bool_],
    ) -> None:
        """Add a slice of rows, ``(rows, channels, pols)``."""
        self.flagged += int(np.count_nonzero(flag))
        self.values += flag.size
        self.row_flagged[piece] = flag.all(axis=(1, 2))
        times = self._time[piece]
        np.add.at(self.flags, times, flag.mean(axis=2))
        np.add.at(self.flag_count, times, 1)
        good = ~flag & finite & self._use[piece, np.newaxis, np.newaxis]
        visibility = np.where(good, data, 0)
        amplitude = np.abs(visibility)
        count = good.sum(axis=1)
        self.row_amplitude[piece] = _mean(amplitude.sum(axis=1, dtype=np.float64), count)
        self.row_visibility[piece] = _mean(visibility.sum(axis=1, dtype=np.complex128), count)
        spectrum = self._spectrum[piece]
        kept = spectrum >= 0
        np.add.at(self.amplitude, spectrum[kept], amplitude[kept])
        np.add.at(self.visibility, spectrum[kept], visibility[kept])
        np.add.at(self.count, spectrum[kept], good[kept])


def _slices(
    sample: Sample, column: str, channels: int, pols: int
) -> Iterator[tuple[slice, NDArray[np.complex64], NDArray[np.bool_]]]:
    table, inc = sample.table, [sample.channel_step, 1]
    corner = [channels - 1, pols - 1]
    step = max(1, SLICE_BYTES // (8 * pols * -(-channels // sample.channel_step)))
    for start in range(0, table.nrows(), step):
        count = min(step, table.nrows() - start)
        if sample.channel_step == 1:
            data, flag = (table.getcol(name, start, count) for name in (column, "FLAG"))
        else:
            data, flag = (
                table.getcolslice(name, [0, 0], corner, inc, start, count)
                for name in (column, "FLAG")
            )
        row_flag = np.asarray(table.getcol("FLAG_ROW", start, count))[:, np.newaxis, np.newaxis]
        yield slice(start, start + count), data, flag | row_flag


def _one_description(path: Path, table: Any, description: int) -> tuple[Any, list[str]]:
    """Return the rows of one data description: others may have other channels."""
    count = open_subtable(path, "DATA_DESCRIPTION").nrows()
    if count == 1:
        return table, []
    rows = table.query(f"DATA_DESC_ID=={description}")
    if rows.nrows() == table.nrows():
        return table, []
    return rows, [f"data description {description} of {count} only"]


def _description(path: Path, description: int) -> tuple[Any, Any]:
    """Return the channels' frequencies (Hz) and the correlation types of a data description."""
    row = open_subtable(path, "DATA_DESCRIPTION")[description]
    window, polarization = int(row["SPECTRAL_WINDOW_ID"]), int(row["POLARIZATION_ID"])
    return (
        open_subtable(path, "SPECTRAL_WINDOW").getcell("CHAN_FREQ", window),
        open_subtable(path, "POLARIZATION").getcell("CORR_TYPE", polarization),
    )


def _fields(path: Path, view: Any) -> str:
    numbers = np.unique(view.getcol("FIELD_ID"))
    table = open_subtable(path, "FIELD")
    first = int(numbers[0])
    name = read_text(table, "NAME", first) if 0 <= first < table.nrows() else ""
    name = name or f"field {first}"
    return name if len(numbers) == 1 else f"{name} and {len(numbers) - 1} more"


def _unit(keywords: dict[str, Any]) -> str:
    unit = keywords.get("UNIT") or keywords.get("QuantumUnits") or ""
    return str(unit[0] if isinstance(unit, list | tuple) else unit)


def _mean(total: NDArray[Any], count: NDArray[Any]) -> NDArray[Any]:
    """Divide sums by counts; NaN where nothing was counted."""
    empty = complex(np.nan, np.nan) if total.dtype.kind == "c" else np.nan
    mean: NDArray[Any] = np.where(count > 0, total / np.maximum(count, 1), empty)
    return mean
