"""How an array of the output is cut into shards, and these into chunks that readers decode.

What a block owns is one object in the store, or a few where it is large; what is decoded at once
holds all paths of some frames, and is small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

# Bytes of an inner chunk, about: what a reader decodes for a single number.
_CHUNK = 2**20
# Bytes of a shard, at most about: it is put together in memory.
_LARGEST_SHARD = 2**25
# Bytes that writing one byte of a shard, or of a chunk alone, takes meanwhile; measured with noise,
# which does not get smaller.
_OF_SHARD, _OF_CHUNK = 3, 2


class Chunking(NamedTuple):
    """How an array is cut.

    Attributes
    ----------
    shard : tuple of int
        What is one object in the store.
    chunk : tuple of int
        What is decoded at once; it divides the shard.
    """

    shard: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def is_sharded(self) -> bool:
        """Whether a shard holds several chunks."""
        return self.shard != self.chunk

    def writing_memory(self, itemsize: int) -> int:
        """Return the bytes that writing a shard of numbers of a size takes beside the numbers."""
        return (_OF_SHARD if self.is_sharded else _OF_CHUNK) * math.prod(self.shard) * itemsize


def chunking(
    batch: tuple[int, ...], paths: tuple[int, ...], core: tuple[int, ...], itemsize: int
) -> Chunking:
    """Cut what a block owns of an array into shards and chunks.

    Parameters
    ----------
    batch : tuple of int
        Signals of a block along each batch axis.
    paths : tuple of int
        Lengths of the path axis and of the inner axes.
    core : tuple of int
        Frames that a block owns along each core axis.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    Chunking
        Both divide what is owned along every axis, so that no two blocks share a shard. All paths
        stay together, unless those of one frame are too large for a shard.

    Examples
    --------
    >>> chunking((64,), (234,), (512,), 4)
    Chunking(shard=(64, 234, 512), chunk=(2, 234, 512))
    >>> chunking((1,), (374,), (288,), 4).is_sharded
    False
    """
    owned = tuple(max(size, 1) for size in (*batch, *paths, *core))
    first, last = len(batch), len(batch) + len(paths)
    # Whole signals first, then ranges of a signal.
    limits = (
        (range(first), _CHUNK),
        (range(last, len(owned)), _CHUNK),
        (range(first, last), _LARGEST_SHARD),
    )
    chunk = owned
    for axes, limit in limits:
        chunk = _divided(chunk, axes, limit // itemsize)
    shard = tuple(whole // size for whole, size in zip(owned, chunk, strict=True))
    for axes, _ in limits:
        shard = _divided(shard, axes, _LARGEST_SHARD // itemsize // math.prod(chunk))
    return Chunking(tuple(n * size for n, size in zip(shard, chunk, strict=True)), chunk)


def _divided(shape: tuple[int, ...], axes: Iterable[int], most: int) -> tuple[int, ...]:
    """Divide some axes until about `most` numbers are left, into sides about as long."""
    divided = list(shape)
    left = sorted(axes, key=lambda axis: shape[axis])
    while left and math.prod(divided) > most:
        others = math.prod(divided) // math.prod(divided[axis] for axis in left)
        side = max(most / others, 1.0) ** (1 / len(left))
        axis = left.pop(0)
        divided[axis] = _divisor(shape[axis], min(side, shape[axis]))
    return tuple(divided)


def _divisor(n: int, wanted: float) -> int:
    """Return the divisor of a number that is nearest to a wanted one, by their ratio."""
    low = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    divisors = [*low, *(n // d for d in low)]
    return min(divisors, key=lambda divisor: (abs(math.log(divisor / wanted)), divisor))
