"""Band-pass, fold and modulus: the operations of a scattering cascade on images.

The spectrum of an image is laid out with frequency zero in the middle, so that the bins of any
filter are one box of it. The product of the box and the filter is folded onto the subsampled
spectrum from the box's own corner on, wherever that lies: to start elsewhere multiplies the output
by a wave of modulus one, and only its modulus is of interest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scatdask.arrays import (
    AnyArray,
    Scratch,
    array_namespace,
    device_of,
    fft_of,
    fold_blocks,
    from_numpy,
    is_cupy,
    is_numpy,
)
from scatdask.filters import SampledFilter2D
from scatdask.transforms.cost2d import BAND_BYTES, LARGEST_WHOLE

AXES = (-2, -1)


def centred_spectrum(half: AnyArray, width: int, scratch: Scratch, name: str) -> AnyArray:
    """Complete the half spectra of real images, with frequency zero in the middle.

    Parameters
    ----------
    half : complex array, shape (batch, height, width // 2 + 1)
        As `rfftn` gives it.
    width : int
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (batch, height, width)
        Bins ``-(n // 2), ..., (n - 1) // 2`` along both axes.
    """
    xp = array_namespace(half)
    batch, height, _ = half.shape
    up, left = height // 2, width // 2
    if not is_numpy(half):
        # The value at -f is the conjugate of that at f.
        mirrored = xp.conj(xp.flip(half[..., 1 : left + 1], axis=AXES))
        mirrored = xp.roll(mirrored, 1, axis=-2)
        return xp.roll(xp.concat([mirrored, half[..., : width - left]], axis=-1), up, axis=-2)
    full: np.ndarray = scratch.empty(name, (batch, height, width), half.dtype)
    full[:, up:, left:] = half[:, : height - up, : width - left]
    full[:, :up, left:] = half[:, height - up :, : width - left]
    mirrored = half[:, :, left:0:-1]
    np.conj(mirrored[:, up:0:-1], out=full[:, :up, :left])
    np.conj(mirrored[:, 0], out=full[:, up, :left])
    np.conj(mirrored[:, :up:-1], out=full[:, up + 1 :, :left])
    return full


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
    factors : array or None
        Response on the blocks, shape ``(down, across, *shape)``, scaled such that an inverse FFT
        of the folded product gives the subsampled image. For NumPy each value stands twice along
        the last axis: pairs of reals are multiplied faster than complex numbers by reals. Real
        for CuPy too, and complex for others.
    terms : (array, array) or None
        Where the whole would be large, for NumPy: matrices whose product it is, of shapes ``(down,
        1, shape[0], terms)`` and ``(across, terms, shape[1])``, the second with pairs.
    origin : (int, int) or None
        Bins of the blocks at which the response is exactly zero, if frequency zero is among them.
    """

    shape: tuple[int, int]
    blocks: tuple[tuple[int, int], tuple[int, int]]
    factors: AnyArray
    terms: tuple[np.ndarray, np.ndarray] | None
    origin: tuple[int, int] | None


def fold_filter2d(
    sampled: SampledFilter2D,
    shape: tuple[int, int],
    dtype: str,
    *,
    like: AnyArray,
) -> FoldedFilter2D:
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
    blocks, margins = [], []
    for n, m, first, size in zip(sampled.shape, shape, sampled.first, sampled.box, strict=True):
        start = first + n // 2
        low, high = start // m, -(-(start + size) // m)
        blocks.append((low, high))
        margins.append((start - low * m, high * m - start - size))
    scale = math.prod(shape) / math.prod(sampled.shape)
    left = np.pad(sampled.left * scale, (margins[0], (0, 0)))
    right = np.pad(sampled.right, ((0, 0), margins[1]))
    origin = None
    if sampled.origin is not None:
        origin = sampled.origin[0] + margins[0][0], sampled.origin[1] + margins[1][0]
    where = blocks[0], blocks[1]
    (down, across), (height, width) = (high - low for low, high in blocks), shape
    if is_numpy(like) and left.shape[0] * right.shape[1] > LARGEST_WHOLE:
        pairs = np.repeat(right.astype(dtype), 2, axis=1)
        pairs = np.moveaxis(pairs.reshape(-1, across, 2 * width), 1, 0)
        terms = left.astype(dtype).reshape(down, 1, height, -1), np.ascontiguousarray(pairs)
        return FoldedFilter2D(shape, where, None, terms, origin)
    whole = left @ right
    if origin is not None:
        whole[origin] = 0
    whole = np.moveaxis(whole.reshape(down, height, across, width), 2, 1)
    if is_numpy(like):
        factors = np.repeat(whole.astype(dtype), 2, axis=-1)
    elif is_cupy(like):
        factors = from_numpy(whole.astype(dtype), like=like)
    else:
        factors = from_numpy(whole.astype(np.result_type(dtype, np.complex64)), like=like)
    return FoldedFilter2D(shape, where, factors, None, origin)


def spectrum_blocks(
    half: AnyArray,
    width: int,
    filters: Sequence[FoldedFilter2D],
    scratch: Scratch,
    name: str,
) -> AnyArray:
    """Complete the half spectra of real images, in the blocks that some filters fold.

    Parameters
    ----------
    half : complex array, shape (batch, height, width // 2 + 1)
        As `rfftn` gives it.
    width : int
    filters : sequence of FoldedFilter2D
        All with the same ``shape``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (batch, down, across, *shape)
        All blocks; those that no filter covers may hold anything.
    """
    m, k = filters[0].shape
    batch, height, _ = half.shape
    down, across = height // m, width // k
    if down == 1 or across == 1 or not is_numpy(half) or filters[0].terms is not None:
        xp = array_namespace(half)
        full = centred_spectrum(half, width, scratch, name)
        cut = xp.reshape(full, (batch, down, m, across, k))
        return xp.permute_dims(cut, (0, 1, 3, 2, 4))
    # In one piece each, small blocks are multiplied twice as fast.
    blocks: np.ndarray = scratch.empty(name, (batch, down, across, m, k), half.dtype)
    (top, bottom), (left, right) = (
        (min(low for low, _ in ranges), max(high for _, high in ranges))
        for ranges in zip(*(folded.blocks for folded in filters), strict=True)
    )
    for row, column in itertools.product(range(top, bottom), range(left, right)):
        y, x = row * m - height // 2, column * k - width // 2  # frequencies at its corner
        block = blocks[:, row, column]
        if x >= 0:
            first = y % height
            block[...] = half[:, first : first + m, x : x + k]
            continue
        # The value at -f is the conjugate of that at f.
        columns = half[:, :, -x : -x - k : -1]
        if y == 0:
            np.conj(columns[:, 0], out=block[:, 0])
            np.conj(columns[:, : height - m : -1], out=block[:, 1:])
        else:
            first = -y % height
            np.conj(columns[:, first : first - m : -1], out=block)
    return blocks


def filtered_modulus2d(
    blocks: AnyArray, filters: Sequence[FoldedFilter2D], scratch: Scratch, name: str
) -> AnyArray:
    """Filter images by wavelets of one subsampling and take the modulus.

    Parameters
    ----------
    blocks : complex array, shape (batch, down, across, height, width)
        Spectra of real images, by `spectrum_blocks`.
    filters : sequence of FoldedFilter2D
        All with the same ``shape``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    real array, shape (len(filters) * batch, height, width)
        All images through the first filter, then all through the next.
    """
    batch = blocks.shape[0]
    if is_numpy(blocks):
        whole = (len(filters) * batch, *filters[0].shape)
        product = scratch.empty("product", whole, blocks.dtype)
        for index, folded in enumerate(filters):
            _fold_into(product[index * batch : (index + 1) * batch], blocks, folded, scratch)
    elif is_cupy(blocks):
        xp = array_namespace(blocks)
        shape = (len(filters) * batch, *filters[0].shape)
        product = xp.empty(shape, dtype=blocks.dtype, device=device_of(blocks))
        for index, folded in enumerate(filters):
            target = product[index * batch : (index + 1) * batch]
            fold_blocks(_covered(blocks, folded), folded.factors, target)
    else:
        xp = array_namespace(blocks)
        parts = [
            xp.sum(_covered(blocks, folded) * folded.factors, axis=(1, 2)) for folded in filters
        ]
        product = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return scratch.modulus(name, fft_of(product).ifftn(product, axes=AXES))


def _covered(blocks: AnyArray, folded: FoldedFilter2D) -> AnyArray:
    (top, bottom), (left, right) = folded.blocks
    return blocks[:, top:bottom, left:right, ...]


def _fold_into(
    out: np.ndarray, blocks: np.ndarray, folded: FoldedFilter2D, scratch: Scratch
) -> None:
    """Multiply spectra by a filter and add up the blocks."""
    pairs = out.view(out.real.dtype)
    box = _covered(blocks, folded).view(pairs.dtype)
    if folded.terms is None:
        _multiply_add(pairs, box, folded.factors)
        return
    left, right = folded.terms
    down, _, height, _ = left.shape
    across, _, width = right.shape
    step = max(BAND_BYTES // (down * across * width * right.itemsize), 1)
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        shape = down, across, rows.stop - first, width
        band = scratch.empty("band", shape, right.dtype)
        np.matmul(left[:, :, rows], right, out=band)
        if folded.origin is not None:
            block, row = divmod(folded.origin[0], height)
            if first <= row < rows.stop:
                place, column = divmod(2 * folded.origin[1], width)
                band[block, place, row - first, column : column + 2] = 0
        _multiply_add(pairs[:, rows], box[:, :, :, rows], band)


def _multiply_add(out: np.ndarray, box: np.ndarray, factors: np.ndarray) -> None:
    if box.shape[1] == box.shape[2] == 1:
        np.multiply(box[:, 0, 0], factors[0, 0], out=out)
    else:
        # The one function of NumPy that multiplies and adds in one pass.
        np.einsum("pabij,abij->pij", box, factors, out=out)
