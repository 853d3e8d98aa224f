"""The 1-D scattering cascade on padded rows, depth first.

One pass takes a few signals and a few wavelets of one branch at a time, so that all that lies
between an inverse FFT and the average it ends in stays in the cache. Filters are sampled once for
each (transform, length, precision, device) and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scatdask.arrays import (
    AnyArray,
    Like,
    Scratch,
    array_namespace,
    batch_bytes,
    complex_dtype,
    fft_of,
)
from scatdask.kernels.keep import Keep
from scatdask.kernels.operations import (
    FoldedFilter,
    SpectralSmoother,
    TapSmoother,
    filtered_modulus,
)
from scatdask.kernels.sampling import TimeFilters
from scatdask.kernels.writer import Writer
from scatdask.transforms import Scattering1D
from scatdask.transforms.cascade import Branch1D, Path
from scatdask.transforms.cost1d import wavelets_at_once


@dataclass(frozen=True)
class SampledBranch:
    """A branch of the cascade with its filters sampled.

    Attributes
    ----------
    branch : Branch1D
    filters : tuple of FoldedFilter
        One for each wavelet.
    smooth : SpectralSmoother, TapSmoother or None
        The average of the outputs; None where there is none, or nobody wants it.
    children : tuple of SampledBranch
    """

    branch: Branch1D
    filters: tuple[FoldedFilter, ...]
    smooth: SpectralSmoother | TapSmoother | None
    children: tuple[SampledBranch, ...]


@dataclass(frozen=True)
class SampledCascade:
    """All filters of a transform for one padded length, on one device."""

    smooth: SpectralSmoother | None
    branches: tuple[SampledBranch, ...]


def sampled_cascade(transform: Scattering1D, n: int, like: AnyArray) -> SampledCascade:
    """Sample the filters of a transform for rows of length `n`, or return the kept ones."""
    return _sampled_cascade(transform, n, Like(like))


@lru_cache(maxsize=16)
def _sampled_cascade(transform: Scattering1D, n: int, like: Like) -> SampledCascade:
    time = TimeFilters(transform.low_pass, transform.stride, n, transform.dtype, like)

    def sample(branch: Branch1D, order: int, log2_in: int) -> SampledBranch:
        bank, log2_rate = transform.wavelets[order - 1], branch.log2_rate
        filters = tuple(time.band(bank[wavelet], log2_in, log2_rate) for wavelet in branch.wavelets)
        children = tuple(sample(child, order + 1, log2_rate) for child in branch.children)
        smooth = None
        if branch.wanted:  # by the spectrum, where the children need it anyway
            smooth = time.spectral(log2_rate) if children else time.last(log2_rate)
        return SampledBranch(branch, filters, smooth, children)

    smooth = time.spectral(0) if () in transform.path_indices else None
    return SampledCascade(smooth, tuple(sample(branch, 1, 0) for branch in transform.branches))


def scattering1d(
    transform: Scattering1D, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute the scattering of padded rows.

    Parameters
    ----------
    transform : Scattering1D
    x : array, shape (rows, n)
        Samples in float64, one period of periodic signals; ``n`` is a multiple of the
        transform's alignment.
    offset : array of float64, shape (rows,)
        Constant that was taken out of each row; it goes back into order 0.
    keep : (Keep,)
        The samples whose outputs are wanted; it starts at a multiple of the alignment.

    Returns
    -------
    list of array
        One for each of ``transform.outputs``, shape ``(rows, path, time)``. For ``T="global"``
        sums over the kept samples, with a time axis of length one.
    """
    xp = array_namespace(x)
    cascade = sampled_cascade(transform, x.shape[1], x)
    writer = Writer(transform, x, keep)
    finish = _LastStep(xp, keep[0], transform.stride, writer.is_sum)
    # The one FFT in float64 whatever the transform's dtype: signals whose low frequencies are loud
    # would drown their faint high ones in its rounding, and it is a small part of the work.
    spectrum = xp.astype(fft_of(x).rfft(x), complex_dtype(xp, transform.dtype))
    walk = _Walk(transform, finish, writer, Scratch(spectrum), batch_bytes(x))
    if () in walk.rows:
        order0 = finish(cascade.smooth, 1, x, spectrum)
        # A constant in the input counts in order 0 once, or once for each sample of a sum.
        weight = writer.n_kept if writer.is_sum else 1
        order0 = order0 + xp.reshape(weight * offset, (-1, 1))
        writer.put((walk.rows[()],), xp.astype(order0, getattr(xp, transform.dtype)))
        del order0
    for branch in cascade.branches:
        walk.follow(branch, [()], spectrum)
    return writer.arrays()


class _Walk:
    """Follow the branches of a cascade down to their outputs."""

    def __init__(
        self,
        transform: Scattering1D,
        finish: _LastStep,
        writer: Writer,
        scratch: Scratch,
        memory: int,
    ) -> None:
        self.rows = {path: row for row, path in enumerate(transform.path_indices)}
        self._dtype, self._memory = transform.dtype, memory
        self._finish, self._writer, self._scratch = finish, writer, scratch

    def follow(self, sampled: SampledBranch, parents: list[Path], spectrum: AnyArray) -> None:
        """Apply a branch to the half spectra of its parents' outputs, shape (signals, bins)."""
        filters, signals = sampled.filters, spectrum.shape[0]
        n_out = filters[0].n_out
        size = wavelets_at_once(len(filters), signals, n_out, self._dtype, self._memory)
        for start in range(0, len(filters), size):
            self._follow_some(sampled, slice(start, start + size), parents, spectrum)

    def _follow_some(
        self, sampled: SampledBranch, some: slice, parents: list[Path], spectrum: AnyArray
    ) -> None:
        """Take some wavelets of a branch in one pass."""
        branch = sampled.branch
        paths = [(*parent, n) for n in branch.wavelets[some] for parent in parents]
        buffer = f"modulus{len(paths[0])}"
        modulus = filtered_modulus(spectrum, sampled.filters[some], self._scratch, buffer)
        below = fft_of(modulus).rfft(modulus) if sampled.children else None
        if branch.wanted:
            values = self._finish(sampled.smooth, 2**branch.log2_rate, modulus, below)
            self._writer.put([self.rows[path] for path in paths], values)
        if below is not None:
            below = below[: spectrum.shape[0] * len(sampled.filters[some]), ...]
        for child in sampled.children:
            self.follow(child, paths, below)


@dataclass(frozen=True)
class _LastStep:
    """The last step of each path: the average, the sum, or nothing but to keep what is wanted."""

    xp: Any
    keep: Keep
    stride: int | None
    is_sum: bool

    def __call__(
        self,
        smooth: SpectralSmoother | TapSmoother | None,
        rate: int,
        samples: AnyArray,
        spectrum: AnyArray | None,
    ) -> AnyArray:
        """Average samples that are `rate` apart, sum them, or leave them as they are."""
        if smooth is None:
            first, last = self.keep.outputs(rate)
            kept = samples[:, first:last]
            return self.xp.sum(kept, axis=1, keepdims=True) if self.is_sum else kept
        first, last = self.keep.outputs(self.stride or 1)
        if isinstance(smooth, TapSmoother):
            return smooth(samples, first, last)
        if spectrum is None:
            spectrum = fft_of(samples).rfft(samples)
        return smooth(spectrum, first, last)
