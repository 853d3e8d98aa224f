"""The block function: extend, transform, keep. Both roads and plain arrays go through it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from scatdask.arrays import (
    AnyArray,
    array_namespace,
    check_in_memory,
    check_precision,
    device_of,
    free_memory,
    from_numpy,
    is_surely,
    is_writable,
    kind_of,
    release_memory,
    to_numpy,
    widest_float,
)
from scatdask.blocks.geometry import Block, Grid, Slab, block_of, source_index
from scatdask.blocks.parts import in_parts, rows_at_once
from scatdask.blocks.sizing import eager_lengths
from scatdask.errors import NonFiniteWarning
from scatdask.kernels import Keep, transform_rows
from scatdask.transforms import Output, Transform

# Arrays nested in lists, once for each core axis.
Pieces = Any

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
    kind = kind_of(dtype)
    if kind in "fiu":
        return
    remedy = {
        "c": "transform its absolute value, or its real and imaginary parts one by one",
        "b": "convert it to a float type if a transform of zeros and ones is meant",
        "m": "divide it by a unit of time, such as np.timedelta64(1, 's')",
    }.get(kind, "convert it to a real numeric type")
    raise TypeError(f"{name} has dtype {dtype}, which has no scattering transform: {remedy}")


def transform_array(transform: Transform, x: AnyArray) -> AnyArray:
    """Transform an array in memory over its last axes; see `Transform.__call__`."""
    if isinstance(x, np.ma.MaskedArray):
        check_dtype(x.dtype)
        x = np.ma.filled(x.astype(np.result_type(x.dtype, np.float32)), np.nan)
    elif not hasattr(x, "shape"):
        x = np.asarray(x)
    check_in_memory(x)
    check_dtype(x.dtype)
    if x.ndim < transform.ndim:
        raise ValueError(f"x has {x.ndim} axes: {transform.name} needs at least {transform.ndim}")
    batch, shape = x.shape[: x.ndim - transform.ndim], x.shape[x.ndim - transform.ndim :]
    transform.check_shape(shape)
    check_precision(x, transform.dtype, stacklevel=3)
    xp = array_namespace(x)
    flat = xp.reshape(x, (math.prod(batch), *shape))
    grid = Grid(shape, eager_lengths(transform, shape))
    parts = []
    for index in range(len(grid)):
        block = block_of(transform, shape, grid.bounds(index))
        parts.append(transform_block(transform, block, shape, _cut(flat, block)))
    arrays = [
        _join(xp, list(part), grid.counts, are_sums=output.stride is None)
        for part, output in zip(zip(*parts, strict=True), transform.outputs, strict=True)
    ]
    if any(is_surely(xp.any(xp.isnan(a))) for a in arrays):
        warnings.warn(
            "x holds samples that are NaN, infinite, or beyond "
            f"{LARGEST[transform.dtype]:g}: every output within "
            f"{min(transform.halo, max(shape))} samples of one is NaN",
            NonFiniteWarning,
            stacklevel=3,
        )
    if transform.outputs[0].stride is None:
        arrays = [combine_sums(transform, arrays[0], shape)]
    shaped = [xp.reshape(a, (*batch, *a.shape[1:])) for a in arrays]
    if not transform.is_ragged:
        return shaped[0]
    places = {
        path: shaped[which][(..., row, *(slice(None),) * (len(output.inner) + transform.ndim))]
        for which, output in enumerate(transform.outputs)
        for row, path in enumerate(output.paths)
    }
    return [places[path] for path in range(transform.n_paths)]


def _cut(x: AnyArray, block: Block, axis: int = 0) -> Pieces:
    """Return the pieces of an array, shape (rows, *core), that a block reads."""
    if axis == len(block):
        return x
    before = (slice(None),) * (axis + 1)
    return [
        _cut(x[(*before, slice(start, stop), ...)], block, axis + 1)
        for start, stop in block[axis].pieces
    ]


def _join(xp: Any, parts: list[AnyArray], counts: tuple[int, ...], *, are_sums: bool) -> AnyArray:
    """Lay the outputs of blocks side by side, or add them up."""
    if len(parts) == 1:
        return parts[0]
    if are_sums:
        total = xp.astype(parts[0], widest_float(parts[0]))
        for part in parts[1:]:
            total = total + part
        return total
    for axis, count in zip(range(-1, -len(counts) - 1, -1), reversed(counts), strict=True):
        groups = [parts[first : first + count] for first in range(0, len(parts), count)]
        parts = [xp.concat(group, axis=axis) for group in groups]
    return parts[0]


def combine_sums(transform: Transform, sums: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Weigh the sums over a whole signal, and drop their core axes.

    Parameters
    ----------
    transform : Transform
        One whose outputs have no stride, such as with ``T="global"``.
    sums : array, shape (..., path, *inner, 1, ..., 1)
    shape : tuple of int
        Samples of the signal along each core axis.

    Returns
    -------
    array, shape (..., path, *inner)
    """
    xp = array_namespace(sums)
    weights = transform.sum_weights(shape).reshape(-1, *(1,) * len(transform.outputs[0].inner))
    weights = from_numpy(weights, like=sums)
    flat = xp.reshape(sums, sums.shape[: sums.ndim - transform.ndim])
    wide = xp.astype(flat, widest_float(sums))
    return xp.astype(wide * weights, getattr(xp, transform.dtype))


