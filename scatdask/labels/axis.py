"""The sampling of an axis, read off its coordinate."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scatdask.labels.faults import Faults
from scatdask.labels.ticks import Ticks, as_ticks, check_kind

if TYPE_CHECKING:
    import xarray as xr

# Values of a coordinate that are looked at together, and that are read at once at most.
BLOCK = 2**20
_LARGEST_PIECE = 2**23

_SECONDS = ("s", "sec", "secs", "second", "seconds")
_METRES = ("m", "metre", "metres", "meter", "meters")


@dataclass(frozen=True)
class Sampling:
    """How an axis is sampled.

    Attributes
    ----------
    step : float or None
        Distance between neighbouring samples, positive; None where the axis has no coordinate or
        only one sample.
    unit : str
        Unit of frequencies: the inverse of the step's, or "cycles per sample" without a step.
    step_unit : str
        Unit of the step.
    description : str
        The same in words.
    decreasing : bool
        Whether the coordinate runs backwards, as latitudes from north to south.
    """

    step: float | None
    unit: str
    step_unit: str
    description: str
    decreasing: bool = False


def samplings(obj: xr.DataArray | xr.Dataset, dims: tuple[Hashable, ...]) -> tuple[Sampling, ...]:
    """Read the sampling of each core dimension off its coordinate.

    A coordinate may run backwards where there are several core dimensions: maps and volumes have
    no arrow of time, and latitudes are often stored from north to south.

    Parameters
    ----------
    obj : DataArray or Dataset
    dims : tuple of hashable

    Returns
    -------
    tuple of Sampling

    Raises
    ------
    TypeError, ValueError
        As `sampling`.
    """
    backwards = len(dims) > 1
    return tuple(sampling(obj.coords.get(dim), dim, may_decrease=backwards) for dim in dims)


def sampling(coord: xr.DataArray | None, dim: Hashable, *, may_decrease: bool = False) -> Sampling:
    """Read the sampling step off a coordinate, and check that it is uniform.

    The coordinate is read in blocks, so one that lies on disk is never loaded whole. Each step
    may differ from the median step by 1 % of it, and by the rounding of the
    coordinate's own type. Slow drift is harmless, because output coordinates are slices of the
    input's; the step returned is the mean one.

    Parameters
    ----------
    coord : DataArray, shape (n,), or None
        Coordinate of the axis as ``obj.coords.get(dim)`` gives it: datetime64, timedelta64,
        cftime or numeric. None if there is none.
    dim : hashable
        Name of the axis.
    may_decrease : bool, default False
        Whether the coordinate may run backwards, all the way.

    Returns
    -------
    Sampling
        In seconds and Hz for times. For numbers the ``units`` attribute of the coordinate
        decides: "Hz" for "s", "1/m" for "m", "cycles per unit of <dim>" if there is none.

    Raises
    ------
    TypeError
        If the coordinate is neither times nor real numbers, or its times carry a time zone.
    ValueError
        If values are missing, repeated, decreasing, have gaps, or are not uniform.

    Examples
    --------
    >>> import xarray as xr
    >>> time = xr.date_range("2024-01-01", periods=100, freq="10ms")
    >>> sampling(xr.DataArray(time, dims="time"), "time")
    Sampling(step=0.01, unit='Hz', step_unit='s',
             description='time is sampled every 0.01 s (100 Hz)', decreasing=False)
    >>> sampling(None, "time").unit
    'cycles per sample'
    """
    # For a dimension without coordinate, obj.coords.get(dim) makes up 0, 1, 2, ...
    made_up = coord is not None and coord.name == dim and dim not in coord.coords
    if coord is None or made_up:
        return _unknown(f"{dim} has no coordinate")
    check_kind(coord, dim)
    if coord.sizes[dim] < 2:
        return _unknown(f"{dim} has fewer than two samples: its spacing is unknown")
    faults: Faults | None = None
    begin = end = 0.0
    for first, ticks in _blocks(coord, dim):
        if faults is None:
            decreasing = may_decrease and _runs_backwards(ticks)
        if decreasing:
            ticks = replace(ticks, values=-ticks.values)
        if faults is None:
            faults, begin = Faults(dim, ticks, decreasing=decreasing), float(ticks.values[0])
        faults.look(first, ticks)
        end = float(ticks.values[-1])
    assert faults is not None
    faults.raise_if_any()
    step = (end - begin) / (coord.sizes[dim] - 1) / ticks.per_unit
    unit, step_unit = ("Hz", "s") if ticks.is_time else _units(coord.attrs.get("units"), dim)
    description = _describe(dim, step, unit, step_unit)
    if decreasing:
        description += ", decreasing"
    return Sampling(step, unit, step_unit, description, decreasing)


def _blocks(coord: xr.DataArray, dim: Hashable) -> Iterator[tuple[int, Ticks]]:
    """Yield blocks that share one value with the next, each with the index of its first."""
    size = _piece(coord.encoding.get("preferred_chunks", {}).get(dim, 1))
    values: Any = None
    for start in range(0, coord.sizes[dim], size):
        piece = coord.variable.isel({dim: slice(start, start + size)}).values
        if values is None:
            values, offset, origin = piece, 0, piece[0]
        else:
            values, offset = np.concatenate([values[-1:], piece]), start - 1
        for first in range(0, len(values) - 1, BLOCK):
            yield offset + first, as_ticks(values[first : first + BLOCK + 1], origin, dim)


def _piece(chunk: int) -> int:
    """Return how many values to read at once: whole chunks, for each is decoded as a whole."""
    if chunk > _LARGEST_PIECE:
        return _LARGEST_PIECE
    return chunk * max(BLOCK // chunk, 1)


def _runs_backwards(ticks: Ticks) -> bool:
    """Whether more of the steps between good values go down than up."""
    good = ~ticks.missing
    steps = np.diff(ticks.values)[good[1:] & good[:-1]]
    return int((steps < 0).sum()) > int((steps > 0).sum())


def _unknown(description: str) -> Sampling:
    return Sampling(None, "cycles per sample", "samples", description)


def _units(units: Any, dim: Hashable) -> tuple[str, str]:
    """Return the unit of frequencies and the unit of the step."""
    # A time that was not decoded reads "seconds since 1970-01-01".
    name = str(units or "").partition(" since ")[0].strip()
    if name in ("", "1"):
        return f"cycles per unit of {dim}", f"units of {dim}"
    if name.lower() in _SECONDS:
        return "Hz", "s"
    if name.lower() in _METRES:
        return "1/m", "m"
    return (f"1/{name}" if name.isalnum() else f"1/({name})"), name


def _describe(dim: Hashable, step: float, unit: str, step_unit: str) -> str:
    if unit.startswith("cycles"):
        return f"{dim} is sampled every {step:.6g} {step_unit}"
    return f"{dim} is sampled every {step:.6g} {step_unit} ({1 / step:.6g} {unit})"
