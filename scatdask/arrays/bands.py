"""Filtering spectra on a CUDA device: multiply, mirror and fold, in one launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from scatdask.arrays.namespaces import AnyArray, from_numpy

# One thread for each bin of each output spectrum, which adds up the bins that fold onto it. The
# index type is I: divisions of 64-bit integers are slow.
_BODY = """
    const I at = i, k = at % n_out, row = at / n_out % rows, filter = at / n_out / rows;
    const I first = filters[3 * filter], width = filters[3 * filter + 1];
    const I place = filters[3 * filter + 2], line = row * (n_in / 2 + 1);
    I step = (k - first) % n_out;
    if (step < 0) step += n_out;
    R re = 0, im = 0;
    for (; step < width; step += n_out) {
        I bin = (first + step) % n_in;
        if (bin < 0) bin += n_in;
        const R factor = factors[place + step];
        const bool mirrored = bin > n_in / 2;
        const C value = spectrum[line + (mirrored ? n_in - bin : bin)];
        re += factor * value.real();
        im += (mirrored ? -factor : factor) * value.imag();
    }
    out = C(re, im);
"""

# One thread for each bin of each output image, which adds up the blocks that fold onto it.
_BODY_2D = """
    const I at = i, k = at % width, line = at / width % height, image = at / width / height;
    R re = 0, im = 0;
    for (I down = 0; down < n_down; ++down) {
        for (I across = 0; across < n_across; ++across) {
            const ptrdiff_t from[] = {image, down, across, line, k};
            const C value = blocks[from];
            const R factor = factors[((down * n_across + across) * height + line) * width + k];
            re += factor * value.real();
            im += factor * value.imag();
        }
    }
    out = C(re, im);
"""


@dataclass(frozen=True)
class BandTable:
    """Several filters for half spectra of length-`n` signals, on a device.

    Attributes
    ----------
    filters : integer array, shape (filters, 3)
        For each its first bin (negative ones count from the end), how many bins it has, and where
        they begin in `factors`.
    factors : real array
        The responses of all, one after the other.
    n, n_out : int
        Samples before and after.
    """

    filters: AnyArray
    factors: AnyArray
    n: int
    n_out: int


def band_table(
    filters: Sequence[tuple[int, np.ndarray]], n: int, n_out: int, *, like: AnyArray
) -> BandTable:
    """Lay filters out for `fold_bands`.

    Parameters
    ----------
    filters : sequence of (int, array)
        First bin and real response of each.
    n, n_out : int
        Samples before and after; `n_out` divides `n`.
    like : array
        On the device where the table is to live.
    """
    widths = [len(values) for _, values in filters]
    places = np.cumsum([0, *widths[:-1]])
    rows = [[first, w, p] for (first, _), w, p in zip(filters, widths, places, strict=True)]
    factors = np.concatenate([values for _, values in filters])
    return BandTable(
        from_numpy(np.array(rows, np.int32), like=like), from_numpy(factors, like=like), n, n_out
    )


def fold_bands(spectrum: AnyArray, table: BandTable) -> AnyArray:
    """Filter half spectra and fold them onto the bins of subsampled signals, on CuPy.

    Parameters
    ----------
    spectrum : complex array, shape (rows, n // 2 + 1)
    table : BandTable

    Returns
    -------
    complex array, shape (filters * rows, n_out)
        Row ``i * rows + r`` is signal r through filter i.
    """
    import cupy

    rows, n_filters = spectrum.shape[0], table.filters.shape[0]
    out = cupy.empty((n_filters * rows, table.n_out), spectrum.dtype)
    size = np.int32 if max(out.size, spectrum.size) < 2**31 else np.int64
    sizes = size(rows), size(table.n), size(table.n_out)
    spectrum = cupy.ascontiguousarray(spectrum)
    _kernel()(spectrum, table.factors, table.filters, *sizes, out)
    return out


def fold_blocks(blocks: AnyArray, factors: AnyArray, out: AnyArray) -> None:
    """Multiply blocks of spectra of images by a filter and add them up, on CuPy.

    Parameters
    ----------
    blocks : complex array, shape (images, down, across, height, width)
        May be a view.
    factors : real array, shape (down, across, height, width)
    out : complex array, shape (images, height, width)
    """
    size = np.int32 if max(out.size, factors.size) < 2**31 else np.int64
    _kernel_2d()(blocks, factors, *(size(n) for n in factors.shape), out)


@cache
def _kernel() -> Any:
    import cupy

    return cupy.ElementwiseKernel(
        "raw C spectrum, raw R factors, raw int32 filters, I rows, I n_in, I n_out",
        "C out",
        _BODY,
        "scatdask_fold_bands",
    )


@cache
def _kernel_2d() -> Any:
    import cupy

    return cupy.ElementwiseKernel(
        "raw C blocks, raw R factors, I n_down, I n_across, I height, I width",
        "C out",
        _BODY_2D,
        "scatdask_fold_blocks",
    )
