"""A transform over a dask array: checks, the size of blocks, and totals over blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scatdask.blocks import block_lengths, block_memory, check_dtype
from scatdask.lazy.graph import block_arrays, check_backend, result_meta
from scatdask.lazy.task import combine_chunk
from scatdask.transforms import Transform

if TYPE_CHECKING:
    import dask.array as da

# A block may take this many times the larger of dask's "array.chunk-size" and a source chunk.
_CHUNKS_PER_BLOCK = 4
# Work that makes a task worth its overhead, about a third of a second.
_FLOPS_PER_TASK = 1e9


def scattering(
    x: da.Array, transform: Transform, *, lengths: tuple[int, ...] | None = None
) -> list[da.Array]:
    """Transform a dask array over its last axes, lazily.

    Nothing is computed and nothing rechunked. One task makes one block of the output from the
    chunks of the source that its slabs touch, whatever their sizes. Chunks of the batch axes
    are kept; those along the core axes are regular.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, *core)
        Real samples in chunks of any sizes.
    transform : Transform
    lengths : tuple of int, optional
        Samples that a block owns along each core axis, multiples of ``transform.alignment``; by
        default `lazy_block_lengths`.

    Returns
    -------
    list of dask.array.Array
        One for each of ``transform.outputs``, shape ``(*batch, path, *inner, *core)``, without
        core axes where the output has no stride.

    Raises
    ------
    TypeError
        If `x` is not a dask array with a classic graph, or its samples are not real numbers.
    ValueError
        If chunk sizes are unknown, there are too few axes, the signal is too short, or `lengths`
        are not aligned.
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
    if x.ndim < transform.ndim:
        raise ValueError(f"x has {x.ndim} axes: {transform.name} needs at least {transform.ndim}")
    shape = x.shape[x.ndim - transform.ndim :]
    transform.check_shape(shape)
    if lengths is None:
        lengths = lazy_block_lengths(x, transform)
    elif len(lengths) != transform.ndim or any(
        length < 1 or length % transform.alignment for length in lengths
    ):
        raise ValueError(
            f"lengths={lengths} are not {transform.ndim} positive numbers, each a multiple of the "
            f"transform's alignment, {transform.alignment}"
        )
    arrays = block_arrays(x, transform, lengths)
    return [
        _combined(array, transform, shape) if output.stride is None else array
        for array, output in zip(arrays, transform.outputs, strict=True)
    ]


def lazy_block_lengths(x: da.Array, transform: Transform) -> tuple[int, ...]:
    """Choose how many samples a block owns along each core axis.

    The block function's own preference (a halo of at most a tenth of the reads, in what memory
    allows), doubled up to the size of a source chunk while its task is short.

    Parameters
    ----------
    x : dask.array.Array, shape (*batch, *core)
    transform : Transform

    Returns
    -------
    tuple of int
        Multiples of ``transform.alignment``.

    Raises
    ------
    MemoryError
        If even the smallest block would take too much.
    """
    import dask
    from dask.utils import parse_bytes

    check_backend(x)
    n_batch = x.ndim - transform.ndim
    shape = x.shape[n_batch:]
    rows = math.prod(max(sizes, default=0) for sizes in x.chunks[:n_batch])
    longest, itemsize = tuple(max(sizes) for sizes in x.chunks[n_batch:]), x.dtype.itemsize
    chunk = rows * math.prod(longest) * itemsize
    memory = _CHUNKS_PER_BLOCK * max(parse_bytes(dask.config.get("array.chunk-size")), chunk)
    try:
        lengths = block_lengths(transform, shape, rows, itemsize, memory)
    except MemoryError as error:
        if transform.halo > max(shape) and "sampling" in transform.parameters():
            raise MemoryError(
                f"with sampling={transform.parameters()['sampling']!r} a block is the whole of "
                f"{' x '.join(map(str, shape))} samples, times the {rows} signals of a chunk of "
                "the other dimensions, which takes more than "
                f"{memory / 2**20:.0f} MiB: take sampling='space', rechunk the other dimensions, "
                'or raise "array.chunk-size" in dask\'s configuration'
            ) from None
        raise MemoryError(
            f"{error}. A lazy block keeps the batch chunks of the source, here {rows} signals: "
            'rechunk the other dimensions, or raise "array.chunk-size" in dask\'s configuration'
        ) from None
    while True:
        # The shortest side first: cubes have the least halo.
        for axis in sorted(range(len(shape)), key=lambda axis: lengths[axis]):
            longer = (*lengths[:axis], 2 * lengths[axis], *lengths[axis + 1 :])
            if (
                longer[axis] <= longest[axis]
                and transform.flops((rows, *longer)) <= _FLOPS_PER_TASK
                and block_memory(transform, rows, shape, longer, itemsize) <= memory
            ):
                lengths = longer
                break
        else:
            return lengths


def _combined(sums: da.Array, transform: Transform, shape: tuple[int, ...]) -> da.Array:
    """Reduce the sums of blocks, shape (*batch, path, *blocks), to numbers of the signal."""
    core = tuple(range(sums.ndim - transform.ndim, sums.ndim))
    total = sums.astype("float64").sum(axis=core, keepdims=True)
    meta = result_meta(sums, transform, core[0])
    return total.map_blocks(
        combine_chunk,
        transform,
        shape,
        drop_axis=core,
        dtype=meta.dtype,
        meta=meta,
        name=f"{transform.name}-whole-{sums.name.rpartition('-')[2]}",
    )
