"""The few array operations of a scattering cascade: band-pass and fold, modulus, low-pass.

Signals are real, so spectra are half spectra (``rfft``); filters touch a short run of bins only,
and the product goes straight to its place in the spectrum of the subsampled output. NumPy writes
run after run into buffers that are used again, CuPy filters a whole group at once, and any other
library adds up slices, through which gradients can be traced.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scatdask.arrays import (
    AnyArray,
    BandTable,
    Like,
    Scratch,
    array_namespace,
    band_table,
    fft_of,
    fold_bands,
    from_numpy,
    is_cupy,
    is_numpy,
    matmul,
)
from scatdask.filters import SampledFilter, low_pass_taps
from scatdask.transforms.tuning import LANES, WIDEST_REACH


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
        Response in the order of the source, each value twice: pairs of reals are multiplied
        faster than complex numbers by reals.
    """

    source: slice
    mirrored: bool
    target: slice
    adds: bool
    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class FoldedFilter:
    """A filter for half spectra of length-`n` signals whose output has `n_out` samples.

    Attributes
    ----------
    n, n_out : int
    runs, zeros : tuple
        How NumPy goes through the bins, and which bins of the output no run writes to.
    first : int
        First bin of `response`; negative ones count from the end of the spectrum.
    response : array or None
        For other libraries. CuPy's are on the host still, to be moved together with others;
        for the rest it begins and ends at multiples of `n_out`.
    like : Like or None
        Where the response is to live.

    Notes
    -----
    The response is scaled such that an inverse FFT of length `n_out` gives the subsampled signal.
    """

    n: int
    n_out: int
    runs: tuple[Run, ...] = ()
    zeros: tuple[slice, ...] = ()
    first: int = 0
    response: AnyArray = None
    like: Like | None = None


def fold_filter(sampled: SampledFilter, n_out: int, dtype: str, *, like: AnyArray) -> FoldedFilter:
    """Lay a sampled filter out for the library of `like`.

    Parameters
    ----------
    sampled : SampledFilter
        Filter on a DFT of length ``sampled.n``.
    n_out : int
        Samples after filtering, a divisor of ``sampled.n``.
    dtype : {"float32", "float64"}
    like : array
        Where the values are to live.
    """
    n, first = sampled.n, sampled.first
    values = (sampled.values * (n_out / n)).astype(dtype)
    if is_numpy(like):
        return FoldedFilter(n, n_out, *_cut_into_runs(first, values, n, n_out))
    if is_cupy(like):
        return FoldedFilter(n, n_out, first=first, response=values, like=Like(like))
    start, stop = first // n_out * n_out, -(-(first + len(values)) // n_out) * n_out
    whole = np.zeros(stop - start, np.result_type(dtype, np.complex64))
    whole[first - start : first - start + len(values)] = values
    return FoldedFilter(n, n_out, first=start, response=from_numpy(whole, like=like))


def _cut_into_runs(
    first: int, values: np.ndarray, n: int, n_out: int
) -> tuple[tuple[Run, ...], tuple[slice, ...]]:
    """Cut a filter into runs; say also which bins of the output no run writes to."""
    width = len(values)
    bins = np.arange(first, first + width)
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
        part_values = values[start:stop]
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
                    np.repeat(part_values[piece][:: -1 if mirrored[start] else 1], 2),
                )
            )
        covered[place] = True
    zeros = tuple(piece for piece in _pieces(covered) if not covered[piece.start])
    return tuple(runs), zeros


def _pieces(flags: np.ndarray) -> list[slice]:
    """Cut a boolean array into slices of equal flags."""
    edges = [0, *(np.flatnonzero(flags[1:] != flags[:-1]) + 1).tolist(), len(flags)]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]


def band_pass(
    spectrum: AnyArray, filters: Sequence[FoldedFilter], scratch: Scratch | None = None
) -> AnyArray:
    """Multiply half spectra by filters and fold the products onto the outputs' bins.

    Parameters
    ----------
    spectrum : complex array, shape (rows, n // 2 + 1)
        Half spectra of real signals.
    filters : sequence of FoldedFilter
        All with the same ``n`` and ``n_out``.
    scratch : Scratch, optional
        Where to keep the result, with rows to fill the lanes of the FFT.

    Returns
    -------
    complex array, shape (batch, n_out)
        Spectra of the filtered and subsampled signals: row ``i * rows + r`` is signal r through
        filter i; rows past ``len(filters) * rows`` are padding, zero.
    """
    rows, n_out = spectrum.shape[0], filters[0].n_out
    if is_cupy(spectrum):
        return fold_bands(spectrum, _table(tuple(filters)))
    if not is_numpy(spectrum):
        parts = [_folded_slices(spectrum, folded) for folded in filters]
        return parts[0] if len(parts) == 1 else array_namespace(spectrum).concat(parts, axis=0)
    used = rows * len(filters)
    if scratch is None:
        out = np.empty((used, n_out), spectrum.dtype)
    else:
        out = scratch.empty("product", (padded_batch(used), n_out), spectrum.dtype)
        out[used:] = 0
    for index, folded in enumerate(filters):
        _write_runs(spectrum, folded, out[index * rows : (index + 1) * rows])
    return out


def _write_runs(spectrum: np.ndarray, folded: FoldedFilter, out: np.ndarray) -> None:
    """Fill `out`, shape (rows, n_out), run by run."""
    for gap in folded.zeros:
        out[:, gap] = 0
    for run in folded.runs:
        bins, target = spectrum[:, run.source], out[:, run.target]
        if not (run.mirrored or run.adds):
            _scale_into(target, bins, run.factors)
            continue
        product = np.empty_like(bins)
        _scale_into(product, bins, run.factors)
        if run.mirrored:
            product = np.conj(product[:, ::-1])
        if run.adds:
            product = target + product
        out[:, run.target] = product


def _scale_into(out: np.ndarray, bins: np.ndarray, factors: np.ndarray) -> None:
    np.multiply(bins.view(factors.dtype), factors, out=out.view(factors.dtype))


def _folded_slices(spectrum: AnyArray, folded: FoldedFilter) -> AnyArray:
    """Return the folded product without writing to any array."""
    xp = array_namespace(spectrum)
    n, start = folded.n, folded.first
    stop = start + folded.response.shape[0]
    parts = []
    while start < stop:
        # Bins of one side of the spectrum; those past its middle mirror the others.
        place = start % n
        if place <= n // 2:
            length = min(stop - start, n // 2 + 1 - place)
            parts.append(spectrum[:, place : place + length])
        else:
            length = min(stop - start, n - place)
            part = spectrum[:, n - place - length + 1 : n - place + 1]
            parts.append(xp.conj(xp.flip(part, axis=1)))
        start += length
    product = (parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)) * folded.response
    if product.shape[1] == folded.n_out:
        return product
    return xp.sum(xp.reshape(product, (product.shape[0], -1, folded.n_out)), axis=1)


@lru_cache(maxsize=1024)
def _table(filters: tuple[FoldedFilter, ...]) -> BandTable:
    """Keep the table of a group on its device, for as long as groups come again."""
    first = filters[0]
    assert first.like is not None
    responses = [(folded.first, folded.response) for folded in filters]
    return band_table(responses, first.n, first.n_out, like=first.like.array)


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
    product = band_pass(spectrum, filters, scratch)
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
        n_out = self.folded.n_out
        product = band_pass(spectrum, (self.folded,))
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
        parts = matmul(xp.reshape(cut, (rows, tiles + 2, tile * self.step)), self.matrix)
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
