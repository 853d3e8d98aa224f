"""Finding earthquakes in scattering coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import median_filter

from scatdask.cli.demo.archive import VARIABLE
from scatdask.cli.demo.day import START, Day

# Where small earthquakes are louder than microseisms and the instrument still hears, in Hz.
BAND = (2.0, 12.0)
# Standard deviations of the network's curve that a detection stands out by.
THRESHOLD = 6.0
# The background of a frame is the median of so many seconds around it.
_BACKGROUND = 3600.0
# Detections closer than this are one.
_MERGE = 45.0


@dataclass(frozen=True)
class Detections:
    """What the detector found.

    Attributes
    ----------
    seconds : array, shape (time,)
        Times of the frames in seconds of the day.
    curve : array, shape (time,)
        Loudness of the network above its background, in standard deviations.
    found : tuple of (float, float)
        First and last frame of each detection.
    hits : tuple of bool
        For each event, whether it was found.
    false_alarms : int
        Detections that no event explains.
    """

    seconds: np.ndarray
    curve: np.ndarray
    found: tuple[tuple[float, float], ...]
    hits: tuple[bool, ...]
    false_alarms: int


def detect(day: Day, scattering: Path) -> Detections:
    """Look for events in first-order coefficients, and compare with the known ones.

    The logarithm of the coefficients in a band of frequencies, averaged over the band, less its
    running median, is the loudness of a station; the median over stations that of the network,
    which a disturbance at one of them does not move.
    """
    with xr.open_zarr(scattering, chunks=None) as dataset:
        coefficients = dataset[VARIABLE]
        low, high = BAND
        frequency = dataset["frequency1"].values
        chosen = (dataset["order"].values == 1) & (frequency >= low) & (frequency <= high)
        first = coefficients.isel(path=np.flatnonzero(chosen)).transpose("station", "path", "time")
        loudness = np.log(first.values.astype(np.float64)).mean(axis=1)
        seconds = (dataset["time"].values - np.datetime64(START)) / np.timedelta64(1, "s")
    step = float(seconds[1] - seconds[0])
    window = 2 * round(_BACKGROUND / step / 2) + 1
    loudness -= median_filter(loudness, size=(1, window), mode="nearest")
    network = np.median(loudness, axis=0)
    network -= np.median(network)
    curve = network / (1.4826 * np.median(np.abs(network)))
    found = _intervals(seconds, curve > THRESHOLD)
    hits, false_alarms = _compare(day, found, step)
    return Detections(seconds, curve, found, hits, false_alarms)


def _intervals(seconds: np.ndarray, above: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Join frames above the threshold to detections."""
    intervals: list[tuple[float, float]] = []
    for time in seconds[above]:
        if intervals and time - intervals[-1][1] < _MERGE:
            intervals[-1] = (intervals[-1][0], float(time))
        else:
            intervals.append((float(time), float(time)))
    return tuple(intervals)


def _compare(
    day: Day, found: tuple[tuple[float, float], ...], step: float
) -> tuple[tuple[bool, ...], int]:
    """Say which events were found, and how many detections no event explains."""
    windows = []
    for event in day.events:
        p, s = day.arrivals(event)
        # Coefficients are averages over a frame on either side; the coda follows the S wave.
        windows.append((float(p.min()) - step, float(s.max()) + 60.0))

    def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one[0] <= other[1] and other[0] <= one[1]

    hits = tuple(any(overlap(window, detection) for detection in found) for window in windows)
    false = sum(not any(overlap(window, detection) for window in windows) for detection in found)
    return hits, false
