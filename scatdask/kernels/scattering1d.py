"""The 1-D scattering cascade on padded rows, depth first.

One pass takes a few signals and a few wavelets of one octave at a time, so that all that lies
between an inverse FFT and the average it ends in stays in the cache. Filters are sampled once for
each (transform, length, precision, device) and kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from scatdask.arrays import (
    AnyArray,
    Like,
    Scratch,
    array_namespace,
    complex_dtype,
    fft_of,
)
from scatdask.filters import sample_gaussian, sample_morlet
from scatdask.kernels.keep import Keep
from scatdask.kernels.operations import (
    FoldedFilter,
    SpectralSmoother,
    TapSmoother,
    filtered_modulus,
    fold_filter,
    tap_smoother,
)
from scatdask.kernels.writer import Writer
from scatdask.transforms import Scattering1D
from scatdask.transforms.scattering1d import Branch


@dataclass(frozen=True)
class SampledBranch:
    """A branch of the cascade with its filters sampled."""

    branch: Branch
    filters: tuple[FoldedFilter, ...]
    smooth: SpectralSmoother | TapSmoother | None
    child_filters: tuple[FoldedFilter, ...]
    child_smooths: tuple[SpectralSmoother | TapSmoother | None, ...]


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
    dtype = transform.dtype
    tolerance = transform.filter_tolerance
    first, second = transform.wavelets
    low_pass, stride = transform.low_pass, transform.stride

    @cache  # the same few for all branches
    def spectral(rate: int) -> SpectralSmoother:
        assert low_pass is not None and stride is not None
        sampled = sample_gaussian(low_pass, n // rate, rate=rate, tolerance=tolerance)
        return SpectralSmoother(fold_filter(sampled, n // stride, dtype, like=like.array))

    @cache
    def last(rate: int) -> SpectralSmoother | TapSmoother | None:
        if low_pass is None or stride is None:
            return None
        taps = tap_smoother(low_pass, stride, rate, n // stride, dtype, like=like.array)
        return taps or spectral(rate)

    branches = []
    for branch in transform.branches:
        rate = 2**branch.log2_rate
        filters = tuple(
            fold_filter(
                sample_morlet(first[n1].xi, first[n1].sigma, n, tolerance=tolerance),
                n // rate,
                dtype,
                like=like.array,
            )
            for n1 in branch.wavelets
        )
        child_filters = tuple(
            fold_filter(
                sample_morlet(
                    second[n2].xi, second[n2].sigma, n // rate, rate=rate, tolerance=tolerance
                ),
                n >> log2_rate,
                dtype,
                like=like.array,
            )
            for n2, log2_rate in branch.children
        )
        smooth = (spectral(rate) if low_pass else None) if branch.children else last(rate)
        child_smooths = tuple(last(2**log2_rate) for _, log2_rate in branch.children)
        branches.append(SampledBranch(branch, filters, smooth, child_filters, child_smooths))
    return SampledCascade(spectral(1) if low_pass else None, tuple(branches))


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
    order0 = finish(cascade.smooth, 1, x, spectrum)
    # A constant in the input counts in order 0 once, or once for each sample of a sum.
    weight = writer.n_kept if writer.is_sum else 1
    order0 = order0 + xp.reshape(weight * offset, (-1, 1))
    writer.put((0,), xp.astype(order0, getattr(xp, transform.dtype)))
    del order0
    scratch = Scratch(spectrum)
    for sampled in cascade.branches:
        for members in _batches(transform, sampled.branch, *x.shape):
            _walk(sampled, members, spectrum, finish, writer, scratch)
    return writer.arrays()


def _batches(transform: Scattering1D, branch: Branch, rows: int, n: int) -> Iterator[range]:
    """Cut the wavelets of a branch into batches that fit the cache and fill the FFT's lanes."""
    size = transform.wavelets_at_once(branch, rows, n)
    wavelets = branch.wavelets
    for start in range(0, len(wavelets), size):
        yield wavelets[start : start + size]


def _walk(
    sampled: SampledBranch,
    members: range,
    spectrum: AnyArray,
    finish: _LastStep,
    writer: Writer,
    scratch: Scratch,
) -> None:
    """Follow some wavelets of one octave down to their first- and second-order outputs."""
    branch = sampled.branch
    low = members.start - branch.wavelets.start
    filters = sampled.filters[low : low + len(members)]
    modulus1 = filtered_modulus(spectrum, filters, scratch, "modulus1")
    rate1 = 2**branch.log2_rate
    spectrum1 = fft_of(modulus1).rfft(modulus1) if branch.children else None
    paths = [1 + n1 for n1 in members]
    writer.put(paths, finish(sampled.smooth, rate1, modulus1, spectrum1))
    n_children = len(branch.children)
    for child, (_, log2_rate) in enumerate(branch.children):
        paths = [
            branch.first_child_path + (low + i) * n_children + child for i in range(len(members))
        ]
        filters = sampled.child_filters[child : child + 1]
        modulus2 = filtered_modulus(spectrum1, filters, scratch, "modulus2")
        writer.put(paths, finish(sampled.child_smooths[child], 2**log2_rate, modulus2, None))


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
