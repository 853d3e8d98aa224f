"""Products of spectra and filters of images that fold as they go, for NumPy.

Next to the FFTs these products are what an image costs, and NumPy multiplies and adds by its
memory: so spectra are laid out such that whatever folds onto each other lies in few long pieces,
and blocks of rows begin where a filter does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scatdask.arrays import Scratch
from scatdask.filters import SampledFilter2D
from scatdask.transforms.cost1d import filter_tolerance
from scatdask.transforms.cost2d import BAND_BYTES, LARGEST_WHOLE


@dataclass(frozen=True, eq=False)
class ColumnFilter2D:
    """A filter for spectra in columns, whose output is subsampled.

    Its values stand in blocks of the shape of the folded spectrum, each of them twice along the
    last axis: pairs of reals are multiplied faster than complex numbers by reals. The second of a
    pair is negated where the columns hold the values of the mirrored frequency, which are
    conjugates.

    Attributes
    ----------
    shape : (int, int)
        Shape of the folded spectrum.
    rows : slice
        Rows of the centred spectrum that the blocks cover, a multiple of ``shape[0]``.
    columns : slice
        Which of the spectrum's blocks of columns.
    factors : array or None
        Response, shape ``(across, down, shape[0], 2 * shape[1])``, scaled such that an inverse FFT
        without a factor of its own gives the subsampled image.
    terms : (array, array) or None
        Where the whole would be large: matrices whose product it is, of shapes ``(down, shape[0],
        terms)`` and ``(across, 1, terms, 2 * shape[1])``.
    origin : (int, int) or None
        Row and column, from the first block on, at which the response is exactly zero, if frequency
        zero is among them.
    """

    shape: tuple[int, int]
    rows: slice
    columns: slice
    factors: np.ndarray | None
    terms: tuple[np.ndarray, np.ndarray] | None
    origin: tuple[int, int] | None


def column_filter(sampled: SampledFilter2D, shape: tuple[int, int], dtype: str) -> ColumnFilter2D:
    """Lay a sampled filter out for folding; see `fold_filter2d`."""
    (height, width), (m, k) = sampled.shape, shape
    left, right = sampled.left / math.prod(sampled.shape), sampled.right
    top, start = (first + n // 2 for first, n in zip(sampled.first, sampled.shape, strict=True))
    is_large = left.shape[0] * right.shape[1] > LARGEST_WHOLE
    if not is_large:
        # Values that are lost in the rounding of the FFT are zero, and margins of them left out.
        whole = left @ right
        if sampled.origin is not None:
            whole[sampled.origin] = 0
        whole[np.abs(whole) < filter_tolerance(dtype) * np.abs(whole).max()] = 0
        (first, last), (begin, end) = (_extent(whole, axis) for axis in (1, 0))
        whole, top, start = whole[first:last, begin:end], top + first, start + begin
    n_rows, n_columns = (left.shape[0], right.shape[1]) if is_large else whole.shape
    down, columns = -(-n_rows // m), slice(start // k, -(-(start + n_columns) // k))
    first, begin = min(top, height - down * m), columns.start * k
    margins = (
        (top - first, first + down * m - top - n_rows),
        (start - begin, columns.stop * k - start - n_columns),
    )
    signs = np.where(np.arange(begin, columns.stop * k) < width // 2, -1, 1)

    def in_pairs(values: np.ndarray) -> np.ndarray:
        """Return blocks of columns, shape (across, ..., 2 * k)."""
        padded = np.pad(values, ((0, 0), margins[1]))
        pairs = np.stack([padded, signs * padded], axis=-1).astype(dtype)
        return np.moveaxis(pairs.reshape(len(values), -1, 2 * k), 1, 0)

    factors = terms = None
    if is_large:
        padded = np.pad(left, (margins[0], (0, 0))).astype(dtype)
        terms = padded.reshape(down, m, -1), np.ascontiguousarray(in_pairs(right)[:, None])
    else:
        pairs = in_pairs(np.pad(whole, (margins[0], (0, 0))))
        factors = np.ascontiguousarray(pairs).reshape(-1, down, m, 2 * k)
    origin = height // 2 - first, width // 2 - begin
    inside = top <= height // 2 < top + n_rows and start <= width // 2 < start + n_columns
    return ColumnFilter2D(
        shape,
        slice(first, first + down * m),
        columns,
        factors,
        terms,
        origin if inside else None,
    )


def _extent(values: np.ndarray, axis: int) -> tuple[int, int]:
    """Return the first and last place, summed over an axis, where something is not zero."""
    places = np.flatnonzero(values.any(axis=axis))
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)


def spectrum_columns(
    half: np.ndarray, width: int, filters: Sequence[ColumnFilter2D], scratch: Scratch, name: str
) -> np.ndarray:
    """Lay out the half spectra of real images for some filters, in blocks of columns.

    Parameters
    ----------
    half : complex array, shape (batch, height, width // 2 + 1)
        As `rfftn` gives it.
    width : int
    filters : sequence of ColumnFilter2D
        All with the same ``shape``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (batch, across, height, shape[1])
        The spectrum with frequency zero in the middle along both axes, cut into blocks of columns.
        Columns of negative frequencies hold the conjugates. What no filter covers may be anything.
    """
    batch, height, _ = half.shape
    k = filters[0].shape[1]
    columns: np.ndarray = scratch.empty(name, (batch, width // k, height, k), half.dtype)
    top, bottom = min(f.rows.start for f in filters), max(f.rows.stop for f in filters)
    left, right = min(f.columns.start for f in filters), max(f.columns.stop for f in filters)
    for target, rows, mirrored in _rows(top, bottom, height):
        for block in range(left, right):
            x = block * k - width // 2  # frequency of the first column
            negative = min(max(-x, 0), k)
            if negative:
                # The value at -f is the conjugate of that at f.
                columns[:, block, target, :negative] = half[:, mirrored, -x : -x - negative : -1]
            if negative < k:
                columns[:, block, target, negative:] = half[:, rows, x + negative : x + k]
    return columns


def _rows(top: int, bottom: int, height: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield rows of a centred spectrum, where they are before, and where minus the frequency is."""
    up = height // 2
    for low, high in ((top, up), (up, up + 1), (up + 1, bottom)):
        low, high = max(low, top), min(high, bottom)
        if low < high:
            first, last = (low - up) % height, (high - 1 - up) % height
            start, stop = -first % height, -last % height
            mirrored = slice(start, stop - 1 if stop else None, -1)
            yield slice(low, high), slice(first, last + 1), mirrored


def fold_columns(
    out: np.ndarray, columns: np.ndarray, folded: ColumnFilter2D, scratch: Scratch
) -> None:
    """Multiply spectra by a filter and add up what folds onto each other.

    Parameters
    ----------
    out : complex array, shape (batch, *folded.shape)
    columns : complex array
        Spectra, by `spectrum_columns`.
    folded : ColumnFilter2D
    scratch : Scratch
    """
    m, k = folded.shape
    pairs = out.view(out.real.dtype)
    window = columns[:, folded.columns, folded.rows].view(pairs.dtype)
    window = window.reshape(*window.shape[:2], -1, m, 2 * k)
    if folded.factors is not None:
        _multiply_add(pairs, window, folded.factors)
        return
    assert folded.terms is not None
    left, right = folded.terms
    across, _, _, width = right.shape
    down, height, _ = left.shape
    step = max(BAND_BYTES // (across * down * width * right.itemsize), 1)
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        band = scratch.empty("band", (across, down, rows.stop - first, width), right.dtype)
        np.matmul(left[:, rows], right, out=band)
        if folded.origin is not None:
            block, row = divmod(folded.origin[0], height)
            if first <= row < rows.stop:
                place, column = divmod(2 * folded.origin[1], width)
                band[place, block, row - first, column : column + 2] = 0
        _multiply_add(pairs[:, rows], window[:, :, :, rows], band)


def _multiply_add(out: np.ndarray, box: np.ndarray, factors: np.ndarray) -> None:
    if box.shape[1] == box.shape[2] == 1:
        np.multiply(box[:, 0, 0], factors[0, 0], out=out)
    else:
        # The one function of NumPy that multiplies and adds in one pass.
        np.einsum("pbaij,baij->pij", box, factors, out=out)
