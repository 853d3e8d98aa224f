"""From memory to block size, and from block size to memory."""

from __future__ import annotations

import math

import numpy as np

from scatdask.blocks.geometry import slab
from scatdask.transforms import Transform

# Share of the samples read that may be halo.
HALO_OVERHEAD = 0.1
# A block of a short halo is still this many samples, so that each FFT is worth its call.
_SHORTEST = 2**17


def _preferred_length(transform: Transform) -> int:
    """Return the shortest block whose halo is at most HALO_OVERHEAD of what it reads."""
    length = max(2 * transform.halo * (1 / HALO_OVERHEAD - 1), _SHORTEST)
    return math.ceil(length / transform.alignment) * transform.alignment


def eager_length(transform: Transform, n: int) -> int:
    """Return the block length for an array in memory: the preferred one, or all if not much more.

    The working set of a block, not the length of the signal, is then what has to fit the cache.
    """
    length = _preferred_length(transform)
    return length if n > 2 * length else math.ceil(n / transform.alignment) * transform.alignment


def block_length(transform: Transform, n: int, rows: int, itemsize: int, memory: int) -> int:
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
    length = min(_preferred_length(transform), whole)
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
    block = slab(transform, n, start, start + owned)
    size = np.dtype(transform.dtype).itemsize
    at_once = transform.rows_at_once(rows, block.length)
    read = rows * block.n_read * itemsize * len(block.pieces)
    padding = at_once * block.length * (2 * 8 + 2 * size)
    kept = sum(len(o.paths) * o.n_out(owned) for o in transform.outputs) * size
    work = max(padding, at_once * block.length * size + transform.workspace(at_once, block.length))
    return read + work + (rows + at_once) * kept


def array_memory(transform: Transform, shape: tuple[int, ...]) -> int:
    """Return the peak bytes of `transform_array` on float32 input of a shape (..., n)."""
    *batch, n = shape
    rows = math.prod(batch)
    length = eager_length(transform, n)
    peak = block_memory(transform, rows, n, length, 0)
    size = np.dtype(transform.dtype).itemsize
    result = rows * sum(len(o.paths) * o.n_out(n) for o in transform.outputs) * size
    joining = 2 * result if length < n else 0
    return rows * n * size + max(peak + joining // 2, joining)
