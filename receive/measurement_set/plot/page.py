"""Draws the picture of a Measurement Set: six panels on one page.

Colours are those of Okabe and Ito, which colour-blind people can tell apart, and of matplotlib's
``cividis``; each correlation has a marker of its own too.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from receive.measurement_set.compare.report import plural, utc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from receive.measurement_set.plot.data import PlotData

SIZE_INCHES = (16.0, 9.6)
DPI = 100

_COLOURS = ("#0072B2", "#E69F00", "#56B4E9", "#D55E00")
_MARKERS = ("o", "^", "v", "s")
_GREY = "#999999"

#: A drawing's points a panel and correlation; more would only be drawn over each other.
_MAX_POINTS = 20_000

#: Amplitudes that span so much are drawn on a logarithmic axis.
_LOGARITHMIC_SPAN = 100.0

#: Distances of ticks on a time axis (s): divisors of minutes, hours and days, and some days.
_TIME_STEPS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3600.0 * hours for hours in (1, 2, 4, 6, 12)),
    *(86400.0 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_TIME_TICKS = 5

#: Room above the points for the legend, as part of the axis below.
_LEGEND_ROOM = 0.12

#: With so few channels each correlation is moved a little aside, not to hide the others.
_FEW_CHANNELS = 40

_KILO = 1000.0
_MEGA = 1e6

_MINUTE_S = 60.0
_DAY_S = 86400.0


def draw(data: PlotData) -> bytes:
    """Draw the picture of a set.

    Parameters
    ----------
    data : PlotData
        What :func:`.plot_data.gather` read.

    Returns
    -------
    bytes
        A PNG file of 1600 by 960 dots.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3, width_ratios=(1, 1, 0.85))
    _draw_against_time(axes[0, 0], data, phase=False)
    _draw_against_channel(axes[0, 1], data, phase=False)
    _draw_against_time(axes[1, 0], data, phase=True)
    _draw_against_channel(axes[1, 1], data, phase=True)
    _draw_uv(axes[0, 2], data)
    _draw_flags(figure, axes[1, 2], data)
    title, subtitle = titles(data)
    figure.suptitle(f"{title}\n{subtitle}", fontsize=13)
    if data.facts.notes:
        figure.supxlabel("; ".join(data.facts.notes), fontsize=10, color="#444444")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def titles(data: PlotData) -> tuple[str, str]:
    """Return the two lines above the panels: what was observed, and how much of it there is."""
    facts = data.facts
    span = utc(facts.start_mjd_s)
    if facts.end_mjd_s > facts.start_mjd_s:
        span += f" to {utc(facts.end_mjd_s)}"
    about = "about " if any(note.startswith("shown: ") for note in facts.notes) else ""
    return (
        f"{facts.telescope}, {facts.field}, {span} UTC",
        (
            f"{plural(facts.times, 'time')}, {plural(facts.antennas, 'antenna')}, "
            f"{plural(facts.baselines, 'baseline')}"
            f"{' (autocorrelations only)' if data.autocorrelations else ''}, "
            f"{plural(facts.channels, 'channel')}, {' '.join(data.correlations)}; "
            f"{about}{percent(facts.flagged)} flagged"
        ),
    )


def percent(fraction: float) -> str:
    """Write a fraction as per cent, without rounding a little to nothing or all but it to all."""
    if fraction in {0.0, 1.0}:
        return f"{fraction * 100:.0f} %"
    return f"{min(max(fraction * 100, 0.01), 99.99):.3g} %".replace("100 %", "99.9 %")


def _draw_against_time(axes: Axes, data: PlotData, *, phase: bool) -> None:
    values = np.angle(data.row_visibility, deg=True) if phase else data.row_amplitude
    _draw_points(axes, data, data.time_mjd_s, values, phase=phase)
    axes.set_title(
        f"{_what(data, phase=phase)} against time\n(each point: a baseline, mean over channels)",
        fontsize=10,
    )
    axes.set_xlabel("time (UTC)")
    _set_time_ticks(axes, data.facts.start_mjd_s, data.facts.end_mjd_s)


