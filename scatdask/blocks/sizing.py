"""From memory to block size, and from block size to memory."""

from __future__ import annotations

import math

import numpy as np

from scatdask.blocks.geometry import Slab, slab
from scatdask.transforms import Transform

# Share of the samples read that may be halo.
HALO_OVERHEAD = 0.1
# A block of a short halo is still this many samples, so that each FFT is worth its call.
_SHORTEST = 2**17
# Bytes for each bin of the filter that is being sampled, in float64.
SAMPLING_BYTES = 64


def _preferred_length(transform: Transform) -> int:
    """Return the shortest block whose halo is at most HALO_OVERHEAD of what it reads."""
    halo = 2 * math.ceil(transform.halo / transform.alignment) * transform.alignment
    length = max(halo * (1 / HALO_OVERHEAD - 1), _SHORTEST)
    return math.ceil(length / transform.alignment) * transform.alignment


def eager_length(transform: Transform, n: int) -> int:
    """Return the block length for an array in memory: the preferred one, or all if not much more.

    The working set of a block, not the length of the signal, is then what has to fit the cache.
    """
    length = _preferred_length(transform)
    return length if n > 2 * length else math.ceil(n / transform.alignment) * transform.alignment


def block_length(
    transform: Transform, n: int, rows: int, itemsize: int, memory: int, *, at_least: int = 1
) -> int:
    """Choose how many samples a block owns.

    Parameters
    ----------
    transform : Transform
    n : int
        Samples of the signal.
    rows : int
        Signals in one block.
    itemsize : int
        Bytes of a sample as it is stored.
    memory : int
        Bytes that a block may take.
    at_least : int, default 1
        Samples that a block should own where memory allows, such as those of a stored chunk.

    Returns
    -------
    int
        A multiple of the alignment: the preferred length where memory allows, else less.

    Raises
    ------
    MemoryError
        If the halo alone needs more.
    """
    whole = math.ceil(n / transform.alignment) * transform.alignment
    wanted = math.ceil(at_least / transform.alignment) * transform.alignment
    length = min(max(_preferred_length(transform), wanted), whole)
    shortest = min(math.ceil(transform.halo / transform.alignment) * transform.alignment, whole)
    while block_memory(transform, rows, n, length, itemsize) > memory:
        if length <= shortest:
            needed = block_memory(transform, rows, n, shortest, itemsize)
            raise MemoryError(
                f"a block of {rows} signals needs at least {needed / 2**20:.0f} MiB with a halo "
                f"of {transform.halo} samples, but may take {memory / 2**20:.0f} MiB: allow more "
                "memory, lower J or T, or raise the tolerance"
            )
        length = max(length // 2 // transform.alignment * transform.alignment, shortest)
    return length


def block_memory(transform: Transform, rows: int, n: int, length: int, itemsize: int) -> int:
    """Return the peak bytes of reading, transforming and keeping one block.

    Parameters
    ----------
    transform : Transform
    rows : int
        Signals in the block.
    n : int
        Samples of the whole signal.
    length : int
        Samples that the block owns.
    itemsize : int
        Bytes of a sample as it is stored.
    """
    owned = min(length, n)
    # A block in the middle reads a halo on either side; near the ends it reads less.
    start = max((n - owned) // 2 // transform.alignment * transform.alignment, 0)
    peak = _slab_memory(transform, rows, slab(transform, n, start, start + owned), itemsize)
    last = (n - 1) // owned * owned
    if n - last < owned:  # shorter, but more wavelets of it fit one pass
        peak = max(peak, _slab_memory(transform, rows, slab(transform, n, last, n), itemsize))
    return peak


def _slab_memory(transform: Transform, rows: int, block: Slab, itemsize: int) -> int:
    size = np.dtype(transform.dtype).itemsize
    at_once = transform.rows_at_once(rows, block.length)
    left_over = rows % at_once or at_once
    read = rows * block.n_read * itemsize
    kept = size * sum(len(o.paths) * o.n_out(block.stop - block.start) for o in transform.outputs)
    # In float64, less its mean, and what tells its missing samples; then padded; then the FFT.
    padding = at_once * block.n_read * (8 * (2 + len(block.pieces)) + 1)
    padded = 8 * at_once * block.length
    work = max(
        padded + at_once * block.length * (8 + size),
        padded + SAMPLING_BYTES * block.length,
        *(
            count * (block.length * 8 + kept) + transform.workspace(count, block.length)
            for count in (at_once, left_over)
        ),
    )
    result = rows * kept if rows > at_once else 0
    return read + result + transform.filter_memory(block.length) + max(padding, work)


def array_memory(transform: Transform, shape: tuple[int, ...]) -> int:
    """Return the peak bytes of `transform_array` on an array of a shape (..., n).

    The input is counted in the transform's dtype.
    """
    *batch, n = shape
    rows = math.prod(batch)
    length = eager_length(transform, n)
    size = np.dtype(transform.dtype).itemsize
    block = block_memory(transform, rows, n, length, 0)
    result = rows * sum(len(o.paths) * o.n_out(n) for o in transform.outputs) * size
    missing = result // size  # one byte each, to see whether any output is NaN
    if length < n:  # the parts of all blocks, beside the last block's work or their join
        filters = transform.filter_memory(slab(transform, n, 0, length).length)
        block = max(block + result, 2 * result + filters + missing)
    return rows * n * size + max(block, result + missing)
