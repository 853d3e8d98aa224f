"""From memory to block size, and from block size to memory."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scatdask.blocks.geometry import Block, block_of, slab
from scatdask.transforms import Transform
from scatdask.transforms.base import EVERYWHERE

# Share of the samples read along an axis that may be halo.
HALO_OVERHEAD = 0.1
# A block of a short halo still has this many samples, so that each FFT is worth its call.
_SMALLEST = 2**17


class BlockMemory(NamedTuple):
    """Peak bytes of reading, transforming and keeping one block, by what they are for."""

    slab: int
    filters: int
    workspace: int
    output: int


def _aligned(transform: Transform, samples: float) -> int:
    return max(math.ceil(samples / transform.alignment), 1) * transform.alignment


def _preferred_length(transform: Transform) -> int:
    """Return the shortest block whose halo is at most HALO_OVERHEAD of what it reads."""
    halo = 2 * _aligned(transform, transform.halo)
    shortest = _SMALLEST ** (1 / transform.ndim)
    return _aligned(transform, max(halo * (1 / HALO_OVERHEAD - 1), shortest))


def eager_lengths(transform: Transform, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of a block for an array in memory: preferred ones, or all if not much more.

    The working set of a block, not the size of the signal, is then what has to fit the cache.
    """
    length = _preferred_length(transform)
    return tuple(length if n > 2 * length else _aligned(transform, n) for n in shape)