def _draw_against_channel(axes: Axes, data: PlotData, *, phase: bool) -> None:
    spectra = data.spectrum_visibility if phase else data.spectrum_amplitude
    values = np.angle(spectra, deg=True) if phase else spectra
    baselines, channels, pols = values.shape
    across = np.tile(data.channels, baselines).astype(np.float64)
    points = values.reshape(baselines * channels, pols)
    aside = 0.12 * data.facts.channels / channels if channels <= _FEW_CHANNELS else 0.0
    _draw_points(axes, data, across, points, phase=phase, aside=aside)
    if channels > 1 and not phase:
        _draw_medians(axes, data, np.abs(values))
    axes.set_title(
        f"{_what(data, phase=phase)} against channel\n(each point: a baseline, mean over times"
        f"{'' if phase else '; lines: medians'})",
        fontsize=10,
    )
    axes.set_xlabel(_channel_label(data))
    _set_channel_ticks(axes, data)
    last = int(data.channels[-1])
    axes.set_xlim(-0.02 * last - 0.5, 1.02 * last + 0.5)


def _draw_points(
    axes: Axes,
    data: PlotData,
    across: NDArray[Any],
    values: NDArray[Any],
    *,
    phase: bool,
    aside: float = 0.0,
) -> None:
    """Draw a point for each value and correlation: ``across`` (n,), values (n, pols)."""
    axes.set_ylabel(_y_label(data, phase=phase))
    axes.grid(visible=True, color="#e5e5e5")
    axes.set_axisbelow(True)
    if phase:
        axes.set_ylim(-190, 190 + _LEGEND_ROOM * 380)
        axes.set_yticks(range(-180, 181, 90))
    if not np.isfinite(values).any():
        _say_empty(axes, "all data are flagged")
        return
    step = -(-len(across) // _MAX_POINTS)
    size = (
        5.0 if len(across) < _MAX_POINTS // 40 else 3.0 if len(across) < _MAX_POINTS // 4 else 2.0
    )
    drawn = _drawn(data, phase=phase)
    for pol in drawn:
        shift = aside * (sorted(drawn).index(pol) - (len(drawn) - 1) / 2)
        axes.plot(
            across[::step] + shift if shift else across[::step],
            values[::step, pol],
            linestyle="none",
            marker=_MARKERS[pol % len(_MARKERS)],
            markersize=size,
            markeredgewidth=0,
            color=_COLOURS[pol % len(_COLOURS)],
            alpha=0.6,
            label=data.correlations[pol],
        )
    if not phase:
        _set_amplitude_axis(axes, values)
    axes.legend(loc="upper right", fontsize=8, markerscale=8 / size, ncols=4, framealpha=0.85)


def _draw_medians(axes: Axes, data: PlotData, values: NDArray[np.float64]) -> None:
    """Draw a line through the medians over baselines of each correlation."""
    for pol in range(values.shape[2]):
        one = values[..., pol]
        some = np.isfinite(one).any(axis=0)
        median = np.full(one.shape[1], np.nan)
        median[some] = np.nanmedian(one[:, some], axis=0)
        axes.plot(
            data.channels,
            median,
            color=_COLOURS[pol % len(_COLOURS)],
            linewidth=1.4,
            path_effects=[Stroke(linewidth=3.0, foreground="white"), Normal()],
        )


def _set_amplitude_axis(axes: Axes, values: NDArray[np.float64]) -> None:
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size and positive.max() > _LOGARITHMIC_SPAN * np.median(positive):
        axes.set_yscale("log")
        low, high = np.log10(positive.min()), np.log10(positive.max())
        axes.set_ylim(10 ** (low - 0.2), 10 ** (high + 0.2 + _LEGEND_ROOM * (high - low)))
    else:
        top = float(positive.max()) if positive.size else 1.0
        axes.set_ylim(0, top * 1.03 * (1 + _LEGEND_ROOM))
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4), useMathText=True)


