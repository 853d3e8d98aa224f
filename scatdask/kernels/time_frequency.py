"""The joint time-frequency cascade on padded rows, width first.

All first-order moduli that a second-order wavelet takes make one plane, which is filtered along
frequency. Their spectra are kept for that; what follows a plane is done with a few of its samples
at a time, so that it stays in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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
    band_pass,
    filtered_modulus,
    periodic_slice,
)
from scatdask.kernels.quefrency import FrequencyFilter, sample_frequency_filters
from scatdask.kernels.sampling import TimeFilters
from scatdask.kernels.writer import Writer
from scatdask.transforms.cost1d import wavelets_at_once
from scatdask.transforms.planes import Plane
from scatdask.transforms.time_frequency import TimeFrequencyScattering


@dataclass(frozen=True)
class SampledOctave:
    """First-order wavelets of one subsampling, and what is done with their moduli.

    Attributes
    ----------
    filters : tuple of FoldedFilter
        The wavelets, from the first of the octave on.
    smooth : SpectralSmoother or None
        The average in time of the first order, where that is wanted.
    children : dict from int to FoldedFilter
        For each plane's n2 its wavelet along time.
    """

    filters: tuple[FoldedFilter, ...]
    smooth: SpectralSmoother | None
    children: dict[int, FoldedFilter]


@dataclass(frozen=True)
class SampledPlane:
    """The filters of a plane along frequency, and its average in time."""

    plane: Plane
    filters: tuple[FrequencyFilter, ...]
    smooth: SpectralSmoother | TapSmoother | None


@dataclass(frozen=True)
class SampledTransform:
    """All filters of a transform for one padded length, on one device."""

    smooth: SpectralSmoother | None
    octaves: tuple[SampledOctave, ...]
    planes: tuple[SampledPlane, ...]


@lru_cache(maxsize=16)
def sampled_transform(transform: TimeFrequencyScattering, n: int, like: Like) -> SampledTransform:
    """Sample the filters of a transform for rows of length `n`, or return the kept ones."""
    cascade = transform.cascade
    time = TimeFilters(cascade.low_pass, cascade.stride, n, transform.dtype, like)
    first, second = cascade.wavelets
    octaves = []
    for wavelets, log2_rate in transform.octaves:
        filters = tuple(time.band(first[n1], 0, log2_rate) for n1 in wavelets)
        children = {
            plane.n2: time.band(second[plane.n2], log2_rate, plane.log2_rate)
            for plane in transform.planes
            if plane.n2 is not None and wavelets.start < plane.n_rows
        }
        smooth = time.spectral(log2_rate) if transform.wants_order1 else None
        octaves.append(SampledOctave(filters, smooth, children))
    planes = []
    for plane in transform.planes:
        along = sample_frequency_filters(transform, plane, like=like.array)
        averages = plane.n2 is not None and transform.stride is not None
        last = time.last(plane.log2_rate) if averages else None
        planes.append(SampledPlane(plane, along, last))
    smooth0 = time.spectral(0) if transform.stride else None
    return SampledTransform(smooth0, tuple(octaves), tuple(planes))


def time_frequency_scattering(
    transform: TimeFrequencyScattering, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute the joint scattering of padded rows.

    Parameters
    ----------
    transform : TimeFrequencyScattering
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
        One for each of ``transform.outputs``, shape ``(rows, path, time)`` or ``(rows, path,
        frequency, time)``. For ``T="global"`` sums over the kept samples, with a time axis of
        length one.
    """
    xp = array_namespace(x)
    sampled = sampled_transform(transform, x.shape[1], Like(x))
    writer = Writer(transform, x, keep)
    # The one FFT in float64 whatever the transform's dtype, as in one-dimensional scattering.
    spectrum = xp.astype(fft_of(x).rfft(x), complex_dtype(xp, transform.dtype))
    if transform.has_order0:
        if sampled.smooth is None:
            order0 = x[:, keep[0].start : keep[0].stop]
            order0 = xp.sum(order0, axis=1, keepdims=True) if writer.is_sum else order0
        else:
            order0 = sampled.smooth(spectrum, *keep[0].outputs(transform.alignment))
        weight = writer.n_kept if writer.is_sum else 1
        order0 = order0 + xp.reshape(weight * offset, (-1, 1))
        writer.put((0,), xp.astype(order0, getattr(xp, transform.dtype)))
        del order0
    scratch = Scratch(spectrum)
    spectra, averaged = _first_order(transform, sampled, spectrum, keep[0], scratch)
    for one in sampled.planes:
        span = _span(transform, one, keep[0], x.shape[1])
        parts = averaged
        if one.plane.n2 is not None:
            parts = _second_order(one.plane, sampled, spectra, span)
        plane = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        del parts
        _finish(transform, one, plane, span, writer, scratch)
        del plane
    return writer.arrays()


