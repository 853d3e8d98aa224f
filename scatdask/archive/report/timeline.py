"""From receipts to throughput over time, by device."""

from __future__ import annotations

import numpy as np

from scatdask.archive.report.summary import Throughput, WorkingTime

_INTERVALS = 120
# More kinds of devices than this are drawn as one: nobody tells more colours apart.
_DEVICES = 4
OTHERS = "other devices"
# A pause of this share of all the time, and of these seconds at least, is left out.
_PAUSE_SHARE, _PAUSE_SECONDS = 0.05, 60.0
# The speed "of late" is that of this share of the working time, and of these seconds at least.
_LATE_SHARE, _LATE_SECONDS = 0.05, 600.0


def working_time(history: np.ndarray) -> WorkingTime:
    """Return the time during which blocks were under way, without the long pauses."""
    order = np.argsort(history["started"])
    started, ended = history["started"][order], history["ended"][order]
    latest = np.maximum.accumulate(ended)
    pause = max(_PAUSE_SHARE * (latest[-1] - started[0]), _PAUSE_SECONDS)
    breaks = np.flatnonzero(started[1:] - latest[:-1] > pause)
    starts = started[np.concatenate([[0], breaks + 1])]
    stops = latest[np.concatenate([breaks, [len(latest) - 1]])]
    return WorkingTime(tuple(starts.tolist()), tuple(stops.tolist()))


def to_working(time: WorkingTime, moments: np.ndarray) -> np.ndarray:
    """Return seconds of working time at moments."""
    knots = np.array([time.starts, time.stops]).T.ravel()
    steps = np.diff(knots, prepend=knots[0])
    steps[2::2] = 0.0  # pauses
    return np.interp(moments, knots, np.cumsum(steps))


def to_moment(time: WorkingTime, seconds: float) -> float:
    """Return the moment at which so many seconds of working time had passed."""
    for start, stop in zip(time.starts, time.stops, strict=True):
        if seconds <= stop - start:
            return start + seconds
        seconds -= stop - start
    return time.stops[-1]


def throughput(history: np.ndarray, devices: np.ndarray) -> Throughput:
    """Return blocks and bytes a second over working time.

    Parameters
    ----------
    history : structured array
        At least one row.
    devices : array of str
        Of each row.
    """
    time = working_time(history)
    total = max(time.seconds, 1e-3)
    edges = np.linspace(0.0, total, min(_INTERVALS, len(history)) + 1)
    start, stop = to_working(time, history["started"]), to_working(time, history["ended"])
    blocks = (history["last"] - history["first"] + 1).astype(float)
    names, device = np.unique(devices, return_inverse=True)
    weight = np.bincount(device, blocks)
    order = [int(i) for i in np.argsort(-weight, kind="stable")]
    groups = [(str(names[i]), device == i) for i in order]
    if len(groups) > _DEVICES:
        rest = np.isin(device, order[_DEVICES - 1 :])
        groups = [*groups[: _DEVICES - 1], (OTHERS, rest)]
    by_blocks: list[tuple[float, ...]] = []
    by_bytes: list[tuple[float, ...]] = []
    for _, rows in groups:
        for into, values in ((by_blocks, blocks), (by_bytes, history["bytes_read"])):
            into.append(_rates(start[rows], stop[rows], values[rows], edges))
    return Throughput(
        time,
        tuple(edges.tolist()),
        tuple(name for name, _ in groups),
        tuple(by_blocks),
        tuple(by_bytes),
    )


def late_rate(history: np.ndarray, time: WorkingTime) -> float:
    """Return blocks a second of late, in the last stretch of working time."""
    last = time.stops[-1] - time.starts[-1]
    window = min(last, max(_LATE_SHARE * time.seconds, _LATE_SECONDS))
    if window <= 0:
        return 0.0
    blocks = (history["last"] - history["first"] + 1).astype(float)
    edges = np.array([time.stops[-1] - window, time.stops[-1]])
    return _rates(history["started"], history["ended"], blocks, edges)[0]


def _rates(
    start: np.ndarray, stop: np.ndarray, values: np.ndarray, edges: np.ndarray
) -> tuple[float, ...]:
    """Spread values over their intervals, and return what falls between edges, a second."""
    seconds = np.maximum(stop - start, 1e-3)
    start, stop = stop - seconds - edges[0], stop - edges[0]
    rate = values / seconds
    # What has passed at an edge is what all would have brought since their starts, without what
    # they would have brought since their stops.
    passed = _since(start, rate, edges - edges[0]) - _since(stop, rate, edges - edges[0])
    return tuple(np.maximum(np.diff(passed) / np.diff(edges), 0.0).tolist())


def _since(starts: np.ndarray, rates: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return what rates that began at some times have brought at moments."""
    order = np.argsort(starts)
    starts, rates = starts[order], rates[order]
    before = np.searchsorted(starts, moments)
    total = np.concatenate([[0.0], np.cumsum(rates)])[before]
    weighted = np.concatenate([[0.0], np.cumsum(rates * starts)])[before]
    return total * moments - weighted
