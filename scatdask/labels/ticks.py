"""Coordinate values of any type as plain numbers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Ticks:
    """Some values of a coordinate.

    Attributes
    ----------
    values : array of int64 or float64, shape (m,)
        Counted from the first value of the axis if integers, so that differences are exact.
    shown : array, shape (m,)
        The same as the user wrote them.
    missing : array of bool, shape (m,)
        Where a value is NaT, NaN or infinite.
    per_unit : int
        Ticks in a second, or 1 for numbers.
    rounding : float
        How far a step may be off, in ticks, because the coordinate's type cannot say it better.
    is_time : bool
    """

    values: np.ndarray
    shown: np.ndarray
    missing: np.ndarray
    per_unit: int
    rounding: float
    is_time: bool


def check_kind(coord: xr.DataArray, dim: Hashable) -> None:
    """Raise TypeError unless a coordinate may be times or real numbers."""
    if getattr(coord.dtype, "tz", None) is not None:
        raise _zoned(dim)
    if coord.dtype.kind not in "iufmMO":
        raise _no_numbers(dim, coord.dtype)


def as_ticks(values: np.ndarray, origin: Any, dim: Hashable) -> Ticks:
    """Turn values into numbers, integers counted from `origin`."""
    kind = values.dtype.kind
    if kind == "O":
        return _objects(values, origin, dim)
    if kind in "mM":
        unit, count = np.datetime_data(values.dtype)
        if unit not in _PER_SECOND or count != 1:
            values, unit = values.astype(f"{kind}8[ns]"), "ns"
            origin = origin.astype(values.dtype)
        missing = np.isnat(values)
        ticks = values.view(np.int64) - np.asarray(origin).view(np.int64)
        return Ticks(ticks, values, missing, _PER_SECOND[unit], 1.0, True)
    if kind == "f":
        finite = np.isfinite(values)
        largest = float(np.max(np.abs(values), where=finite, initial=0.0))
        rounding = 4 * float(np.finfo(values.dtype).eps) * largest
        return Ticks(values.astype(np.float64), values, ~finite, 1, rounding, False)
    ticks = values.astype(np.int64) - np.asarray(origin).astype(np.int64)
    return Ticks(ticks, values, np.zeros(len(values), bool), 1, 0.0, False)


def _objects(values: np.ndarray, origin: Any, dim: Hashable) -> Ticks:
    """Read cftime dates, which subtract to `datetime.timedelta`."""
    if getattr(origin, "tzinfo", None) is not None:
        raise _zoned(dim)
    # Nothing but cftime has calendars, so its import is left to those who use it.
    missing = np.array([not hasattr(value, "calendar") for value in values])
    if missing.all() or not hasattr(origin, "calendar"):
        raise _no_numbers(dim, f"object ({type(origin).__name__})")
    elapsed = np.zeros(len(values), "m8[us]")
    elapsed[~missing] = (values[~missing] - origin).astype("m8[us]")
    return Ticks(elapsed.view(np.int64), values, missing, 10**6, 1.0, True)


def _zoned(dim: Hashable) -> TypeError:
    return TypeError(
        f"coordinate {dim!r} holds times with a time zone: convert them to UTC without one, "
        f'obj.assign_coords({dim}=obj.indexes["{dim}"].tz_convert("UTC").tz_localize(None))'
    )


def _no_numbers(dim: Hashable, dtype: Any) -> TypeError:
    return TypeError(
        f"coordinate {dim!r} has dtype {dtype}, which says nothing of the sampling: give it "
        f"times or numbers, or leave it out with obj.drop_vars({dim!r}) and have frequencies in "
        "cycles per sample"
    )
