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
    Scratch,
    array_namespace,
    device_of,
    fft_of,
    from_numpy,
    scale_factors,
    scale_into,
)
from scatdask.filters import SampledFilter, low_pass_taps
from scatdask.transforms.scattering1d import LANES, WIDEST_REACH


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
    factors : array
        Response in the order of the source, as `scale_into` takes it.
    """

    source: slice
    mirrored: bool
    target: slice
    adds: bool
    factors: AnyArray


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
                    scale_factors(
                        values[piece][:: -1 if mirrored[start] else 1].astype(dtype), like=like
                    ),
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
        bins, target = spectrum[..., run.source], out[..., run.target]
        if not (run.mirrored or run.adds):
            scale_into(target, bins, run.factors)
            continue
        product = xp.empty_like(bins)
        scale_into(product, bins, run.factors)
        if run.mirrored:
            product = xp.conj(xp.flip(product, axis=-1))
        if run.adds:
            product = target + product
        out[..., run.target] = product


def filtered_modulus(
    spectrum: AnyArray, filters: Sequence[FoldedFilter], scratch: Scratch, name: str
) -> AnyArray:
    """Filter signals by wavelets of one subsampling and take the modulus.

    Parameters
    ----------
    spectrum : complex array, shape (rows, n // 2 + 1)
        Half spectra of real signals.
    filters : sequence of FoldedFilter
        All with the same ``n_out``.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    real array, shape (batch, n_out)
        Row ``i * rows + r`` is signal r through filter i; rows past ``len(filters) * rows`` are
        padding, zero.
    """
    rows, used = spectrum.shape[0], spectrum.shape[0] * len(filters)
    shape = padded_batch(used), filters[0].n_out
    product = scratch.empty("product", shape, spectrum.dtype)
    for index, folded in enumerate(filters):
        band_pass(spectrum, folded, product[index * rows : (index + 1) * rows, :])
    product[used:, :] = 0
    return scratch.modulus(name, fft_of(product).ifft(product))


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

    The signal is cut into tiles of ``tile`` outputs, as many as the taps reach on either side. One
    product gives what each tile adds to the outputs of the next, of itself and of the one before.

    Attributes
    ----------
    matrix : array, shape (tile * step, 3 * tile)
    step : int
        Samples per output.
    tile : int
        Outputs per tile.
    """

    matrix: AnyArray
    step: int
    tile: int

    def __call__(self, samples: AnyArray, start: int, stop: int) -> AnyArray:
        """Return outputs [start, stop) of periodic signals (rows, n)."""
        xp = array_namespace(samples)
        rows, tile = samples.shape[0], self.tile
        tiles = -(-(stop - start) // tile)
        first, last = (start - tile) * self.step, (start + (tiles + 1) * tile) * self.step
        cut = periodic_slice(samples, first, last)
        parts = xp.reshape(cut, (rows, tiles + 2, tile * self.step)) @ self.matrix
        smooth = parts[:, :-2, :tile] + parts[:, 1:-1, tile : 2 * tile] + parts[:, 2:, 2 * tile :]
        return xp.reshape(smooth, (rows, tiles * tile))[:, : stop - start]


def tap_smoother(
    sigma: float, stride: int, rate: int, n_out: int, dtype: str, *, like: AnyArray
) -> TapSmoother | None:
    """Build the matrix that averages samples `rate` apart into outputs `stride` apart.

    Returns None where an FFT is cheaper: where a tile would reach far, or where a row of `n_out`
    outputs is only a few tiles.
    """
    taps = low_pass_taps(sigma, rate=rate, tolerance=float(np.finfo(dtype).eps))
    half, step = len(taps) // 2, stride // rate
    tile = math.ceil(half / step)
    if tile > WIDEST_REACH or n_out < 3 * tile:
        return None
    # Outputs of the next tile, of the tile itself, and of the one before.
    output = np.concatenate([np.arange(d * tile, (d + 1) * tile) for d in (1, 0, -1)])
    lag = np.arange(tile * step)[:, None] - output * step
    inside = np.abs(lag) <= half
    matrix = np.where(inside, taps[np.where(inside, lag, 0) + half], 0.0)
    return TapSmoother(from_numpy(matrix.astype(dtype), like=like), step, tile)


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
