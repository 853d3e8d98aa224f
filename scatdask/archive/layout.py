"""How the work on one variable is cut into blocks, each owning whole chunks of the output."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scatdask.archive.chunking import Chunking, chunking
from scatdask.blocks import Block, Grid, block_of, slab
from scatdask.transforms import Transform

# Chunks that zarr decodes at the same time, by its default configuration.
CHUNKS_IN_FLIGHT = 10


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
    inner : dict of str to int, optional
        Chunk lengths inside of shards, where `chunks` are shards.
    """

    sizes: dict[str, int]
    chunks: dict[str, int]
    itemsize: int
    decoded_itemsize: int
    inner: dict[str, int] | None = None

    @property
    def inner_chunks(self) -> dict[str, int]:
        """Lengths of what is decoded as one piece."""
        return self.chunks if self.inner is None else self.inner

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, uncompressed."""
        return math.prod(self.chunks.values()) * self.itemsize

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of chunks along each dimension."""
        return tuple(-(-self.sizes[dim] // self.chunks[dim]) for dim in self.sizes)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample of a slab takes while it is decoded, masked and laid out."""
        return self.itemsize + 1 + (2 if self.is_packed else 1) * self.decoded_itemsize

    @property
    def is_packed(self) -> bool:
        """Whether samples are stored as integers that stand for others."""
        return self.decoded_itemsize != self.itemsize


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
    def sizes(self) -> dict[str, int]:
        """Length of each dimension."""
        dims, lengths = (*self.batch_dims, *self.dims), (*self.batch_shape, *self.shape)
        return dict(zip(dims, lengths, strict=True))

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

    def output_chunks(self, transform: Transform) -> list[Chunking]:
        """Return how each output array is cut: whole shards belong to one block.

        A block that the end of an axis cuts short has a whole shard too: the axis may get longer.
        """
        unit = transform.alignment
        owned = tuple(
            min(length, -(-n // unit) * unit)
            for length, n in zip(self.lengths, self.shape, strict=True)
        )
        itemsize = np.dtype(transform.dtype).itemsize
        return [
            chunking(
                self.batch_block,
                output.shape,
                output.core_shape(owned),
                itemsize,
            )
            for output in transform.outputs
        ]
