"""Integer geometry of blocks: which samples a block owns, reads, and is padded to.

A signal is defined on all integers: its samples, and what the boundary says beyond them. Axis by
axis, a block owns the samples ``[start, stop)``, that is the outputs at multiples of the stride
inside, and needs those from ``start - halo`` to ``stop + halo``. It starts at a multiple of the
transform's alignment, so that each subsampled grid of the cascade is the same grid in every block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scatdask.transforms import Transform


@dataclass(frozen=True)
class Grid:
    """Blocks of one size along the core axes, the last axis fastest.

    Attributes
    ----------
    shape : tuple of int
        Samples of the signal along each core axis.
    lengths : tuple of int
        Samples that a block owns along each, multiples of the transform's alignment; the last
        blocks own what is left.

    Examples
    --------
    >>> grid = Grid((10, 16), (8, 8))
    >>> len(grid), grid.bounds(3)
    (4, ((8, 10), (8, 16)))
    """

    shape: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each core axis."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.lengths, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def bounds(self, index: int) -> tuple[tuple[int, int], ...]:
        """Return the samples [start, stop) that a block owns along each core axis."""
        starts = [
            int(place) * size
            for place, size in zip(np.unravel_index(index, self.counts), self.lengths, strict=True)
        ]
        return tuple(
            (start, min(start + size, n))
            for start, size, n in zip(starts, self.lengths, self.shape, strict=True)
        )


@dataclass(frozen=True)
class Slab:
    """What one block reads along one core axis, and where it lies.

    Attributes
    ----------
    start, stop : int
        Samples that the block owns.
    low, high : int
        Samples that it needs; they may lie outside the signal.
    pieces : tuple of (int, int)
        Ranges to read and lay side by side: one, or two where a periodic signal wraps around.
    length : int
        Padded length for the FFT.
    """

    start: int
    stop: int
    low: int
    high: int
    pieces: tuple[tuple[int, int], ...]
    length: int

    @property
    def n_read(self) -> int:
        """The number of samples to read."""
        return sum(stop - start for start, stop in self.pieces)


Block = tuple[Slab, ...]


def block_of(
    transform: Transform, shape: tuple[int, ...], bounds: tuple[tuple[int, int], ...]
) -> Block:
    """Work out what a block needs along each core axis.

    Parameters
    ----------
    transform : Transform
    shape : tuple of int
        Samples of the signal along each core axis.
    bounds : tuple of (int, int)
        Samples that the block owns along each, as `Grid.bounds` gives them.

    Returns
    -------
    tuple of Slab
    """
    axes = range(transform.ndim)
    return tuple(slab(transform, shape[axis], *bounds[axis], axis=axis) for axis in axes)


def slab(transform: Transform, n: int, start: int, stop: int, *, axis: int = 0) -> Slab:
    """Work out what a block needs along one core axis.

    Parameters
    ----------
    transform : Transform
    n : int
        Samples of the signal.
    start, stop : int
        Samples that the block owns; `start` is a multiple of ``transform.alignment``.
    axis : int, default 0
        Which core axis: boundaries may differ.

    Returns
    -------
    Slab
    """
    alignment, periodic = transform.alignment, transform.boundaries[axis] == "periodic"
    if periodic and (start, stop) == (0, n) and n % alignment == 0:
        # The whole of a periodic signal is its own extension: exact, whatever the halo.
        return Slab(start, stop, 0, n, ((0, n),), n)
    low = start - -(-transform.halo // alignment) * alignment
    high = stop + transform.halo
    length = fast_length(high - low, alignment)
    if not periodic:
        pieces: tuple[tuple[int, int], ...] = ((max(low, 0), min(high, n)),)
    elif high - low > n:
        pieces = ((0, n),)
    else:
        first, last = low % n, (high - 1) % n + 1
        pieces = ((first, last),) if first < last else ((first, n), (0, last))
    return Slab(start, stop, low, high, pieces, length)


@lru_cache(maxsize=4096)
def fast_length(minimum: int, alignment: int) -> int:
    """Return a multiple of `alignment`, at least `minimum`, whose FFT is fast."""
    from scipy.fft import next_fast_len

    units = -(-minimum // alignment)
    length = int(next_fast_len(units, real=True))
    # A factor of seven costs FFTs some 5 %, which pays where it saves more samples than that.
    with_seven = 7 * int(next_fast_len(-(-units // 7), real=True))
    return alignment * (with_seven if 16 * with_seven <= 15 * length else length)


def source_index(position: np.ndarray, n: int, boundary: str) -> np.ndarray:
    """Return the sample that stands at each position of the extended signal.

    Parameters
    ----------
    position : array of int
        Positions, inside or outside ``[0, n)``.
    n : int
        Samples of the signal.
    boundary : {"reflect", "periodic", "nearest", "zero"}
        For "zero" the result means nothing outside the signal.
    """
    if boundary == "periodic":
        return position % n
    if boundary == "reflect" and n > 1:
        folded = position % (2 * n - 2)
        return np.minimum(folded, 2 * n - 2 - folded)
    return np.clip(position, 0, n - 1)
