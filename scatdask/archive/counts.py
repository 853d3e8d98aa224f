"""What the blocks of a layout read and compute, counted axis by axis.

Blocks are a product of ranges along each axis, and so is what they read: counts multiply, and a
job of a million blocks is counted in no time.
"""

from __future__ import annotations

import math

import numpy as np

from scatdask.archive.layout import Layout, StoredArray
from scatdask.blocks import slab
from scatdask.transforms import Transform


def samples_read(transform: Transform, layout: Layout) -> int:
    """Count the samples that all blocks read, halos included."""
    total = math.prod(layout.batch_shape)
    for axis in range(len(layout.dims)):
        start, stop = _pieces(transform, layout, axis)
        total *= int((stop - start).sum())
    return total


def chunks_touched(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Count the source chunks that the blocks decode; a chunk counts for each read anew."""
    total = 1
    for axis, dim in enumerate(layout.dims):
        total *= _n_chunks(*_pieces(transform, layout, axis), stored.chunks[dim])
    for dim, n, block in zip(
        layout.batch_dims, layout.batch_shape, layout.batch_block, strict=True
    ):
        start = np.arange(0, n, max(block, 1), dtype=np.int64)
        total *= _n_chunks(start, np.minimum(start + block, n), stored.chunks[dim])
    return total


def operations(transform: Transform, layout: Layout) -> float:
    """Count the floating-point operations of all blocks."""
    each = (
        transform.flops((1, *lengths)) * count for lengths, count in layout.padded_shapes(transform)
    )
    return sum(each) * math.prod(layout.batch_shape)


def _n_chunks(start: np.ndarray, stop: np.ndarray, size: int) -> int:
    """Count the chunks of a size that ranges touch."""
    return int((-(-stop // size) - start // size).sum())


def _pieces(transform: Transform, layout: Layout, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first and past-the-last samples of all `Slab.pieces` along a core axis."""
    n, size = layout.shape[axis], layout.at_once[axis]
    start = np.arange(0, n, size, dtype=np.int64)
    one = slab(transform, n, 0, min(size, n), axis=axis)
    if len(start) == 1:
        starts, stops = zip(*one.pieces, strict=True)
        return np.array(starts), np.array(stops)
    low, high = start + one.low, np.minimum(start + size, n) + transform.halo
    if transform.boundaries[axis] != "periodic":
        return np.maximum(low, 0), np.minimum(high, n)
    whole = high - low > n
    first, last = low % n, (high - 1) % n + 1
    wraps = ~whole & (first >= last)
    return (
        np.concatenate([np.where(whole, 0, first), np.zeros_like(last[wraps])]),
        np.concatenate([np.where(whole | wraps, n, last), last[wraps]]),
    )