def _draw_uv(axes: Axes, data: PlotData) -> None:
    axes.set_title("uv coverage\n(both signs; flagged rows grey)", fontsize=10)
    uv_m = data.uv_m[np.hypot(data.uv_m[:, 0], data.uv_m[:, 1]) > 0]
    flagged = data.row_flagged[np.hypot(data.uv_m[:, 0], data.uv_m[:, 1]) > 0]
    uv_m, flagged = uv_m[np.isfinite(uv_m).all(axis=1)], flagged[np.isfinite(uv_m).all(axis=1)]
    if not len(uv_m):
        text = (
            "autocorrelations only:\nno uv coverage" if data.autocorrelations else "all UVW are 0"
        )
        _say_empty(axes, text)
        return
    longest_m = float(np.abs(uv_m).max())
    unit, scale = ("km", _KILO) if longest_m >= 2 * _KILO else ("m", 1.0)
    for which, colour, order in ((flagged, _GREY, 1), (~flagged, _COLOURS[0], 2)):
        points = uv_m[which] / scale
        points = points[:: -(-max(len(points), 1) // (2 * _MAX_POINTS))]
        size = 6.0 if len(points) < _MAX_POINTS // 40 else 2.0
        both = np.concatenate([points, -points])
        axes.plot(
            both[:, 0],
            both[:, 1],
            linestyle="none",
            marker=".",
            markersize=size,
            color=colour,
            alpha=0.7,
            zorder=order,
        )
    limit = 1.08 * longest_m / scale
    axes.set(xlim=(limit, -limit), ylim=(-limit, limit), aspect="equal")
    axes.set_xlabel(f"u ({unit})")
    axes.set_ylabel(f"v ({unit})")
    axes.grid(visible=True, color="#e5e5e5")
    axes.set_axisbelow(True)


def _draw_flags(figure: Figure, axes: Axes, data: PlotData) -> None:
    times, channels = data.flag_fraction.shape
    step = (data.channels[-1] / (channels - 1)) if channels > 1 else 1.0
    image = axes.imshow(
        data.flag_fraction * 100,
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=100,
        interpolation="nearest",
        extent=(-step / 2, data.channels[-1] + step / 2, times - 0.5, -0.5),
    )
    axes.set_title("flags\n(of all baselines and correlations)", fontsize=10)
    axes.set_xlabel("channel")
    axes.set_ylabel("time (UTC)")
    _set_channel_ticks(axes, data)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda at, _: _time_of_day(data.flag_times_mjd_s, at))
    )
    figure.colorbar(image, ax=axes, label="flagged (%)", pad=0.02)


def _drawn(data: PlotData, *, phase: bool) -> list[int]:
    """Return the correlations to draw, crossed hands first so that parallel ones lie on top.

    Phases of crossed hands are mostly those of noise, and hide the others'.
    """
    parallel = [n for n, name in enumerate(data.correlations) if name[0] == name[-1]]
    crossed = [n for n in range(len(data.correlations)) if n not in parallel]
    if phase and parallel:
        return parallel
    return [*crossed, *parallel]


def _what(data: PlotData, *, phase: bool) -> str:
    what = "phase" if phase else "amplitude"
    if phase and len(_drawn(data, phase=True)) < len(data.correlations):
        what += " of parallel hands"
    return f"{data.column} {what}" if data.column != "DATA" else what


def _y_label(data: PlotData, *, phase: bool) -> str:
    if phase:
        return "phase (degrees)"
    return f"amplitude ({data.unit})" if data.unit else "amplitude (no unit given)"


def _channel_label(data: PlotData) -> str:
    low, high = data.frequency_hz.min() / _MEGA, data.frequency_hz.max() / _MEGA
    if len(data.channels) == 1:
        return f"channel ({low:.6g} MHz)"
    first, last = (high, low) if data.frequency_hz[0] > data.frequency_hz[-1] else (low, high)
    return f"channel ({first:.6g} to {last:.6g} MHz)"


def _say_empty(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#444444")


def _set_time_ticks(axes: Axes, start_mjd_s: float, end_mjd_s: float) -> None:
    """Put ticks at whole seconds, minutes, hours or days; at the time itself if there is one."""
    span_s = end_mjd_s - start_mjd_s
    if span_s <= 0:
        axes.set_xlim(start_mjd_s - 1, start_mjd_s + 1)
        axes.set_xticks([start_mjd_s], [_clock(start_mjd_s, 1.0)])
        return
    step_s = next((s for s in _TIME_STEPS_S if span_s / s <= _TIME_TICKS), span_s)
    ticks = step_s * np.arange(np.ceil(start_mjd_s / step_s), np.floor(end_mjd_s / step_s) + 1)
    axes.set_xlim(start_mjd_s - 0.04 * span_s, end_mjd_s + 0.04 * span_s)
    axes.set_xticks(ticks, [_clock(float(tick), step_s) for tick in ticks])


def _set_channel_ticks(axes: Axes, data: PlotData) -> None:
    if len(data.channels) == 1:
        axes.set_xticks([0])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))


def _clock(time_mjd_s: float, step_s: float) -> str:
    """Write a time with the digits that a distance between times asks for."""
    text = utc(time_mjd_s)
    if step_s >= _DAY_S:
        return text[:10]
    time_of_day = text[11:]
    if step_s >= _MINUTE_S:
        return time_of_day[:5]
    return time_of_day[:8] if step_s >= 1 else time_of_day


def _time_of_day(times_mjd_s: NDArray[np.float64], at: float) -> str:
    n = round(at)
    if at != n or not 0 <= n < len(times_mjd_s):
        return ""
    return _clock(float(times_mjd_s[n]), 1.0)
