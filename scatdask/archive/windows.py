"""Windows of time: which samples begin each, and which of them a block touches."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from scatdask.archive.layout import Layout
from scatdask.archive.reduction import length_of

# Labels that are looked at together.
_PIECE = 2**20


@dataclass(frozen=True, eq=False)
class Windows:
    """Consecutive windows over an axis.

    Attributes
    ----------
    starts : array, shape (window,)
        Labels at which they start: times, or numbers in the units of the axis.
    samples : array of int64, shape (window + 1,)
        Index of the first sample at or after each start; at last the number of samples.
    """

    starts: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def of_block(
        self, layout: Layout, block: int, stride: int
    ) -> tuple[int, list[tuple[int, int]]]:
        """Return the first window that a block touches, and the frames of each it touches.

        Frames are counted from the first that the block owns, of an output with some stride. A
        block's windows are the same for all strides.
        """
        ((start, stop),) = layout.bounds(block)
        first, last = self.touched(start, stop)
        frames = -(-self.samples // stride)
        low, high = -(-start // stride), -(-stop // stride)
        edges = np.clip(frames[first : last + 2], low, high) - low
        return first, [(int(a), int(b)) for a, b in itertools.pairwise(edges)]

    def touched(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first and last window that have any of the samples [start, stop)."""
        first, last = np.searchsorted(self.samples, [start, stop - 1], side="right") - 1
        return int(first), int(last)

    def slots(self, layout: Layout) -> int:
        """Return how many windows a block touches at most, on a longer axis too.

        That is from where windows are, and from how long they are: their first samples may come to
        lie elsewhere in blocks that follow.
        """
        (size,), (n,) = layout.lengths, layout.shape
        lengths = np.diff(self.samples)
        # The first and the last may be cut.
        whole = int(lengths[1:-1].min() if len(lengths) > 2 else lengths.max())
        anywhere = (size - 1) // max(whole, 1) + 2
        start = np.arange(0, n, size, dtype=np.int64)
        stop = np.minimum(start + size, n)
        first = np.searchsorted(self.samples, start, side="right")
        last = np.searchsorted(self.samples, stop - 1, side="right")
        return max(int((last - first).max()) + 1, anywhere)


def windows_of(source: xr.Dataset, dim: Hashable, window: str | float) -> Windows:
    """Cut an axis into windows.

    Parameters
    ----------
    source : Dataset
        With times decoded. Its coordinate is read piece by piece.
    dim : hashable
        The axis; its coordinate must not decrease.
    window : str or float
        As of `Reduction`.

    Raises
    ------
    TypeError
        If a length of time is given for an axis of numbers, or the other way round.
    ValueError
        If a length is none, or has no fixed length, or is shorter than a sample.
    """
    n = source.sizes[dim]
    coord = source.coords.variables.get(dim)
    kind = "i" if coord is None else coord.dtype.kind
    if kind == "O":
        raise TypeError(
            f"coordinate {dim!r} holds dates of another calendar, which have no windows yet: "
            "reduce over a coordinate of datetime64 or of numbers"
        )
    is_time = kind in "mM"
    if is_time != isinstance(window, str):
        raise TypeError(
            f'coordinate {dim!r} holds times: give the window as a length of time, such as "1D"'
            if is_time
            else f"coordinate {dim!r} holds numbers: give the window as a number in their units, "
            f"got {window!r}"
        )
    width: Any = length_of(window) if isinstance(window, str) else float(window)
    edges = np.empty(0)
    places: list[np.ndarray] = []
    number = 0
    for start, labels in _pieces(coord, n):
        if kind == "M":
            labels = labels.astype("M8[ns]")
        elif kind == "m":
            labels = labels.astype("m8[ns]")
        if start == 0:
            origin = _origin(labels[0], width)
        last = int(np.floor((labels[-1] - origin) / width))
        wanted = np.arange(number, last + 1)
        edges = origin + wanted * width
        places.append(start + np.searchsorted(labels, edges, side="left"))
        number = last + 1
        if number > start + len(labels):
            raise ValueError(
                f"a window of {window!r} is shorter than the distance of samples along {dim!r}: "
                "there is nothing to reduce"
            )
    samples = np.concatenate([*places, [n]]).astype(np.int64)
    return Windows(origin + np.arange(number) * width, samples)


def _origin(first: Any, width: Any) -> Any:
    """Return the start of the first window."""
    if isinstance(first, np.datetime64):
        midnight = first.astype("M8[D]").astype("M8[ns]")
        return midnight + (first - midnight) // width * width
    return first // width * width


def _pieces(coord: Any, n: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, n, _PIECE):
        stop = min(start + _PIECE, n)
        yield start, (np.arange(start, stop) if coord is None else coord[start:stop].values)
