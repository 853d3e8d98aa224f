"""What one task of the lazy road does: cut the slab out of whole chunks, and transform it."""

from __future__ import annotations

import math

import numpy as np

from scatdask.arrays import AnyArray, array_namespace
from scatdask.blocks import combine_sums, slab, transform_block
from scatdask.transforms import Transform


def transform_chunks(
    transform: Transform,
    n: int,
    start: int,
    stop: int,
    pieces: tuple[tuple[int, int], ...],
    *chunks: AnyArray,
) -> AnyArray | list[AnyArray]:
    """Transform one block, given the chunks of the source that hold its slab.

    Parameters
    ----------
    transform : Transform
    n : int
        Samples of the signal.
    start, stop : int
        Samples that the block owns.
    pieces : tuple of (int, int)
        For each of the slab's ranges, how many chunks hold it and how many samples of the first
        of them come before it.
    *chunks : array, shape (*batch, samples)
        The chunks of the first range, then those of the second.

    Returns
    -------
    array or list of array
        Shape ``(*batch, path, time)``; a list if the transform has several outputs.
    """
    block = slab(transform, n, start, stop)
    batch = chunks[0].shape[:-1]
    parts, queue = [], iter(chunks)
    for (low, high), (count, skip) in zip(block.pieces, pieces, strict=True):
        wanted = high - low
        for _ in range(count):
            chunk = next(queue)[..., skip:]
            part = _rows(chunk[..., :wanted], batch)
            parts.append(part)
            wanted -= part.shape[-1]
            skip = 0
    arrays = transform_block(transform, block, n, parts)
    xp = array_namespace(arrays[0])
    shaped = [xp.reshape(array, (*batch, *array.shape[1:])) for array in arrays]
    return shaped[0] if len(shaped) == 1 else shaped


def mean_of_sums(sums: AnyArray, transform: Transform, n: int) -> AnyArray:
    """Turn the totals of ``T="global"``, shape (..., path, 1), into means."""
    return combine_sums(transform, sums, n)


def _rows(chunk: AnyArray, batch: tuple[int, ...]) -> AnyArray:
    if isinstance(chunk, np.ma.MaskedArray):
        chunk = np.ma.filled(chunk.astype(np.result_type(chunk.dtype, np.float32)), np.nan)
    return array_namespace(chunk).reshape(chunk, (math.prod(batch), chunk.shape[-1]))
