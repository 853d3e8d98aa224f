"""The block function: extend, transform, keep. Both roads and plain arrays go through it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from scatdask.arrays import AnyArray, array_namespace, check_in_memory, device_of, from_numpy
from scatdask.blocks.geometry import Grid, Slab, slab, source_index
from scatdask.blocks.sizing import eager_length
from scatdask.errors import NonFiniteWarning
from scatdask.kernels import Keep, transform_rows
from scatdask.transforms import Transform

# Samples beyond this count as missing: sums over a block of them overflow, and would spoil all of
# the block instead of what they touch. Fill values of some formats lie there.
LARGEST = {"float32": 1e30, "float64": 1e290}


def check_dtype(dtype: Any, name: str = "x") -> None:
    """Raise TypeError unless samples of a type are real numbers.

    Parameters
    ----------
    dtype : numpy.dtype or data type of another array library
    name : str
        What to call the samples in the message.
    """
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = np.dtype(str(dtype).rpartition(".")[2]).kind
    if kind in "fiu":
        return
    remedy = {
        "c": "transform its absolute value, or its real and imaginary parts one by one",
        "b": "convert it to a float type if a transform of zeros and ones is meant",
        "m": "divide it by a unit of time, such as np.timedelta64(1, 's')",
    }.get(kind, "convert it to a real numeric type")
    raise TypeError(f"{name} has dtype {dtype}, which has no scattering transform: {remedy}")


def transform_array(transform: Transform, x: AnyArray) -> AnyArray:
    """Transform an array in memory over its last axis; see `Transform.__call__`."""
    if isinstance(x, np.ma.MaskedArray):
        check_dtype(x.dtype)
        x = np.ma.filled(x.astype(np.result_type(x.dtype, np.float32)), np.nan)
    elif not hasattr(x, "shape"):
        x = np.asarray(x)
    check_dtype(x.dtype)
    if x.ndim == 0:
        raise ValueError("x has no axes: a signal needs at least one")
    *batch, n = x.shape
    transform.check_length(n)
    check_in_memory(x)
    xp = array_namespace(x)
    flat = xp.reshape(x, (math.prod(batch), n))
    grid = Grid(n, eager_length(transform, n))
    parts = []
    for index in range(len(grid)):
        block = slab(transform, n, *grid.bounds(index))
        parts.append(transform_block(transform, block, n, [flat[:, a:b] for a, b in block.pieces]))
    arrays = [
        part[0] if len(part) == 1 else _join(xp, list(part), output.stride is None)
        for part, output in zip(zip(*parts, strict=True), transform.outputs, strict=True)
    ]
    if any(bool(xp.any(xp.isnan(a))) for a in arrays):
        warnings.warn(
            "x holds samples that are NaN, infinite, or beyond "
            f"{LARGEST[transform.dtype]:g}: every output within {transform.halo} samples of one "
            "is NaN",
            NonFiniteWarning,
            stacklevel=3,
        )
    shaped = [xp.reshape(a, (*batch, *a.shape[1:])) for a in arrays]
    if transform.outputs[0].stride is None:
        return combine_sums(transform, shaped[0], n)
    if not transform.is_ragged:
        return shaped[0]
    places = {
        path: shaped[which][..., row, :]
        for which, output in enumerate(transform.outputs)
        for row, path in enumerate(output.paths)
    }
    return [places[path] for path in range(transform.n_paths)]


def _join(xp: Any, parts: list[AnyArray], are_sums: bool) -> AnyArray:
    if not are_sums:
        return xp.concat(parts, axis=-1)
    total = xp.astype(parts[0], xp.float64)
    for part in parts[1:]:
        total = total + part
    return total


def combine_sums(transform: Transform, sums: AnyArray, n: int) -> AnyArray:
    """Divide the sums of ``T="global"``, shape (..., path, 1), by the samples that they hold."""
    xp = array_namespace(sums)
    counts = np.array([-(-n // rate) for rate in transform.rates], dtype=np.float64)
    means = xp.astype(sums[..., 0], xp.float64) / from_numpy(counts, like=sums)
    return xp.astype(means, getattr(xp, transform.dtype))


def transform_block(
    transform: Transform, block: Slab, n: int, pieces: list[AnyArray]
) -> list[AnyArray]:
    """Transform one block.

    Parameters
    ----------
    transform : Transform
    block : Slab
        What the block needs, by `slab`.
    n : int
        Samples of the whole signal.
    pieces : list of array, each of shape (rows, samples)
        The ranges ``block.pieces`` of the signal, of any real dtype. Never written to.

    Returns
    -------
    list of array
        One for each of ``transform.outputs``, shape ``(rows, path, time)``, of the transform's
        dtype. For ``T="global"`` sums, see `combine_sums`. An output is NaN exactly where a
        sample within the halo of it is not finite, or beyond `LARGEST`.
    """
    xp = array_namespace(pieces[0])
    rows = pieces[0].shape[0]
    at_once = transform.rows_at_once(rows, block.length)
    if rows == at_once:
        return _transform_some(transform, block, n, pieces)
    dtype, device = getattr(xp, transform.dtype), device_of(pieces[0])
    keep = Keep(block.start - block.low, block.stop - block.low)
    arrays = [
        xp.empty((rows, len(o.paths), keep.n_out(o.stride)), dtype=dtype, device=device)
        for o in transform.outputs
    ]
    for first in range(0, rows, at_once):
        some = slice(first, min(first + at_once, rows))
        _store(arrays, some, _transform_some(transform, block, n, [p[some, :] for p in pieces]))
    return arrays


def _store(arrays: list[AnyArray], rows: slice, values: list[AnyArray]) -> None:
    """Put the outputs of some rows in their place; as a call, so that it keeps none of them."""
    for array, value in zip(arrays, values, strict=True):
        array[rows, :, :] = value


def _transform_some(
    transform: Transform, block: Slab, n: int, pieces: list[AnyArray]
) -> list[AnyArray]:
    """Transform as many rows as the kernel takes in one pass."""
    xp = array_namespace(pieces[0])
    keep = Keep(block.start - block.low, block.stop - block.low)
    padded, mean, bad = _pad(transform, block, n, pieces)
    values = transform_rows(transform, padded, mean, keep)
    if bad is not None:
        for which, output in enumerate(transform.outputs):
            touched = _touched(transform, keep, n, bad, output.stride)[:, None, :]
            value = values[which]
            nan = xp.full_like(value[:, :1, :], xp.nan)
            values[which] = xp.where(from_numpy(touched, like=value), nan, value)
    return values


def _pad(
    transform: Transform, block: Slab, n: int, pieces: list[AnyArray]
) -> tuple[AnyArray, AnyArray, np.ndarray | None]:
    """Join pieces, extend rows past true ends, take out their mean, fill up to the FFT's length.

    Returns the padded rows, the means, and where samples of the extended rows were not finite
    (None if none).
    """
    xp = array_namespace(pieces[0])
    wide = [xp.astype(piece, xp.float64) for piece in pieces]
    x = wide[0] if len(wide) == 1 else xp.concat(wide, axis=1)
    del wide
    finite = xp.abs(x) <= LARGEST[transform.dtype]  # not so for NaN
    bad = None
    if not bool(xp.all(finite)):
        bad = ~np.asarray(finite)
        bad = _extend(transform.boundary, block, n, bad, np.zeros((len(bad), 1), bool))
        x = xp.where(finite, x, xp.zeros_like(x))
        count = xp.sum(xp.astype(finite, xp.float64), axis=1, keepdims=True)
        mean = xp.sum(x, axis=1, keepdims=True) / xp.where(count > 0, count, xp.ones_like(count))
        x = xp.where(finite, x, mean)
    else:
        mean = xp.mean(x, axis=1, keepdims=True)
    x = _extend(transform.boundary, block, n, x - mean, -mean)
    n_ramp = block.length - x.shape[1]
    if n_ramp:
        # An FFT joins the two ends of the row. A step there would be louder than the faint high
        # frequencies of a smooth signal, so a straight line leads back to the first sample.
        weight = np.arange(1, n_ramp + 1) / (n_ramp + 1)
        weight = from_numpy(weight, like=x)
        ramp = x[:, -1:] + (x[:, :1] - x[:, -1:]) * weight
        x = xp.concat([x, ramp], axis=1)
    return x, mean[:, 0], bad


def _extend(boundary: str, block: Slab, n: int, x: AnyArray, outside: AnyArray) -> AnyArray:
    """Return rows over ``[block.low, block.high)`` from the samples of ``block.pieces``.

    `outside`, shape (rows, 1), is what stands beyond the ends for the boundary "zero".
    """
    xp = array_namespace(x)
    if block.n_read == block.high - block.low:
        return x
    if boundary == "periodic":
        position = np.arange(block.low, block.high) % n
        return xp.take(x, from_numpy(position, like=x), axis=1)
    origin = block.pieces[0][0]
    sides = []
    for position in (np.arange(block.low, 0), np.arange(n, block.high)):
        index = from_numpy(source_index(position, n, boundary) - origin, like=x)
        side = xp.take(x, index, axis=1)
        sides.append(xp.broadcast_to(outside, side.shape) if boundary == "zero" else side)
    return xp.concat([sides[0], x, sides[1]], axis=1)


def _touched(
    transform: Transform, keep: Keep, n: int, bad: np.ndarray, stride: int | None
) -> np.ndarray:
    """Say which outputs have a sample within the halo that is not finite, shape (rows, time)."""
    halo = transform.halo
    shift = 0
    if transform.boundary == "periodic" and bad.shape[1] == n:
        # The whole of a periodic signal: windows go around, perhaps more than once.
        bad = np.pad(bad, ((0, 0), (halo, halo)), mode="wrap")
        shift = halo
    count = np.concatenate([np.zeros((len(bad), 1), np.int64), np.cumsum(bad, axis=1)], axis=1)
    step = stride or 1
    centre = np.arange(*keep.outputs(step)) * step + shift
    window = count[:, centre + halo + 1] - count[:, centre - halo]
    return window.any(axis=1, keepdims=True) if stride is None else window > 0
