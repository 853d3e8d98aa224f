"""Band-pass, fold and modulus: the operations of a scattering cascade on images.

The spectrum of an image is laid out with frequency zero in the middle, so that the bins of any
filter are one box of it. The product of the box and the filter is folded onto the subsampled
spectrum from the box's own corner on, wherever that lies: to start elsewhere multiplies the output
by a wave of modulus one, and only its modulus is of interest.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from scatdask.arrays import (
    AnyArray,
    Scratch,
    array_namespace,
    fft_of,
    fold_blocks,
    from_numpy,
    is_cupy,
    is_numpy,
)
from scatdask.filters import SampledFilter2D
from scatdask.kernels.folding2d import (
    ColumnFilter2D,
    column_filter,
    fold_columns,
    spectrum_columns,
)

AXES = (-2, -1)


def centred_spectrum(half: AnyArray, width: int) -> AnyArray:
    """Complete the half spectra of real images, with frequency zero in the middle.

    Parameters
    ----------
    half : complex array, shape (batch, height, width // 2 + 1)
        As `rfftn` gives it.
    width : int

    Returns
    -------
    complex array, shape (batch, height, width)
        Bins ``-(n // 2), ..., (n - 1) // 2`` along both axes.
    """
    xp = array_namespace(half)
    up, left = half.shape[1] // 2, width // 2
    # The value at -f is the conjugate of that at f.
    mirrored = xp.conj(xp.flip(half[..., 1 : left + 1], axis=AXES))
    mirrored = xp.roll(mirrored, 1, axis=-2)
    return xp.roll(xp.concat([mirrored, half[..., : width - left]], axis=-1), up, axis=-2)


@dataclass(frozen=True, eq=False)
class FoldedFilter2D:
    """A filter for centred spectra whose output is subsampled.

    The spectrum falls into blocks of the shape of the folded one, and the filter covers some.

    Attributes
    ----------
    shape : (int, int)
        Shape of the folded spectrum.
    blocks : ((int, int), (int, int))
        The blocks [first, last) of the spectrum along each axis.
    factors : array
        Response on the blocks, shape ``(down, across, *shape)``, scaled such that an inverse FFT
        without a factor of its own gives the subsampled image. Real for CuPy, complex for others.
    """

    shape: tuple[int, int]
    blocks: tuple[tuple[int, int], tuple[int, int]]
    factors: AnyArray


Filter2D = FoldedFilter2D | ColumnFilter2D


def fold_filter2d(
    sampled: SampledFilter2D,
    shape: tuple[int, int],
    dtype: str,
    *,
    like: AnyArray,
) -> Filter2D:
    """Lay a sampled filter out for folding.

    Parameters
    ----------
    sampled : SampledFilter2D
    shape : (int, int)
        Shape of the subsampled image; each side divides that of the DFT.
    dtype : {"float32", "float64"}
    like : array
        Where the values are to live.
    """
    if is_numpy(like):
        return column_filter(sampled, shape, dtype)
    blocks, margins = [], []
    for n, m, first, size in zip(sampled.shape, shape, sampled.first, sampled.box, strict=True):
        start = first + n // 2
        low, high = start // m, -(-(start + size) // m)
        blocks.append((low, high))
        margins.append((start - low * m, high * m - start - size))
    whole = np.pad(sampled.values / math.prod(sampled.shape), margins)
    (down, across), (height, width) = (high - low for low, high in blocks), shape
    whole = np.moveaxis(whole.reshape(down, height, across, width), 2, 1)
    kind = dtype if is_cupy(like) else np.result_type(dtype, np.complex64)
    factors = from_numpy(np.ascontiguousarray(whole).astype(kind), like=like)
    return FoldedFilter2D(shape, (blocks[0], blocks[1]), factors)


def laid_out_spectrum(
    half: AnyArray, width: int, filters: Sequence[Filter2D], scratch: Scratch, name: str
) -> AnyArray:
    """Complete the half spectra of real images, as some filters fold them.

    Parameters
    ----------
    half : complex array, shape (batch, height, width // 2 + 1)
        As `rfftn` gives it.
    width : int
    filters : sequence of FoldedFilter2D or ColumnFilter2D
        All with the same ``shape``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array
        For NumPy as `spectrum_columns` gives it; for others blocks, shape ``(batch, down, across,
        *shape)``.
    """
    if is_numpy(half):
        some = cast("Sequence[ColumnFilter2D]", filters)
        return spectrum_columns(half, width, some, scratch, name)
    xp = array_namespace(half)
    m, k = filters[0].shape
    full = centred_spectrum(half, width)
    batch, height, _ = full.shape
    cut = xp.reshape(full, (batch, height // m, m, width // k, k))
    return xp.permute_dims(cut, (0, 1, 3, 2, 4))


def filtered_modulus2d(
    spectrum: AnyArray, filters: Sequence[Filter2D], scratch: Scratch, name: str
) -> AnyArray:
    """Filter images by wavelets of one subsampling and take the modulus.

    Parameters
    ----------
    spectrum : complex array
        Spectra of real images, by `laid_out_spectrum`.
    filters : sequence of FoldedFilter2D or ColumnFilter2D
        All with the same ``shape``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    real array, shape (len(filters) * batch, height, width)
        All images through the first filter, then all through the next.
    """
    xp, batch = array_namespace(spectrum), spectrum.shape[0]
    if is_numpy(spectrum) or is_cupy(spectrum):
        whole = (len(filters) * batch, *filters[0].shape)
        product = scratch.empty("product", whole, spectrum.dtype)
        for index, folded in enumerate(filters):
            target = product[index * batch : (index + 1) * batch]
            if isinstance(folded, ColumnFilter2D):
                fold_columns(target, spectrum, folded, scratch)
            else:
                fold_blocks(*_covered(spectrum, folded), target)
    else:
        parts = [
            xp.sum(operator.mul(*_covered(spectrum, folded)), axis=(1, 2)) for folded in filters
        ]
        product = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    filtered = fft_of(product).ifftn(product, axes=AXES, norm="forward")
    return scratch.modulus(name, filtered)


def _covered(blocks: AnyArray, folded: Filter2D) -> tuple[AnyArray, AnyArray]:
    """Return the blocks that a filter covers, and what it multiplies them by."""
    assert isinstance(folded, FoldedFilter2D)
    (top, bottom), (left, right) = folded.blocks
    return blocks[:, top:bottom, left:right, ...], folded.factors
