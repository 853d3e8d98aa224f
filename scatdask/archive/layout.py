"""How the work on one variable is cut into blocks, each owning whole chunks of the output."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scatdask.blocks import Grid, Slab, block_length, block_memory, slab
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

    A block is a box of signals times a range of the core axis; blocks are numbered with the core
    axis fastest, so that neighbours in number share their halo.

    Attributes
    ----------
    variable : str
        Name in the source.
    dim : str
        Core dimension.
    n : int
        Samples along the core dimension.
    batch_dims : tuple of str
        The other dimensions.
    batch_shape : tuple of int
        Their lengths.
    batch_block : tuple of int
        Signals of a block along each.
    length : int
        Samples that a block owns.
    at_once : int
        Samples that it takes at a time: all of them, save for ``T="global"``, where a block owns
        whole signals and adds them up piece by piece.
    """

    variable: str
    dim: str
    n: int
    batch_dims: tuple[str, ...]
    batch_shape: tuple[int, ...]
    batch_block: tuple[int, ...]
    length: int
    at_once: int

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
        """Blocks along the core axis."""
        return Grid(self.n, self.length)

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

    def batch(self, block: int) -> dict[str, slice]:
        """Return the ranges of a block along the batch dimensions."""
        index = np.unravel_index(block // len(self.grid), self.batch_counts or (1,))
        return {
            dim: slice(int(i) * size, min((int(i) + 1) * size, n))
            for dim, i, size, n in zip(
                self.batch_dims, index, self.batch_block, self.batch_shape, strict=False
            )
        }

    def bounds(self, block: int) -> tuple[int, int]:
        """Return the samples [start, stop) that a block owns."""
        return self.grid.bounds(block % len(self.grid))

    def slabs(self, transform: Transform, block: int) -> list[Slab]:
        """Return what a block reads along the core axis, in turn."""
        start, stop = self.bounds(block)
        return [
            slab(transform, self.n, low, min(low + self.at_once, stop))
            for low in range(start, stop, self.at_once)
        ]

    def output_shapes(self, transform: Transform) -> list[tuple[int, ...]]:
        """Return the shape of each output array; the time axis is absent for ``T="global"``."""
        return [
            (*self.batch_shape, len(output.paths))
            + (() if output.stride is None else (output.n_out(self.n),))
            for output in transform.outputs
        ]

    def output_chunks(self, transform: Transform) -> list[tuple[int, ...]]:
        """Return the chunks of each output array: whole ones belong to one block."""
        chunks = []
        itemsize = np.dtype(transform.dtype).itemsize
        for output in transform.outputs:
            time = () if output.stride is None else (output.n_out(min(self.length, self.n)),)
            size = self.rows * math.prod(time) * itemsize
            n_paths = len(output.paths)
            pieces = math.ceil(n_paths * size / _LARGEST_CHUNK)
            chunks.append((*self.batch_block, math.ceil(n_paths / pieces), *time))
        return chunks


def make_layout(
    transform: Transform, variable: str, dim: str, stored: StoredArray, memory: int
) -> Layout:
    """Choose the blocks of a variable.

    Signals that share a source chunk share a block, so that each chunk is read for one block
    only; a block is long enough for its halo to be a small part of what it reads, and as long as
    a source chunk where memory allows.

    Parameters
    ----------
    transform : Transform
    variable, dim : str
        Variable of the source and its core dimension.
    stored : StoredArray
        How the variable is stored.
    memory : int
        Bytes that one block may take.

    Raises
    ------
    MemoryError
        If a single signal does not fit.
    """
    n = stored.sizes[dim]
    batch_dims = tuple(d for d in stored.sizes if d != dim)
    batch_shape = tuple(stored.sizes[d] for d in batch_dims)
    batch_block = [min(stored.chunks[d], max(stored.sizes[d], 1)) for d in batch_dims]
    while True:
        try:
            length = block_length(
                transform,
                n,
                math.prod(batch_block),
                stored.bytes_per_sample,
                memory - stored.buffer,
                at_least=stored.chunks[dim],
            )
            break
        except MemoryError:
            if math.prod(batch_block) == 1:
                raise
            # More signals share a source chunk than memory holds: take fewer at a time, and
            # read their chunks more often.
            widest = int(np.argmax(batch_block))
            batch_block[widest] = -(-batch_block[widest] // 2)
    sums = transform.outputs[0].stride is None
    whole = -(-n // transform.alignment) * transform.alignment
    return Layout(
        variable,
        dim,
        n,
        batch_dims,
        batch_shape,
        tuple(batch_block),
        whole if sums else length,
        length,
    )


def layout_memory(transform: Transform, layout: Layout, stored: StoredArray) -> int:
    """Return the peak bytes of one block."""
    return stored.buffer + block_memory(
        transform, layout.rows, layout.n, layout.at_once, stored.bytes_per_sample
    )
