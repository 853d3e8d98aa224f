"""The picture of the demonstration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from scatdask.cli.demo.archive import VARIABLE
from scatdask.cli.demo.day import P_VELOCITY, RATE, S_VELOCITY, START, Day
from scatdask.cli.demo.detector import BAND, THRESHOLD, Detections

_INK, _SOFT = "#22313f", "#8a97a3"
_EVENT, _TRACE, _CURVE = "#d1495b", "#30638e", "#00798c"
_STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
}
# Pixels across the day: each shows the extremes of its samples.
_COLUMNS = 2400


def draw(
    day: Day,
    station: int,
    source: Path,
    scattering: Path,
    detections: Detections,
    differences: np.ndarray,
    promise: float,
    path: Path,
) -> None:
    """Draw the day at one station, its scalogram, the detector, the largest event, the promise.

    Parameters
    ----------
    day : Day
    station : int
        Station that is shown.
    source, scattering : Path
        The archive and its coefficients.
    detections : Detections
    differences : array, shape (path,)
        Of the run from other chunks, relative to the largest coefficient of each path.
    promise : float
        What they may be.
    path : Path
        Picture to write.
    """
    with mpl.rc_context(_STYLE):
        padding = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        figure = Figure(figsize=(14, 8.2), layout=padding, dpi=130)
        sides = figure.add_gridspec(1, 2, width_ratios=[2.6, 1])
        left = sides[0].subgridspec(3, 1, height_ratios=[1, 1.7, 1])
        right = sides[1].subgridspec(2, 1, height_ratios=[2.4, 1])
        waveform = figure.add_subplot(left[0])
        scalogram = figure.add_subplot(left[1], sharex=waveform)
        detector = figure.add_subplot(left[2], sharex=waveform)
        section, agreement = (figure.add_subplot(cell) for cell in (right[0], right[1]))
        with (
            xr.open_zarr(source, chunks=None, decode_times=False) as samples,
            xr.open_zarr(scattering, chunks=None) as coefficients,
        ):
            _draw_waveform(waveform, day, station, samples[VARIABLE], detections)
            _draw_scalogram(figure, scalogram, day, station, coefficients[VARIABLE])
            _draw_section(section, day, samples[VARIABLE])
            order = coefficients["order"].values
        _draw_detector(detector, day, detections)
        _draw_agreement(agreement, order, differences, promise)
        figure.align_ylabels([waveform, scalogram, detector])
        figure.savefig(path)


def _draw_waveform(
    axes: Any, day: Day, station: int, samples: xr.DataArray, detections: Detections
) -> None:
    each = max(day.n_samples // _COLUMNS, 1)
    lows, highs = [], []
    # One chunk at a time: the picture needs no more memory than the job.
    for start in range(0, day.n_samples, each * 100):
        part = samples.isel(station=station, time=slice(start, start + each * 100)).values
        columns = part[: len(part) // each * each].reshape(-1, each)
        lows.append(columns.min(axis=1))
        highs.append(columns.max(axis=1))
    low, high = np.concatenate(lows), np.concatenate(highs)
    hours = np.arange(len(low)) * each / RATE / 3600
    # Small events stay visible beside the main shock.
    axes.set_yscale("symlog", linthresh=1000, linscale=0.8)
    axes.fill_between(hours, low, high, color=_TRACE, linewidth=0.4)
    top = 1.6 * max(high.max(), 1000)
    for event, hit in zip(day.events, detections.hits, strict=True):
        hour = event.seconds / 3600
        axes.plot(
            hour,
            top,
            marker="v",
            markersize=3 + 2.2 * event.magnitude,
            color=_EVENT if hit else "none",
            markeredgecolor=_EVENT,
            markeredgewidth=0.7,
            alpha=0.85,
            clip_on=False,
        )
    for disturbance in day.disturbances:
        if disturbance.station == station:
            hour = disturbance.seconds / 3600
            axes.plot(hour, top, marker="x", markersize=6, color=_SOFT, clip_on=False)
    axes.set_xlim(0, day.hours)
    axes.set_yticks([-1e5, -1e4, -1e3, 0, 1e3, 1e4, 1e5], minor=False)
    axes.set_ylim(-1.3 * max(-low.min(), 1000), top)
    axes.set_ylabel("ground velocity\n(counts)")
    axes.tick_params(labelbottom=False)
    axes.set_title(
        f"One station of {day.n_stations}   ($\\blacktriangledown$ known earthquakes, filled if "
        "found   $\\times$ noise at this station alone)",
        pad=12,
    )


def _draw_scalogram(
    figure: Figure, axes: Any, day: Day, station: int, coefficients: xr.DataArray
) -> None:
    order = coefficients["order"].values
    first = coefficients.isel(path=np.flatnonzero(order == 1), station=station)
    values = np.log10(np.maximum(first.transpose("path", "time").values, 1e-3))
    frequency = first["frequency1"].values
    hours = (first["time"].values - np.datetime64(START)) / np.timedelta64(1, "h")
    each = max(values.shape[1] // _COLUMNS, 1)
    n = values.shape[1] // each
    values = values[:, : n * each].reshape(len(values), n, each).max(axis=2)
    mesh = axes.pcolormesh(
        hours[: n * each : each],
        frequency,
        values,
        shading="nearest",
        cmap="magma",
        vmin=np.quantile(values, 0.02),
        vmax=np.quantile(values, 0.998),
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylim(frequency.min(), frequency.max())
    axes.yaxis.set_major_formatter(_plain)
    axes.set_ylabel("frequency (Hz)")
    axes.tick_params(labelbottom=False)
    low, high = BAND
    for edge in BAND:
        axes.axhline(edge, color="white", linewidth=0.8, linestyle=(0, (4, 4)), alpha=0.8)
    axes.annotate(
        f"band of the detector, {low:g} to {high:g} Hz",
        (0.006 * day.hours, high),
        xytext=(0, 3),
        textcoords="offset points",
        color="white",
        fontsize=8.5,
    )
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=25)
    bar.set_label("log$_{10}$ of coefficient (counts)")
    bar.outline.set_visible(False)
    axes.set_title("First-order scattering coefficients: microseisms, people by day, earthquakes")


def _plain(value: float, position: int | None = None) -> str:
    return f"{value:g}"


def _draw_detector(axes: Any, day: Day, detections: Detections) -> None:
    hours = detections.seconds / 3600
    # The logarithm shows threshold and main shock alike.
    axes.plot(hours, np.maximum(detections.curve, 0.5), color=_CURVE, linewidth=0.8)
    axes.axhline(THRESHOLD, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yscale("log")
    axes.set_ylim(0.8, 2 * max(float(detections.curve.max()), 10))
    axes.yaxis.set_major_formatter(_plain)
    axes.annotate(
        f"threshold {THRESHOLD:g}",
        (day.hours, THRESHOLD),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
    )
    for first, last in detections.found:
        axes.axvspan(first / 3600 - 0.02, last / 3600 + 0.02, color=_EVENT, alpha=0.18, linewidth=0)
    axes.set_ylabel("loudness of network\n(standard deviations)")
    axes.set_xlabel(f"time on {START[:10]} (hours UTC)")
    axes.set_xticks(np.linspace(0, day.hours, 9))
    axes.set_title(
        f"Detector: {sum(detections.hits)} of {len(day.events)} earthquakes, "
        f"{detections.false_alarms} false alarms"
    )


def _draw_section(axes: Any, day: Day, samples: xr.DataArray) -> None:
    event = max(day.events, key=lambda one: one.magnitude)
    distances = day.distances(event)
    before, after = 5.0, 45.0
    start = max(int((event.seconds - before) * RATE), 0)
    stop = min(int((event.seconds + after) * RATE), day.n_samples)
    part = samples.isel(time=slice(start, stop)).values.astype(np.float64)
    seconds = np.arange(start, stop) / RATE - event.seconds
    spread = float(np.ptp(distances)) or 1.0
    for distance, trace in zip(distances, part, strict=True):
        trace = trace - trace.mean()
        height = 0.09 * spread * trace / np.abs(trace).max()
        axes.plot(seconds, distance + height, color=_TRACE, linewidth=0.5)
    reach = np.array([distances.min() - 0.1 * spread, distances.max() + 0.1 * spread])
    for label, velocity, side in (("P", P_VELOCITY, "right"), ("S", S_VELOCITY, "left")):
        axes.plot(reach / velocity, reach, color=_EVENT, linewidth=1.1, alpha=0.8)
        axes.annotate(
            f"{label}, {velocity:g} km/s",
            (reach[1] / velocity, reach[1]),
            xytext=(0, 2),
            textcoords="offset points",
            color=_EVENT,
            ha=side,
            fontsize=8.5,
        )
    axes.set_xlim(-before, after)
    axes.set_ylim(reach[0], reach[1] + 0.04 * spread)
    axes.set_xlabel("time after the origin (s)")
    axes.set_ylabel("distance (km)")
    axes.set_title(f"The largest event (magnitude {event.magnitude:g})", pad=10)


def _draw_agreement(axes: Any, order: np.ndarray, differences: np.ndarray, promise: float) -> None:
    number = np.arange(len(differences))
    colours: Callable[[int], str] = {0: _EVENT, 1: _TRACE, 2: _CURVE}.__getitem__
    for level in np.unique(order):
        chosen = order == level
        axes.plot(
            number[chosen],
            np.maximum(differences[chosen], 1e-8),
            ".",
            markersize=4,
            color=colours(int(level)),
            label=f"order {level}",
        )
    axes.axhline(promise, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.annotate(
        "promised",
        (len(number), promise),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
    )
    axes.set_yscale("log")
    axes.set_ylim(1e-9, 10 * promise)
    axes.set_xlabel("path")
    axes.set_ylabel("largest difference\n(of largest coefficient)")
    axes.legend(frameon=False, fontsize=8, loc="lower right", ncols=3, handletextpad=0.1)
    axes.set_title("Other chunks, same numbers")
