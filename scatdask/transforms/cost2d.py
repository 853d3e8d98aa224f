"""What a 2-D cascade costs: batches that fit the cache, memory, operations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scatdask.arrays.memory import CACHE_BYTES
from scatdask.filters import morlet_box2d
from scatdask.transforms.tuning import FILTER_OVERHEAD

if TYPE_CHECKING:
    from scatdask.transforms.scattering2d import Scattering2D

# Filters of up to this many bins are kept as a whole; of larger ones a few rows are made at a time.
LARGEST_WHOLE = 2**19
# Bytes of such a few rows.
BAND_BYTES = 2**18
# Separable terms of which a wavelet consists, at most, for each direction of the bank: the more
# there are, the longer the wavelets.
TERMS = {"float32": 5, "float64": 9}
# Outputs that one matrix averages to, at least, along the second last axis and the last: fewer are
# too small for BLAS, more are mostly zeros.
GROUPS = {-2: 12, -1: 48}


def image_bytes(transform: Scattering2D, shape: tuple[int, ...], rate: int) -> int:
    """Return the bytes of one complex image of a shape, subsampled along both axes."""
    return 2 * np.dtype(transform.dtype).itemsize * math.prod(n // rate for n in shape)


def rows_at_once(transform: Scattering2D, rows: int, shape: tuple[int, ...]) -> int:
    """Return how many images of a padded shape the kernel takes in one pass."""
    return max(min(rows, CACHE_BYTES // image_bytes(transform, shape, 1)), 1)


def wavelets_at_once(
    transform: Scattering2D,
    wavelets: int,
    images: int,
    shape: tuple[int, ...],
    rate: int,
    memory: int,
) -> int:
    """Return how many of some wavelets the kernel applies to some images in one pass.

    Parameters
    ----------
    transform : Scattering2D
    wavelets : int
        Those that there are, all of one scale.
    images : int
        Rows, or rows times the wavelets before these.
    shape : (int, int)
        Padded shape of the rows.
    rate : int
        Subsampling of the outputs.
    memory : int
        Bytes that their FFTs should have: on a CPU, what fits the cache.
    """
    at_once = max(memory // (images * image_bytes(transform, shape, rate)), 1)
    passes = -(-wavelets // at_once)
    return -(-wavelets // passes)


def workspace(transform: Scattering2D, rows: int, shape: tuple[int, ...]) -> int:
    """Return the bytes that the kernel needs beside its input, output and filters.

    Parameters
    ----------
    transform : Scattering2D
    rows : int
        Images in one pass.
    shape : (int, int)
        Padded shape of each.
    """
    # The first FFT is in complex128; its result is half a spectrum, as are those below.
    wide = rows * 16 * shape[0] * (shape[1] // 2 + 1)
    half = wide * np.dtype(transform.dtype).itemsize // 8
    blocks = product = parents = modulus2 = 0
    passing = _averaging(transform, rows, shape, 1)
    order0 = passing + wide // 4
    for branch in transform.branches:
        rate = transform.rate(branch.j)
        count = len(branch.wavelets)
        count = rows * wavelets_at_once(transform, count, rows, shape, rate, CACHE_BYTES)
        first = count * image_bytes(transform, shape, rate)
        blocks = max(blocks, rows * image_bytes(transform, shape, 1))
        product = max(product, first)
        # The modulus, its spectrum, and the blocks of that.
        parents = max(parents, first // 2 + (5 * first // 2 if branch.children else 0))
        passing = max(passing, _averaging(transform, count, shape, rate))
        for j2, children in branch.children:
            below = transform.rate(j2)
            each = wavelets_at_once(transform, len(children), count, shape, below, CACHE_BYTES)
            second = count * each * image_bytes(transform, shape, below)
            product, modulus2 = max(product, second), max(modulus2, second // 2)
            passing = max(passing, _averaging(transform, count * each, shape, below))
    passing = max(passing, _largest_band(transform, shape))
    return max(wide + half, order0, half + blocks + product + parents + modulus2 + passing)


def _averaging(transform: Scattering2D, images: int, shape: tuple[int, ...], rate: int) -> int:
    """Return the bytes of images that are averaged along one axis, then both, in parts."""
    n_y, n_x = (n // transform.alignment for n in shape)
    return 2 * np.dtype(transform.dtype).itemsize * images * n_y * (shape[1] // rate + n_x)


def _largest_band(transform: Scattering2D, shape: tuple[int, ...]) -> int:
    """Return the bytes of the rows of a large filter that are made at a time."""
    large = [bins(transform, *one, shape) > LARGEST_WHOLE for one in transform.filters]
    return 2 * BAND_BYTES if any(large) else 0


def filter_memory(transform: Scattering2D, shape: tuple[int, ...]) -> int:
    """Return the bytes of the filters for images of a padded shape, which are kept."""
    words, terms = 0, TERMS[transform.dtype] * transform.L + 8
    for rate, n in transform.filters:
        count = bins(transform, rate, n, shape)
        words += 2 * (count if count <= LARGEST_WHOLE else terms * sum(shape) // rate)
    # The low-pass, as matrices: for each output the samples that its group needs.
    stride, reach = transform.alignment, round(12 * transform.low_pass)
    for rate in {1, *transform.rates}:
        everywhere = transform.sampling == "frequency" and rate > 1
        for n, group in zip(shape, GROUPS.values(), strict=True):
            window = n if everywhere else min(group * stride + reach, n)
            words += n // stride * window // rate
    return np.dtype(transform.dtype).itemsize * words + FILTER_OVERHEAD * len(transform.filters)


def bins(transform: Scattering2D, rate: int, n: int, shape: tuple[int, ...]) -> int:
    """Return the bins that a filter has, in whole blocks of the folded spectrum.

    Parameters
    ----------
    transform : Scattering2D
    rate : int
        Subsampling of the images that it is applied to.
    n : int
        Index of the wavelet.
    shape : (int, int)
        Padded shape of the images before.
    """
    wavelet, count = transform.wavelets[n], 1
    box = morlet_box2d(wavelet, transform.filter_tolerance)
    for size, (low, high) in zip(shape, box, strict=True):
        length, folded = size // rate, size // transform.rate(wavelet.j)
        if max(-low, high) * rate < 0.5:
            first, last = math.floor(low * size), math.ceil(high * size)
            middle = length // 2
            length = (-(-(last + 1 + middle) // folded) - (first + middle) // folded) * folded
        count *= length
    return count


def flops(transform: Scattering2D, shape: tuple[int, ...]) -> float:
    """Estimate the floating-point operations for an input of a shape ``(..., y, x)``."""
    *batch, height, width = shape

    def fft(rate: int) -> float:
        n = max(height // rate, 1) * max(width // rate, 1)
        return 5 * n * math.log2(max(n, 2))

    total = fft(1) / 2
    for branch in transform.branches:
        each = fft(transform.rate(branch.j)) * (1.5 if branch.children else 1)
        each += sum(len(some) * fft(transform.rate(j2)) for j2, some in branch.children)
        total += len(branch.wavelets) * each
    return math.prod(batch) * total
