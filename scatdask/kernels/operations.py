"""The few array operations of a scattering cascade: band-pass and fold, modulus, low-pass.

They are written against the array API standard. Signals are real, so spectra are half spectra
(``rfft``); filters touch a short run of bins only, and the product goes straight to its place in
the spectrum of the subsampled output.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scatdask.arrays import (
    AnyArray,
    array_namespace,
    complex_dtype,
    device_of,
    fft_of,
    from_numpy,
    multiply_into,
)
from scatdask.filters import SampledFilter, low_pass_taps
from scatdask.transforms.scattering1d import LANES, MIN_TILE, WIDEST_REACH


@dataclass(frozen=True)
class Run:
    """Consecutive bins of a filter that read and write consecutive places.

    Attributes
    ----------
    source : slice
        Bins of the half spectrum; those of negative frequencies are mirrored and conjugated.
    mirrored : bool
    target : slice
        Bins of the folded spectrum.
    adds : bool
        Whether an earlier run wrote to the target too.
    values : array, shape (width,)
    """

    source: slice
    mirrored: bool
    target: slice
    adds: bool
    values: AnyArray


@dataclass(frozen=True)
class FoldedFilter:
    """A filter for half spectra of length-`n` signals whose output has `n_out` samples."""

    runs: tuple[Run, ...]
    zeros: tuple[slice, ...]
    n_out: int


def fold_filter(sampled: SampledFilter, n_out: int, dtype: str, *, like: AnyArray) -> FoldedFilter:
    """Cut a sampled filter into runs.

    Parameters
    ----------
    sampled : SampledFilter
        Filter on a DFT of length ``sampled.n``.
    n_out : int
        Samples after filtering, a divisor of ``sampled.n``.
    dtype : {"float32", "float64"}
    like : array
        Where the values are to live.

    Returns
    -------
    FoldedFilter
        Scaled such that an inverse FFT of length `n_out` gives the subsampled signal.
    """
    n, width = sampled.n, len(sampled.values)
    bins = np.arange(sampled.first, sampled.first + width)
    wrapped, target = bins % n, bins % n_out
    mirrored = wrapped > n // 2
    # A run ends where the side of the spectrum changes, or source or target wrap around.
    breaks = np.flatnonzero(
        (mirrored[1:] != mirrored[:-1]) | (wrapped[1:] == 0) | (target[1:] == 0)
    )
    edges = [0, *(breaks + 1).tolist(), width]
    covered = np.zeros(n_out, dtype=bool)
    # Complex although real: NumPy would convert real factors anew in every product.
    complex_type = np.result_type(dtype, np.complex64)
    runs = []
    for start, stop in itertools.pairwise(edges):
        place = slice(int(target[start]), int(target[stop - 1]) + 1)
        values = sampled.values[start:stop] * (n_out / n)
        if mirrored[start]:
            source = slice(int(n - wrapped[stop - 1]), int(n - wrapped[start]) + 1)
        else:
            source = slice(int(wrapped[start]), int(wrapped[stop - 1]) + 1)
        fresh = ~covered[place]
        # Runs write where nothing was written before, or add where all was: split at the seam.
        for piece in _pieces(fresh):
            adds = not bool(fresh[piece.start])
            length = stop - start
            if mirrored[start]:
                part = slice(
                    source.start + length - piece.stop, source.start + length - piece.start
                )
            else:
                part = slice(source.start + piece.start, source.start + piece.stop)
            runs.append(
                Run(
                    part,
                    bool(mirrored[start]),
                    slice(place.start + piece.start, place.start + piece.stop),
                    adds,
                    from_numpy(values[piece].astype(complex_type), like=like),
                )
            )
        covered[place] = True
    zeros = tuple(piece for piece in _pieces(covered) if not covered[piece.start])
    return FoldedFilter(tuple(runs), zeros, n_out)


def _pieces(flags: np.ndarray) -> list[slice]:
    """Cut a boolean array into slices of equal flags."""
    edges = [0, *(np.flatnonzero(flags[1:] != flags[:-1]) + 1).tolist(), len(flags)]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]


def band_pass(spectrum: AnyArray, folded: FoldedFilter, out: AnyArray) -> None:
    """Multiply a half spectrum by a filter and fold the product onto the output's bins.

    Parameters
    ----------
    spectrum : complex array, shape (..., n // 2 + 1)
    folded : FoldedFilter
    out : complex array, shape (..., folded.n_out)
        Receives the spectrum of the filtered and subsampled signal.
    """
    xp = array_namespace(spectrum)
    for gap in folded.zeros:
        out[..., gap] = 0
    for run in folded.runs:
        bins = spectrum[..., run.source]
        if run.mirrored:
            bins = xp.conj(xp.flip(bins, axis=-1))
        if run.adds:
            out[..., run.target] += bins * run.values
        else:
            multiply_into(out[..., run.target], bins, run.values)


def filtered_modulus(spectrum: AnyArray, filters: Sequence[FoldedFilter], dtype: str) -> AnyArray:
    """Filter signals by wavelets of one subsampling and take the modulus.

    Parameters
    ----------
    spectrum : complex array, shape (rows, n // 2 + 1)
        Half spectra of real signals.
    filters : sequence of FoldedFilter
        All with the same ``n_out``.
    dtype : {"float32", "float64"}

    Returns
    -------
    real array, shape (batch, n_out)
        Row ``i * rows + r`` is signal r through filter i; rows past ``len(filters) * rows`` are
        padding, zero.
    """
    xp = array_namespace(spectrum)
    rows, used = spectrum.shape[0], spectrum.shape[0] * len(filters)
    product = xp.empty(
        (padded_batch(used), filters[0].n_out),
        dtype=complex_dtype(xp, dtype),
        device=device_of(spectrum),
    )
    for index, folded in enumerate(filters):
        band_pass(spectrum, folded, product[index * rows : (index + 1) * rows, :])
    product[used:, :] = 0
    return xp.abs(fft_of(product).ifft(product))


def padded_batch(batch: int) -> int:
    """Round a number of FFTs up where that makes them faster.

    pocketfft transforms LANES rows at once in vector registers, two to three times faster than
    the rows that are left over; a single left-over row is not worth the padding.
    """
    return batch if batch % LANES <= 1 else -(-batch // LANES) * LANES


@dataclass(frozen=True)
class SpectralSmoother:
    """Low-pass and decimation of signals whose half spectrum is at hand."""

    folded: FoldedFilter

    def __call__(self, spectrum: AnyArray, start: int, stop: int) -> AnyArray:
        """Return outputs [start, stop) of signals with half spectra (rows, n // 2 + 1)."""
        xp = array_namespace(spectrum)
        n_out = self.folded.n_out
        product = xp.empty(
            (spectrum.shape[0], n_out), dtype=spectrum.dtype, device=device_of(spectrum)
        )
        band_pass(spectrum, self.folded, product)
        return fft_of(product).irfft(product[:, : n_out // 2 + 1], n=n_out)[:, start:stop]


@dataclass(frozen=True)
class TapSmoother:
    """Low-pass and decimation of samples by one small matrix product.

    The signal is cut into tiles of ``tile`` outputs; each is widened by ``reach`` outputs on
    either side and multiplied by a banded matrix of taps.

    Attributes
    ----------
    matrix : array, shape ((tile + 2 * reach) * step, tile)
    step : int
        Samples per output.
    reach, tile : int
        In outputs; ``reach <= tile``.
    """

    matrix: AnyArray
    step: int
    reach: int
    tile: int

    def __call__(self, samples: AnyArray, start: int, stop: int) -> AnyArray:
        """Return outputs [start, stop) of periodic signals (rows, n)."""
        xp = array_namespace(samples)
        tiles = -(-(stop - start) // self.tile)
        first = (start - self.tile) * self.step
        last = (start + (tiles + 1) * self.tile) * self.step
        rows = samples.shape[0]
        cut = xp.reshape(
            periodic_slice(samples, first, last), (rows, tiles + 2, self.tile * self.step)
        )
        margin = self.reach * self.step
        before, after = cut[:, :-2, cut.shape[2] - margin :], cut[:, 2:, :margin]
        windows = xp.concat([before, cut[:, 1:-1, :], after], axis=2)
        smooth = xp.reshape(windows, (rows * tiles, windows.shape[2])) @ self.matrix
        return xp.reshape(smooth, (rows, tiles * self.tile))[:, : stop - start]


def tap_smoother(
    sigma: float, stride: int, rate: int, n_out: int, dtype: str, *, like: AnyArray
) -> TapSmoother | None:
    """Build the matrix that averages samples `rate` apart into outputs `stride` apart.

    Returns None where an FFT is cheaper: where a tile would reach far, or where a row of `n_out`
    outputs is only a few tiles.
    """
    taps = low_pass_taps(sigma, rate=rate, tolerance=float(np.finfo(dtype).eps))
    half, step = len(taps) // 2, stride // rate
    reach = math.ceil(half / step)
    tile = max(reach, MIN_TILE)
    if reach > WIDEST_REACH or n_out < 3 * tile:
        return None
    lag = np.arange((tile + 2 * reach) * step)[:, None] - (reach + np.arange(tile)) * step
    inside = np.abs(lag) <= half
    matrix = np.where(inside, taps[np.where(inside, lag, 0) + half], 0.0)
    return TapSmoother(from_numpy(matrix.astype(dtype), like=like), step, reach, tile)


def periodic_slice(samples: AnyArray, start: int, stop: int) -> AnyArray:
    """Return samples [start, stop) of periodic signals (rows, n); bounds may lie outside."""
    n = samples.shape[1]
    if 0 <= start and stop <= n:
        return samples[:, start:stop]
    parts = []
    while start < stop:
        offset = start % n
        length = min(stop - start, n - offset)
        parts.append(samples[:, offset : offset + length])
        start += length
    return array_namespace(samples).concat(parts, axis=1)