def _first_order(
    transform: TimeFrequencyScattering,
    sampled: SampledTransform,
    spectrum: AnyArray,
    keep: Keep,
    scratch: Scratch,
) -> tuple[list[list[AnyArray]], list[AnyArray]]:
    """Return half spectra of the moduli of each octave in batches, and averages, complex.

    Row ``i * rows + r`` is wavelet i of signal r.
    """
    xp, rows = array_namespace(spectrum), spectrum.shape[0]
    at, memory = keep.outputs(2**transform.log2_stride), batch_bytes(spectrum)
    spectra, averaged = [], []
    for octave in sampled.octaves:
        size = wavelets_at_once(
            len(octave.filters), rows, octave.filters[0].n_out, transform.dtype, memory
        )
        parts = []
        for start in range(0, len(octave.filters), size):
            filters = octave.filters[start : start + size]
            modulus = filtered_modulus(spectrum, filters, scratch, "modulus")
            part = fft_of(modulus).rfft(modulus)[: rows * len(filters), :]
            if octave.smooth is not None:
                averaged.append(xp.astype(octave.smooth(part, *at), spectrum.dtype))
            parts.append(part)
        spectra.append(parts)
    return spectra, averaged


class _Span(NamedTuple):
    """The samples [first, last) of a plane that are seen, and the wanted outputs among theirs."""

    first: int
    last: int
    start: int
    stop: int


def _span(transform: TimeFrequencyScattering, sampled: SampledPlane, keep: Keep, n: int) -> _Span:
    """Say what is needed of a plane of padded rows of `n` samples."""
    rate = 2**sampled.plane.log2_rate
    if sampled.smooth is None:
        first, last = keep.outputs(rate)
        return _Span(first, last, 0, last - first)
    start, stop = keep.outputs(transform.alignment)
    if isinstance(sampled.smooth, TapSmoother):
        tile, step = sampled.smooth.tile, sampled.smooth.step
        tiles = -(-(stop - start) // tile) + 2
        if tiles * tile * step < n // rate:
            first = (start - tile) * step
            return _Span(first, first + tiles * tile * step, tile, tile + stop - start)
    return _Span(0, n // rate, start, stop)


def _second_order(
    plane: Plane, sampled: SampledTransform, spectra: list[list[AnyArray]], span: _Span
) -> list[AnyArray]:
    """Filter the first order by a wavelet along time; rows as for the first order."""
    parts = []
    for octave, members in zip(sampled.octaves, spectra, strict=True):
        if plane.n2 is not None and plane.n2 in octave.children:
            for spectrum in members:
                product = band_pass(spectrum, (octave.children[plane.n2],))
                whole = fft_of(product).ifft(product)
                parts.append(periodic_slice(whole, span.first, span.last))
    return parts


def _finish(
    transform: TimeFrequencyScattering,
    sampled: SampledPlane,
    plane: AnyArray,
    span: _Span,
    writer: Writer,
    scratch: Scratch,
) -> None:
    """Filter a plane along frequency, average it, and store what is wanted of it.

    `plane` has the shape ``(n_rows * rows, time)``.
    """
    xp, n_rows = array_namespace(plane), sampled.plane.n_rows
    rows, n = plane.shape[0] // n_rows, plane.shape[1]
    columns = xp.reshape(plane, (n_rows, rows * n))
    for along in sampled.filters:
        for end, values in along(columns, scratch):
            places = len(end.strip.places)
            samples = xp.reshape(values, (places * rows, n))
            if isinstance(sampled.smooth, TapSmoother):
                samples = sampled.smooth(samples, span.start, span.stop)
            elif sampled.smooth is not None:
                spectrum = fft_of(samples).rfft(samples)
                samples = sampled.smooth(spectrum, span.start, span.stop)
            elif writer.is_sum:
                samples = xp.sum(samples, axis=1, keepdims=True)
            if transform.format == "joint":
                samples = xp.reshape(samples, (places, rows, samples.shape[1]))
                samples = xp.permute_dims(samples, (1, 0, 2))
            writer.put(end.strip.paths, samples)
