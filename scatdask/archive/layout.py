"""How the work on one variable is cut into blocks, each owning whole chunks of the output."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scatdask.blocks import Block, Grid, block_lengths, block_memory, block_of, slab
from scatdask.transforms import Transform

# Output chunks beyond this are split along `path`; a task still writes all of them.
_LARGEST_CHUNK = 64 * 2**20

# Chunks that zarr decodes at the same time, by its default configuration.
_CHUNKS_IN_FLIGHT = 10


@dataclass(frozen=True)
class StoredArray:
    """How a variable is stored: what decides the shape of blocks and the cost of reading.

    Attributes
    ----------
    sizes, chunks : dict of str to int
        Length and chunk length of each dimension, in the order of the variable.
    itemsize : int
        Bytes of a stored sample.
    decoded_itemsize : int
        Bytes of a sample after the decoding of packed integers.
    """

    sizes: dict[str, int]
    chunks: dict[str, int]
    itemsize: int
    decoded_itemsize: int

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, uncompressed."""
        return math.prod(self.chunks.values()) * self.itemsize

    @property
    def buffer(self) -> int:
        """Bytes of the chunks that are under way while a slab is read."""
        counts = [-(-self.sizes[d] // self.chunks[d]) for d in self.sizes]
        return min(_CHUNKS_IN_FLIGHT, math.prod(counts)) * self.chunk_bytes

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample of a slab takes while it is read, decoded and laid out."""
        packed = self.decoded_itemsize != self.itemsize
        return self.itemsize + (2 * self.decoded_itemsize if packed else self.itemsize)


@dataclass(frozen=True)
class Layout:
    """Blocks of one variable.

    A block is a box of signals times a range of each core axis; blocks are numbered with the last
    core axis fastest and the signals slowest, so that neighbours in number share their halo.

    Attributes
    ----------
    variable : str
        Name in the source.
    dims : tuple of str
        Core dimensions, in the order of the transform's core axes.
    shape : tuple of int
        Samples along each core dimension.
    batch_dims : tuple of str
        The other dimensions.
    batch_shape : tuple of int
        Their lengths.
    batch_block : tuple of int
        Signals of a block along each.
    lengths : tuple of int
        Samples that a block owns along each core dimension.
    at_once : tuple of int
        Samples that it takes at a time: all of them, save for outputs without stride, such as
        with ``T="global"``, where a block owns whole signals and adds them up part by part.
    """

    variable: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    batch_dims: tuple[str, ...]
    batch_shape: tuple[int, ...]
    batch_block: tuple[int, ...]
    lengths: tuple[int, ...]
    at_once: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Layout:
        """Rebuild a layout from `to_dict`."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return cls(**values)

    @property
    def grid(self) -> Grid:
        """Blocks along the core axes."""
        return Grid(self.shape, self.lengths)

    @property
    def batch_counts(self) -> tuple[int, ...]:
        """Number of blocks along each batch dimension."""
        return tuple(
            -(-n // size) for n, size in zip(self.batch_shape, self.batch_block, strict=True)
        )

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return math.prod(self.batch_counts) * len(self.grid)

    @property
    def rows(self) -> int:
        """Signals of one block, at most."""
        return math.prod(self.batch_block)

    @property
    def samples(self) -> int:
        """Samples of the variable."""
        return math.prod(self.batch_shape) * math.prod(self.shape)

    def batch(self, block: int) -> dict[str, slice]:
        """Return the ranges of a block along the batch dimensions."""
        index = np.unravel_index(block // len(self.grid), self.batch_counts or (1,))
        return {
            dim: slice(int(i) * size, min((int(i) + 1) * size, n))
            for dim, i, size, n in zip(
                self.batch_dims, index, self.batch_block, self.batch_shape, strict=False
            )
        }

    def bounds(self, block: int) -> tuple[tuple[int, int], ...]:
        """Return the samples [start, stop) that a block owns along each core axis."""
        return self.grid.bounds(block % len(self.grid))

    def parts(self, transform: Transform, block: int) -> list[Block]:
        """Return what a block reads along the core axes: one part, or several in turn."""
        ranges = (
            [(low, min(low + size, stop)) for low in range(start, stop, size)]
            for (start, stop), size in zip(self.bounds(block), self.at_once, strict=True)
        )
        return [block_of(transform, self.shape, part) for part in itertools.product(*ranges)]

    def padded_shapes(self, transform: Transform) -> list[tuple[tuple[int, ...], int]]:
        """Return the shapes of the FFTs of a signal, and how many parts have each."""
        by_axis = []
        for axis, (n, size) in enumerate(zip(self.shape, self.at_once, strict=True)):
            last = (n - 1) // size * size
            counts = Counter({slab(transform, n, last, n, axis=axis).length: 1})
            if last:
                counts[slab(transform, n, 0, size, axis=axis).length] += last // size
            by_axis.append(counts.items())
        return [
            (tuple(length for length, _ in each), math.prod(count for _, count in each))
            for each in itertools.product(*by_axis)
        ]

    def output_shapes(self, transform: Transform) -> list[tuple[int, ...]]:
        """Return the shape of each output array; core axes are absent where it has no stride."""
        return [
            (*self.batch_shape, *output.shape, *output.core_shape(self.shape))
            for output in transform.outputs
        ]

    def output_chunks(self, transform: Transform) -> list[tuple[int, ...]]:
        """Return the chunks of each output array: whole ones belong to one block."""
        chunks = []
        itemsize = np.dtype(transform.dtype).itemsize
        owned = tuple(map(min, self.lengths, self.shape))
        for output in transform.outputs:
            n_paths, *inner = output.shape
            others = (*inner, *output.core_shape(owned))
            size = self.rows * math.prod(others) * itemsize
            pieces = math.ceil(n_paths * size / _LARGEST_CHUNK)
            chunks.append((*self.batch_block, math.ceil(n_paths / pieces), *others))
        return chunks


def make_layout(
    transform: Transform, variable: str, dims: tuple[str, ...], stored: StoredArray, memory: int
) -> Layout:
    """Choose the blocks of a variable.

    Signals that share a source chunk share a block, so that each chunk is read for one block
    only; a block is long enough for its halo to be a small part of what it reads, and as long as
    a source chunk where memory allows.

    Parameters
    ----------
    transform : Transform
    variable : str
        Variable of the source.
    dims : tuple of str
        Its core dimensions.
    stored : StoredArray
        How the variable is stored.
    memory : int
        Bytes that one block may take.

    Raises
    ------
    MemoryError
        If a single signal does not fit, or not what reading it takes.
    """
    if memory <= stored.buffer:
        raise MemoryError(
            f"reading variable {variable!r} takes {stored.buffer / 2**20:.1f} MiB, for up to "
            f"{_CHUNKS_IN_FLIGHT} source chunks of {stored.chunk_bytes / 2**20:.1f} MiB at a time, "
            f"and a block may take {max(memory, 0) / 2**20:.1f} MiB: allow more memory"
        )
    shape = tuple(stored.sizes[dim] for dim in dims)
    batch_dims = tuple(d for d in stored.sizes if d not in dims)
    batch_shape = tuple(stored.sizes[d] for d in batch_dims)
    batch_block = [min(stored.chunks[d], max(stored.sizes[d], 1)) for d in batch_dims]
    whole = tuple(-(-n // transform.alignment) * transform.alignment for n in shape)
    budget = memory - stored.buffer
    while True:
        try:
            lengths = block_lengths(
                transform,
                shape,
                math.prod(batch_block),
                stored.bytes_per_sample,
                budget,
                at_least=tuple(stored.chunks[dim] for dim in dims),
            )
        except MemoryError:
            if math.prod(batch_block) == 1:
                if transform.halo >= max(shape):
                    raise MemoryError(_cannot_be_cut(transform, variable, stored, shape)) from None
                raise
            # More signals share a source chunk than memory holds: take fewer at a time, and
            # read their chunks more often.
            widest = int(np.argmax(batch_block))
            batch_block[widest] = -(-batch_block[widest] // 2)
            budget = memory - stored.buffer
            continue
        for sides in (lengths, _evened(transform, shape, lengths)):
            layout = Layout(
                variable,
                dims,
                shape,
                batch_dims,
                batch_shape,
                tuple(batch_block),
                whole if transform.outputs[0].stride is None else sides,
                sides,
            )
            if layout_memory(transform, layout, stored) <= memory:
                return layout
        budget = memory - stored.buffer - _other_filters(transform, layout)
        budget = min(budget, _block_memory(transform, layout, stored) - 1)


def _evened(
    transform: Transform, shape: tuple[int, ...], lengths: tuple[int, ...]
) -> tuple[int, ...]:
    """Return sides of as many blocks whose last ones are about as large as the others.

    They share padded shapes then, and so filters.
    """
    counts = [-(-n // length) for n, length in zip(shape, lengths, strict=True)]
    unit = transform.alignment
    return tuple(-(-n // (count * unit)) * unit for n, count in zip(shape, counts, strict=True))


def _cannot_be_cut(
    transform: Transform, variable: str, stored: StoredArray, shape: tuple[int, ...]
) -> str:
    needed = block_memory(transform, 1, shape, shape, stored.bytes_per_sample) + stored.buffer
    remedy = "allow more memory"
    if getattr(transform, "sampling", None) == "frequency":
        remedy += ', or take sampling="space", whose wavelets are short'
    return (
        f"a signal of variable {variable!r} is one block, because every output needs all of it; "
        f"that takes at least {needed / 2**20:.0f} MiB: {remedy}"
    )


def layout_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Return the peak bytes of one block."""
    block = _block_memory(transform, layout, stored)
    return stored.buffer + block + _other_filters(transform, layout)


def _block_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    return block_memory(
        transform, layout.rows, layout.shape, layout.at_once, stored.bytes_per_sample
    )


def _other_filters(transform: Transform, layout: Layout) -> int:
    """Return the bytes of the filters that are kept for other blocks, of other padded shapes."""
    shapes = [lengths for lengths, _ in layout.padded_shapes(transform)]
    filters = [transform.filter_memory(lengths) for lengths in shapes]
    return sum(filters) - max(filters)
