"""Statistics over windows of time: what is asked for, and states that merge exactly."""

from __future__ import annotations

import datetime
import math
import numbers
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from scatdask.archive import sketch

STATISTICS = ("mean", "variance", "maximum", "quantiles")

State = dict[str, np.ndarray]

# Nanoseconds of units of time, the longest first.
_UNITS = {"D": 86_400 * 10**9, "h": 3_600 * 10**9, "min": 60 * 10**9, "s": 10**9, "ms": 10**6}


@dataclass(frozen=True)
class Reduction:
    """Statistics of coefficients over windows of time, in place of the coefficients.

    A window holds the coefficients whose time is at or after its start, and before the next.
    Those that are missing (NaN or infinite) are left out; a count says how many there are.

    Parameters
    ----------
    window : str, timedelta or float
        Length of a window: such as "1D", "6h" or "30min" where the axis is of times, aligned as
        pandas does it, to midnight of the first day (UTC); else a number in the units of the axis,
        aligned to zero, or of samples where it has no coordinate.
    statistics : tuple of str
        Of "mean", "variance" (the mean square distance from the mean), "maximum", "quantiles".
    quantiles : tuple of float
        Which, between 0 and 1; with "quantiles" among `statistics` the median by default. They are
        within 2.2 % of the coefficient of that rank, or within 1/65536 of the largest magnitude in
        the window.

    Raises
    ------
    TypeError
        If `window` is neither a length of time nor a number, or `statistics` is one string.
    ValueError
        If `window` is no fixed length, there is no such statistic or quantile, or there are
        quantiles that `statistics` does not ask for.

    Examples
    --------
    >>> Reduction("1D", ("mean", "maximum"))
    Reduction(window='1D', statistics=('mean', 'maximum'), quantiles=())
    """

    window: str | float
    statistics: tuple[str, ...] = ("mean", "variance")
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", _window(self.window))
        _check_tuple("statistics", self.statistics, str)
        _check_tuple("quantiles", self.quantiles, numbers.Real)
        object.__setattr__(self, "statistics", tuple(self.statistics))
        object.__setattr__(self, "quantiles", tuple(map(float, self.quantiles)))
        if not self.statistics:
            raise ValueError(f"statistics must name at least one of {', '.join(STATISTICS)}")
        if unknown := [name for name in self.statistics if name not in STATISTICS]:
            raise ValueError(f"statistics must be of {', '.join(STATISTICS)}, got {unknown[0]!r}")
        if len(set(self.statistics)) < len(self.statistics):
            raise ValueError(f"statistics repeat: {', '.join(self.statistics)}")
        if not all(0 <= share <= 1 for share in self.quantiles):
            raise ValueError(f"quantiles must be between 0 and 1, got {self.quantiles}")
        if "quantiles" in self.statistics:
            object.__setattr__(self, "quantiles", self.quantiles or (0.5,))
        elif self.quantiles:
            wanted = (*self.statistics, "quantiles")
            raise ValueError(
                f"quantiles={self.quantiles} are given, and no statistic asks for them: say "
                f"statistics={wanted}"
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Reduction:
        """Return what `to_dict` has given, also of versions that named quantiles always."""
        statistics = fields["statistics"]
        quantiles = fields["quantiles"] if "quantiles" in statistics else ()
        return cls(fields["window"], statistics, quantiles)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @property
    def parts(self) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """What a state consists of: for each array its type, and the axes after all others."""
        floats, integers = np.dtype("f8"), np.dtype("i8")
        parts: dict[str, tuple[np.dtype, tuple[int, ...]]] = {"count": (integers, ())}
        if {"mean", "variance"} & {*self.statistics}:
            parts["mean"] = (floats, ())
        if "variance" in self.statistics:
            parts["squares"] = (floats, ())
        if "maximum" in self.statistics:
            parts["maximum"] = (floats, ())
        if "quantiles" in self.statistics:
            parts["top"] = (np.dtype("i4"), ())
            parts["bins"] = (np.dtype("u4"), (sketch.BINS,))
        return parts

    @property
    def state_bytes(self) -> int:
        """Bytes of the state of one path in one window."""
        return sum(dtype.itemsize * math.prod(axes) for dtype, axes in self.parts.values())

    def nothing(self, shape: tuple[int, ...]) -> State:
        """Return the states of windows without coefficients."""
        state = {
            name: np.zeros((*shape, *axes), dtype) for name, (dtype, axes) in self.parts.items()
        }
        if "maximum" in state:
            state["maximum"][...] = -np.inf
        if "top" in state:
            state["top"][...] = sketch.NOTHING
        return state

    def reduce(self, values: np.ndarray, ranges: Iterable[tuple[int, int]]) -> State:
        """Return the states of some windows.

        Parameters
        ----------
        values : array, shape (..., frames)
        ranges : iterable of (int, int)
            First frame of each window and the one after its last.

        Returns
        -------
        dict of array, shape (..., window, *axes)
            By the names of `parts`.
        """
        ranges = list(ranges)
        rows = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
        state = self.nothing((len(rows), len(ranges)))
        for place, (start, stop) in enumerate(ranges):
            # Row by row of the path table or so: temporary arrays are several times as large.
            step = max(1, 2**16 // max(stop - start, 1))
            for first in range(0, len(rows), step):
                part = slice(first, first + step)
                found = self._of(rows[part, start:stop].astype(np.float64))
                for name, array in found.items():
                    state[name][part, place] = array
        return {
            name: array.reshape(*values.shape[:-1], *array.shape[1:])
            for name, array in state.items()
        }

    def _of(self, x: np.ndarray) -> State:
        """Return the states of rows that are one window each."""
        finite = np.isfinite(x)
        count = finite.sum(axis=1)
        state: State = {"count": count}
        if "mean" in self.parts:
            mean = np.sum(x, axis=1, where=finite) / np.maximum(count, 1)
            state["mean"] = mean
        if "squares" in self.parts:
            off = np.where(finite, x, mean[:, np.newaxis]) - mean[:, np.newaxis]
            state["squares"] = np.einsum("ij,ij->i", off, off)
        if "maximum" in self.parts:
            state["maximum"] = np.max(x, axis=1, initial=-np.inf, where=finite)
        if "bins" in self.parts:
            state["top"], state["bins"] = sketch.count_bins(x, finite)
        return state

    def merge(self, first: State, second: State) -> State:
        """Return the states of what two states hold together.

        Neither rounds by more than float64 does, and counts do not round.
        """
        count = first["count"] + second["count"]
        merged: State = {"count": count}
        if "mean" in first:
            share = second["count"] / np.maximum(count, 1)
            between = second["mean"] - first["mean"]
            merged["mean"] = first["mean"] + between * share
        if "squares" in first:
            merged["squares"] = (
                first["squares"] + second["squares"] + between**2 * first["count"] * share
            )
        if "maximum" in first:
            merged["maximum"] = np.maximum(first["maximum"], second["maximum"])
        if "bins" in first:
            top = np.maximum(first["top"], second["top"])
            merged["top"] = top
            ours, theirs = (
                sketch.lowered(one["bins"].astype(np.int64), top - one["top"])
                for one in (first, second)
            )
            merged["bins"] = ours + theirs
        return merged

    def finish(self, state: State) -> dict[str, np.ndarray]:
        """Return the statistics and the count; NaN where there are no coefficients.

        Returns
        -------
        dict of array, shape (...)
            By name; quantiles have an axis more, before all others.
        """
        count = state["count"]
        found = {"count": count}
        none = count == 0
        for name in self.statistics:
            if name == "mean":
                found[name] = np.where(none, np.nan, state["mean"])
            elif name == "variance":
                found[name] = np.where(none, np.nan, state["squares"] / np.maximum(count, 1))
            elif name == "maximum":
                found[name] = np.where(none, np.nan, state["maximum"])
            else:
                found[name] = sketch.quantiles_of(state["top"], state["bins"], self.quantiles)
        return found


def length_of(window: str | datetime.timedelta | np.timedelta64) -> np.timedelta64:
    """Return a length of time in nanoseconds.

    Raises
    ------
    ValueError
        If it is none, or has no fixed length, such as a month.
    """
    try:
        with warnings.catch_warnings(action="error"):  # "MS" are months, not milliseconds
            length = pd.Timedelta(window)
    except (ValueError, Warning):
        raise ValueError(
            f"window must be a fixed length of time, such as '1D' or '6h', got {window!r}"
        ) from None
    if not length > pd.Timedelta(0):  # NaT neither
        raise ValueError(f"window must be longer than nothing, got {window!r}")
    return length.to_timedelta64().astype("m8[ns]")


def _check_tuple(name: str, value: Any, kind: type) -> None:
    """Raise TypeError if one thing is given, and not a tuple of such."""
    if isinstance(value, kind):
        raise TypeError(f"{name} must be a tuple, such as ({value!r},), got {value!r}")


def _window(window: Any) -> str | float:
    """Return a window as text or as a number, which JSON has."""
    if isinstance(window, str):
        length_of(window)
        return window
    if isinstance(window, datetime.timedelta | np.timedelta64):
        count = int(length_of(window).astype(np.int64))
        unit, size = next(((u, n) for u, n in _UNITS.items() if count % n == 0), ("ns", 1))
        return f"{count // size}{unit}"
    if isinstance(window, bool) or not isinstance(window, numbers.Real):
        raise TypeError(
            'window must be a length of time such as "1D", or a number in the units of the axis, '
            f"got {window!r}"
        )
    number = int(window) if isinstance(window, numbers.Integral) else float(window)
    if not 0 < number < math.inf:
        raise ValueError(f"window must be longer than nothing, got {window!r}")
    return number