def shortest_lengths(transform: Transform, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the fewest samples that a block may own along each core axis: its halo, or all."""
    halo = _aligned(transform, transform.halo)
    return tuple(min(halo, _aligned(transform, n)) for n in shape)


def block_lengths(
    transform: Transform,
    shape: tuple[int, ...],
    rows: int,
    itemsize: int,
    memory: int,
    *,
    at_least: tuple[int, ...] | None = None,
) -> tuple[int, ...]:
    """Choose how many samples a block owns along each core axis.

    Parameters
    ----------
    transform : Transform
    shape : tuple of int
        Samples of the signal along each core axis.
    rows : int
        Signals in one block.
    itemsize : int
        Bytes of a sample of the slab.
    memory : int
        Bytes that a block may take.
    at_least : tuple of int, optional
        Samples that a block should own where memory allows, such as those of a stored chunk.

    Returns
    -------
    tuple of int
        Multiples of the alignment: the preferred length where memory allows, else less.

    Raises
    ------
    MemoryError
        If the halo alone needs more.
    """
    preferred = _preferred_length(transform)
    lengths, shortest = [], shortest_lengths(transform, shape)
    for n, wanted in zip(shape, at_least or (1,) * len(shape), strict=True):
        lengths.append(min(max(preferred, _aligned(transform, wanted)), _aligned(transform, n)))
    while block_memory(transform, rows, shape, tuple(lengths), itemsize) > memory:
        # The longest side that may shrink: cubes have the least halo.
        free = [axis for axis in range(len(shape)) if lengths[axis] > shortest[axis]]
        if not free:
            needed = block_memory(transform, rows, shape, shortest, itemsize)
            if transform.halo == EVERYWHERE:
                why = "since filters sampled in frequency see the whole signal"
                remedy = 'take sampling="space"'
            else:
                why = f"with a halo of {transform.halo} samples"
                remedy = "lower J or T, or raise the tolerance"
            raise MemoryError(
                f"a block of {rows} signals needs at least {needed / 2**20:.0f} MiB {why}, but "
                f"may take {memory / 2**20:.0f} MiB: allow more memory, {remedy}"
            )
        axis = max(free, key=lambda axis: lengths[axis])
        half = lengths[axis] // 2 // transform.alignment * transform.alignment
        lengths[axis] = max(half, shortest[axis])
    return tuple(lengths)


def block_memory(
    transform: Transform,
    rows: int,
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    itemsize: int,
) -> int:
    """Return the peak bytes of reading, transforming and keeping one block.

    Parameters
    ----------
    transform : Transform
    rows : int
        Signals in the block.
    shape : tuple of int
        Samples of the whole signal along each core axis.
    lengths : tuple of int
        Samples that the block owns along each.
    itemsize : int
        Bytes of a sample of the slab.
    """
    return sum(block_parts(transform, rows, shape, lengths, itemsize))


def block_parts(
    transform: Transform,
    rows: int,
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    itemsize: int,
) -> BlockMemory:
    """Return of what the peak of a block consists; parameters as of `block_memory`."""
    middle, last = [], []
    for n, length in zip(shape, lengths, strict=True):
        owned = min(length, n)
        # A block in the middle reads a halo on either side; near the ends it reads less.
        start = max((n - owned) // 2 // transform.alignment * transform.alignment, 0)
        middle.append((start, start + owned))
        last.append(((n - 1) // owned * owned, n))
    parts = [_one_block(transform, rows, block_of(transform, shape, tuple(middle)), itemsize)]
    if any(stop - start < length for (start, stop), length in zip(last, lengths, strict=True)):
        # Smaller, but more wavelets of it fit one pass.
        end = block_of(transform, shape, tuple(last))
        parts.append(_one_block(transform, rows, end, itemsize))
    return max(parts, key=sum)


def _one_block(transform: Transform, rows: int, block: Block, itemsize: int) -> BlockMemory:
    size = np.dtype(transform.dtype).itemsize
    lengths = tuple(slab.length for slab in block)
    padded_size, read_size = math.prod(lengths), math.prod(slab.n_read for slab in block)
    owned = tuple(slab.stop - slab.start for slab in block)
    at_once = transform.rows_at_once(rows, lengths)
    left_over = rows % at_once or at_once
    kept = size * sum(math.prod((*o.shape, *o.core_shape(owned))) for o in transform.outputs)
    # In float64, less its mean, and what tells its missing samples; then padded; then the FFT.
    n_pieces = max(len(slab.pieces) for slab in block)
    padding = at_once * read_size * (8 * (2 + n_pieces) + 1)
    padded = 8 * at_once * padded_size
    if transform.ndim > 1:  # axis after axis is extended, each a copy of the one before
        padding += padded
    work = max(
        padded + at_once * padded_size * (8 + size),
        padded + transform.sampling_memory(lengths),
        *(
            count * (padded_size * 8 + kept) + transform.workspace(count, lengths)
            for count in (at_once, left_over)
        ),
    )
    if rows > at_once:  # beside the outputs of all rows there are those of one pass
        work += rows * kept
        padding += rows * kept
    return BlockMemory(
        slab=rows * read_size * itemsize,
        filters=transform.filter_memory(lengths),
        workspace=max(padding, work) - rows * kept,
        output=rows * kept,
    )


def array_memory(transform: Transform, shape: tuple[int, ...]) -> int:
    """Return the peak bytes of `transform_array` on an array of a shape (..., *core).

    The input is counted in the transform's dtype.
    """
    batch, core = shape[: -transform.ndim], shape[-transform.ndim :]
    rows = math.prod(batch)
    lengths = eager_lengths(transform, core)
    size = np.dtype(transform.dtype).itemsize
    block = block_memory(transform, rows, core, lengths, 0)
    outputs = transform.outputs
    result = rows * size * sum(math.prod((*o.shape, *o.core_shape(core))) for o in outputs)
    missing = result // size  # one byte each, to see whether any output is NaN
    if any(length < n for length, n in zip(lengths, core, strict=True)):
        # The parts of all blocks, beside the last block's work or their join.
        padded = tuple(
            slab(transform, n, 0, min(length, n), axis=axis).length
            for axis, (n, length) in enumerate(zip(core, lengths, strict=True))
        )
        filters = transform.filter_memory(padded)
        block = max(block + result, 2 * result + filters + missing)
    return rows * math.prod(core) * size + max(block, result + missing)
