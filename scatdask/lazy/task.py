"""What one task of the lazy road does: cut the slabs out of whole chunks, and transform them."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import numpy as np

from scatdask.arrays import AnyArray, array_namespace
from scatdask.blocks import Slab, block_of, combine_sums, transform_block
from scatdask.transforms import Transform

# For each of a slab's ranges how many chunks hold it, and how many samples of the first of them
# come before it.
Cut = tuple[tuple[int, int], ...]


def transform_chunks(
    transform: Transform,
    shape: tuple[int, ...],
    bounds: tuple[tuple[int, int], ...],
    cuts: tuple[Cut, ...],
    *chunks: AnyArray,
) -> AnyArray | list[AnyArray]:
    """Transform one block, given the chunks of the source that hold its slabs.

    Parameters
    ----------
    transform : Transform
    shape : tuple of int
        Samples of the signal along each core axis.
    bounds : tuple of (int, int)
        Samples that the block owns along each.
    cuts : tuple of tuple of (int, int)
        For each core axis and each of the slab's ranges along it, how many chunks hold the range
        and how many samples of the first of them come before it.
    *chunks : array, shape (*batch, *samples)
        One for each combination of the chunks along each axis, the last axis fastest.

    Returns
    -------
    array or list of array
        Shape ``(*batch, path, *core)``; a list if the transform has several outputs.
    """
    block = block_of(transform, shape, bounds)
    batch = chunks[0].shape[: chunks[0].ndim - len(shape)]
    counts = [sum(count for count, _ in cut) for cut in cuts]
    strides = [*accumulate(reversed(counts[1:]), int.__mul__, initial=1)][::-1]
    slices = [
        _slices(slab, cut, [c.shape[len(batch) + axis] for c in chunks[:: strides[axis]]])
        for axis, (slab, cut) in enumerate(zip(block, cuts, strict=True))
    ]

    def nested(first: int, chosen: tuple[slice, ...]) -> Any:
        axis = len(chosen)
        if axis == len(shape):
            return _rows(chunks[first][(..., *chosen)], batch)
        return [
            nested(first + column * strides[axis], (*chosen, some))
            for column, some in enumerate(slices[axis])
        ]

    arrays = transform_block(transform, block, shape, nested(0, ()))
    xp = array_namespace(arrays[0])
    shaped = [xp.reshape(array, (*batch, *array.shape[1:])) for array in arrays]
    return shaped[0] if len(shaped) == 1 else shaped


def _slices(slab: Slab, cut: Cut, sizes: list[int]) -> list[slice]:
    """Return what is wanted of each chunk along one axis, given their sizes along it."""
    slices: list[slice] = []
    for (low, high), (count, skip) in zip(slab.pieces, cut, strict=True):
        wanted = high - low
        for _ in range(count):
            stop = min(sizes[len(slices)], skip + wanted)
            slices.append(slice(skip, stop))
            wanted -= stop - skip
            skip = 0
    return slices


def combine_chunk(sums: AnyArray, transform: Transform, shape: tuple[int, ...]) -> AnyArray:
    """Weigh the totals of a whole signal, shape (..., path, 1, ..., 1)."""
    return combine_sums(transform, sums, shape)


def _rows(chunk: AnyArray, batch: tuple[int, ...]) -> AnyArray:
    """Return a chunk as plain numbers, shape (rows, *samples)."""
    if isinstance(chunk, np.ma.MaskedArray):
        chunk = np.ma.filled(chunk.astype(np.result_type(chunk.dtype, np.float32)), np.nan)
    core = chunk.shape[len(batch) :]
    return array_namespace(chunk).reshape(chunk, (math.prod(batch), *core))
