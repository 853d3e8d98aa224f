"""A transform over a dask array: checks, the size of blocks, and the mean over blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scatdask.blocks import block_length, block_memory, check_dtype
from scatdask.lazy.graph import block_arrays, check_backend, result_meta
from scatdask.lazy.task import mean_of_sums
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import dask.array as da

# A block may take this many times the larger of dask's "array.chunk-size" and a source chunk.
_CHUNKS_PER_BLOCK = 4
# Work that makes a task worth its overhead, about a third of a second.
_FLOPS_PER_TASK = 1e9


def scattering(x: da.Array, transform: Transform, *, length: int | None = None) -> list[da.Array]:
    """Transform a dask array over its last axis, lazily.

    Nothing is computed and nothing rechunked. One task makes one block of the output from the
    chunks of the source that its slab touches, whatever their sizes. Chunks of the batch axes
    are kept; those along time are regular.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, n)
        Real samples in chunks of any sizes.
    transform : Transform
    length : int, optional
        Samples that a block owns, a multiple of ``transform.alignment``; by default
        `lazy_block_length`.

    Returns
    -------
    list of dask.array.Array
        One for each of ``transform.outputs``, shape ``(*batch, path, time)``, or
        ``(*batch, path)`` where the output has no stride.

    Raises
    ------
    TypeError
        If `x` is not a dask array with a classic graph, or its samples are not real numbers.
    ValueError
        If chunk sizes are unknown, the signal is too short, or `length` is not aligned.
    MemoryError
        If a block of so many signals would not fit.

    Examples
    --------
    >>> import dask.array as da
    >>> from scatdask import Scattering1D
    >>> x = da.zeros((3, 2**20), chunks=(1, 100_000))
    >>> [coefficients] = scattering(x, Scattering1D(J=6, Q=4))
    >>> coefficients.shape, coefficients.chunksize[0]
    ((3, 67, 16384), 1)
    """
    check_backend(x)
    check_dtype(x.dtype)
    if any(math.isnan(size) for size in x.shape):
        raise ValueError(
            f"the chunk sizes of x are unknown (shape {x.shape}): compute them first with "
            "x.compute_chunk_sizes()"
        )
    n = x.shape[-1]
    transform.check_length(n)
    if length is None:
        length = lazy_block_length(x, transform)
    elif length < 1 or length % transform.alignment:
        raise ValueError(
            f"length={length} is not a positive multiple of the transform's alignment, "
            f"{transform.alignment}"
        )
    arrays = block_arrays(x, transform, length)
    return [
        _mean(array, transform, n) if output.stride is None else array
        for array, output in zip(arrays, transform.outputs, strict=True)
    ]


def lazy_block_length(x: da.Array, transform: Transform) -> int:
    """Choose how many samples a block owns.

    The block function's own preference (a halo of at most a tenth of the reads, in what memory
    allows), doubled up to the length of a source chunk while its task is short.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, n)
    transform : Transform

    Returns
    -------
    int
        A multiple of ``transform.alignment``.

    Raises
    ------
    MemoryError
        If even the shortest block would take too much.
    """
    import dask
    from dask.utils import parse_bytes

    check_backend(x)
    n = x.shape[-1]
    rows = math.prod(max(sizes, default=0) for sizes in x.chunks[:-1])
    longest, itemsize = max(x.chunks[-1]), x.dtype.itemsize
    chunk = max(parse_bytes(dask.config.get("array.chunk-size")), rows * longest * itemsize)
    memory = _CHUNKS_PER_BLOCK * chunk
    try:
        length = block_length(transform, n, rows, itemsize, memory)
    except MemoryError as error:
        raise MemoryError(
            f"{error}. A lazy block keeps the batch chunks of the source, here {rows} signals: "
            'rechunk the other dimensions, or raise "array.chunk-size" in dask\'s configuration'
        ) from None
    while (
        2 * length <= longest
        and 2 * transform.flops((rows, length)) <= _FLOPS_PER_TASK
        and block_memory(transform, rows, n, 2 * length, itemsize) <= memory
    ):
        length *= 2
    return length


def _mean(sums: da.Array, transform: Transform, n: int) -> da.Array:
    """Reduce the sums of blocks, shape (*batch, path, block), to means over the signal."""
    total = sums.astype("float64").sum(axis=-1, keepdims=True)
    meta = result_meta(sums, transform, total.ndim - 1)
    return total.map_blocks(
        mean_of_sums,
        transform,
        n,
        drop_axis=total.ndim - 1,
        dtype=meta.dtype,
        meta=meta,
        name=f"{transform.name}-mean-{sums.name.rpartition('-')[2]}",
    )