def transform_block(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> list[AnyArray]:
    """Transform one block.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
        What the block needs, by `block_of`.
    shape : tuple of int
        Samples of the whole signal along each core axis.
    pieces : list of array, each of shape (rows, *samples)
        The ranges of the signal that the slabs name, of any real dtype; nested as for
        `numpy.block`, once for each core axis. A range may come in several parts. Never written
        to.

    Returns
    -------
    list of array
        One for each of ``transform.outputs``, shape ``(rows, path, *core)``, of the transform's
        dtype; sums where an output has no stride, see `combine_sums`. An output is NaN exactly
        where a sample within the halo of it, along every core axis, is not finite, or beyond
        `LARGEST`.
    """
    first = _first(pieces)
    rows = first.shape[0]
    shapes = tuple(_output_shape(output, block) for output in transform.outputs)
    at_once = rows_at_once(transform, block, rows, shapes, like=first)
    if rows == at_once and free_memory(first) is None:
        return _transform_some(transform, block, shape, pieces)

    def compute(start: int, stop: int) -> list[AnyArray]:
        return _transform_some(transform, block, shape, _some_rows(pieces, start, stop))

    def on_host(start: int, stop: int) -> list[AnyArray]:
        some = _on_host(_some_rows(pieces, start, stop))
        return [from_numpy(a, like=first) for a in transform_block(transform, block, shape, some)]

    parts = in_parts(compute, rows, at_once, release=lambda: release_memory(first), on_host=on_host)
    xp = array_namespace(first)
    if rows and not is_writable(first):
        return [xp.concat(some, axis=0) for some in zip(*(p for _, p in parts), strict=True)]
    dtype, device = getattr(xp, transform.dtype), device_of(first)
    arrays = [xp.empty((rows, *shape), dtype=dtype, device=device) for shape in shapes]
    for row, values in parts:
        _store(arrays, row, values)
        del values
    return arrays


def _output_shape(output: Output, block: Block) -> tuple[int, ...]:
    core = (Keep(slab.start - slab.low, slab.stop - slab.low) for slab in block)
    return (*output.shape, *(keep.n_out(output.stride) for keep in core))


def _store(arrays: list[AnyArray], row: int, values: list[AnyArray]) -> None:
    """Put the outputs of some rows in their place."""
    for array, value in zip(arrays, values, strict=True):
        array[row : row + value.shape[0], ...] = value


def _first(pieces: Pieces) -> AnyArray:
    while isinstance(pieces, list):
        pieces = pieces[0]
    return pieces


def _some_rows(pieces: Pieces, start: int, stop: int) -> Pieces:
    if isinstance(pieces, list):
        return [_some_rows(piece, start, stop) for piece in pieces]
    return pieces[start:stop, ...]


def _on_host(pieces: Pieces) -> Pieces:
    return [_on_host(piece) for piece in pieces] if isinstance(pieces, list) else to_numpy(pieces)


def _transform_some(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> list[AnyArray]:
    """Transform as many rows as the kernel takes in one pass."""
    xp = array_namespace(_first(pieces))
    keep = tuple(Keep(slab.start - slab.low, slab.stop - slab.low) for slab in block)
    padded, mean, bad = _pad(transform, block, shape, pieces)
    values = transform_rows(transform, padded, mean, keep)
    if bad is not None:
        for which, output in enumerate(transform.outputs):
            touched = _touched(transform, keep, shape, bad, output.stride)
            value = values[which]
            between = (1,) * len(output.shape)
            touched = xp.reshape(touched, (touched.shape[0], *between, *touched.shape[1:]))
            values[which] = xp.where(touched, xp.full_like(value[:1, ...], xp.nan), value)
    return values


def _pad(
    transform: Transform, block: Block, shape: tuple[int, ...], pieces: Pieces
) -> tuple[AnyArray, AnyArray, AnyArray | None]:
    """Join pieces, extend rows past true ends, take out their mean, fill up to the FFT's length.

    Returns the padded rows, the means, and where samples of the extended rows were not finite
    (None if none for sure).
    """
    xp = array_namespace(_first(pieces))
    axes = tuple(range(1, len(shape) + 1))
    x = _laid_out(xp, pieces, 1)
    finite = xp.abs(x) <= LARGEST[transform.dtype]  # not so for NaN
    bad = None
    if not is_surely(xp.all(finite)):
        bad = ~finite
        x = xp.where(finite, x, xp.zeros_like(x))
        count = xp.sum(xp.astype(finite, x.dtype), axis=axes, keepdims=True)
        mean = xp.sum(x, axis=axes, keepdims=True) / xp.where(count > 0, count, xp.ones_like(count))
        x = xp.where(finite, x, mean)
    else:
        mean = xp.mean(x, axis=axes, keepdims=True)
    x = x - mean
    never = from_numpy(np.zeros((1,) * (len(shape) + 1), bool), like=x)
    for axis, (slab, n, boundary) in enumerate(
        zip(block, shape, transform.boundaries, strict=True), start=1
    ):
        x = _ramped(_extend(boundary, slab, n, x, axis, -mean), slab.length, axis)
        if bad is not None:
            bad = _extend(boundary, slab, n, bad, axis, never)
    return x, xp.reshape(mean, (-1,)), bad


def _laid_out(xp: Any, pieces: Pieces, axis: int) -> AnyArray:
    """Join nested pieces in float64, or what there is instead."""
    if not isinstance(pieces, list):
        return xp.astype(pieces, widest_float(pieces))
    parts = [_laid_out(xp, piece, axis + 1) for piece in pieces]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)


def _extend(
    boundary: str, slab: Slab, n: int, x: AnyArray, axis: int, outside: AnyArray
) -> AnyArray:
    """Return rows over ``[slab.low, slab.high)`` of one axis from the samples of ``slab.pieces``.

    `outside`, of length one along the core axes, is what stands beyond the ends for the boundary
    "zero".
    """
    xp = array_namespace(x)
    if slab.n_read == slab.high - slab.low:
        return x
    if boundary == "periodic":
        position = np.arange(slab.low, slab.high) % n
        return xp.take(x, from_numpy(position, like=x), axis=axis)
    origin = slab.pieces[0][0]
    sides = []
    for position in (np.arange(slab.low, 0), np.arange(n, slab.high)):
        index = from_numpy(source_index(position, n, boundary) - origin, like=x)
        side = xp.take(x, index, axis=axis)
        sides.append(xp.broadcast_to(outside, side.shape) if boundary == "zero" else side)
    return xp.concat([sides[0], x, sides[1]], axis=axis)


def _ramped(x: AnyArray, length: int, axis: int) -> AnyArray:
    """Fill one axis up to the FFT's length.

    An FFT joins the two ends of the row. A step there would be louder than the faint high
    frequencies of a smooth signal, so a straight line leads back to the first sample.
    """
    n_ramp = length - x.shape[axis]
    if not n_ramp:
        return x
    xp = array_namespace(x)
    before = (slice(None),) * axis
    first, last = x[(*before, slice(0, 1), ...)], x[(*before, slice(-1, None), ...)]
    weight = xp.arange(1, n_ramp + 1, dtype=x.dtype, device=device_of(x)) / (n_ramp + 1)
    ramp = last + (first - last) * xp.reshape(weight, (-1, *(1,) * (x.ndim - 1 - axis)))
    return xp.concat([x, ramp], axis=axis)


def _touched(
    transform: Transform,
    keep: tuple[Keep, ...],
    shape: tuple[int, ...],
    bad: AnyArray,
    stride: int | None,
) -> AnyArray:
    """Say which outputs have a sample within the halo that is not finite, shape (rows, *core)."""
    xp = array_namespace(bad)
    step = stride or 1
    for axis, (kept, n, boundary) in enumerate(
        zip(keep, shape, transform.boundaries, strict=True), start=1
    ):
        halo, shift = transform.halo, 0
        if boundary == "periodic" and bad.shape[axis] == n:
            # The whole of a periodic signal: windows go around. More than once changes nothing.
            halo = min(halo, n)
            around = from_numpy(np.arange(-halo, n + halo) % n, like=bad)
            bad, shift = xp.take(bad, around, axis=axis), halo
        count = xp.cumulative_sum(
            xp.astype(bad, xp.int32), axis=axis, dtype=xp.int32, include_initial=True
        )
        centre = np.arange(*kept.outputs(step)) * step + shift
        after = xp.take(count, from_numpy(centre + halo + 1, like=bad), axis=axis)
        bad = after > xp.take(count, from_numpy(centre - halo, like=bad), axis=axis)
        if stride is None:
            bad = xp.any(bad, axis=axis, keepdims=True)
    return bad
