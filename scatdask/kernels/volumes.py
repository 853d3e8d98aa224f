"""Inverse FFTs of volumes, axis by axis, for filters that are sums of products of vectors.

A spectrum is kept on its lowest bins only. A filter is a vector along each axis, so that filters
with a vector in common share the FFT along that axis. The last axis and the one before are
transformed a few planes at a time, which all that follows finds in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from scatdask.arrays import (
    AnyArray,
    Like,
    Scratch,
    array_namespace,
    complex_dtype,
    device_of,
    fft_of,
    from_numpy,
    is_writable,
)
from scatdask.filters import harmonic_amplitude, monomial_gaussian, solid_harmonic
from scatdask.transforms import HarmonicScattering3D


@dataclass(frozen=True)
class Harmonic:
    """A wavelet as a sum over pairs of vectors along the first two axes.

    Attributes
    ----------
    pairs : tuple of int
        Places in `SampledScale.pairs`.
    factors : tuple of complex array, each of shape (bins,)
        For each pair the vector along the last axis.
    """

    pairs: tuple[int, ...]
    factors: tuple[AnyArray, ...]


@dataclass(frozen=True)
class SampledScale:
    """The wavelets of one scale and some degrees for one padded shape, on one device.

    Attributes
    ----------
    shape : tuple of int
        Samples of the volume along each axis.
    bins : tuple of int
        Bins along each axis on which the wavelets do not vanish: the lowest. Along the last axis
        those from zero up, or all where `is_whole`.
    is_whole : bool
        Whether spectra have all bins of the last axis, because of wavelets that are not real.
    first : tuple of complex array, each of shape (bins, 1, 1)
        Vectors along the first axis.
    pairs : tuple of (int, array)
        Place in `first`, and vector along the second axis, shape (bins, 1).
    harmonics : dict
        For each degree the wavelets whose output is real, and those whose output is complex.
    constant : float
        Response of degree 0 at frequency zero.
    """

    shape: tuple[int, ...]
    bins: tuple[int, ...]
    is_whole: bool
    first: tuple[AnyArray, ...]
    pairs: tuple[tuple[int, AnyArray], ...]
    harmonics: dict[int, tuple[tuple[Harmonic, ...], tuple[Harmonic, ...]]]
    constant: float


def sampled_scale(
    transform: HarmonicScattering3D,
    j: int,
    degrees: tuple[int, ...],
    shape: tuple[int, ...],
    like: AnyArray,
) -> SampledScale:
    """Sample the wavelets of a scale and some degrees, or return the kept ones."""
    return _sampled_scale(transform, j, degrees, shape, Like(like))


@lru_cache(maxsize=256)
def _sampled_scale(
    transform: HarmonicScattering3D,
    j: int,
    degrees: tuple[int, ...],
    shape: tuple[int, ...],
    like: Like,
) -> SampledScale:
    highest, sigma = max(degrees), transform.sigma(j)
    is_whole = any(transform.is_asymmetric(j, degree, shape) for degree in degrees)
    complex_type = np.result_type(transform.dtype, np.complex64)
    widths = [transform.band(j, highest, n) for n in shape]
    vectors = []
    for axis, (n, width) in enumerate(zip(shape, widths, strict=True)):
        frequency = lowest_bins(np.fft.fftfreq(n), width)
        if axis == 2 and not is_whole:
            frequency = frequency[: width // 2 + 1]
        powers = np.stack(
            [
                monomial_gaussian(frequency, sigma, power, sampling=str(transform.sampling))
                for power in range(highest + 1)
            ]
        )
        if not is_whole:  # what is odd has no place in a real signal at the Nyquist frequency
            powers[1::2, np.abs(frequency) == 0.5] = 0
        vectors.append(powers)
    along_z, along_y, along_x = vectors

    def placed(vector: np.ndarray, axis: int) -> AnyArray:
        column = vector.astype(complex_type).reshape(-1, *(1,) * (2 - axis))
        return from_numpy(column, like=like.array)

    polynomials = {degree: _polynomials(transform, degree, is_whole) for degree in degrees}
    every = [terms for group in polynomials.values() for terms in group]
    pairs = sorted({powers[:2] for terms in every for powers in terms})
    first = sorted({c for c, _ in pairs})
    harmonics = {}
    for degree, group in polynomials.items():
        groups: tuple[list[Harmonic], list[Harmonic]] = [], []
        for terms in group:
            factors: dict[int, Any] = {}
            for (c, b, a), factor in terms.items():
                place = pairs.index((c, b))
                factors[place] = factors.get(place, 0) + factor * along_x[a]
            is_real = not is_whole or _is_even(terms, shape)
            bins = shape[2] // 2 + 1 if is_real else len(along_x[0])
            phase = (-1j) ** degree * harmonic_amplitude(degree)
            groups[not is_real].append(
                Harmonic(
                    tuple(factors),
                    tuple(placed(phase * vector[:bins], 2) for vector in factors.values()),
                )
            )
        harmonics[degree] = tuple(groups[0]), tuple(groups[1])
    return SampledScale(
        shape,
        (len(along_z[0]), len(along_y[0]), len(along_x[0])),
        is_whole,
        tuple(placed(along_z[c], 0) for c in first),
        tuple((first.index(c), placed(along_y[b], 1)) for c, b in pairs),
        harmonics,
        float(along_z[0][0] * along_y[0][0] * along_x[0][0]),
    )


def _polynomials(
    transform: HarmonicScattering3D, degree: int, is_whole: bool
) -> list[dict[tuple[int, int, int], complex]]:
    """Return the harmonics of a degree whose squared moduli add up."""
    if transform.rotation_covariant or degree == 0:
        return [dict(solid_harmonic(degree, m)) for m in range(-degree, degree + 1)]
    # The complex one of m = -l: its real and imaginary parts, where these stay real.
    cosine, sine = (
        {powers: factor / np.sqrt(2) for powers, factor in solid_harmonic(degree, m).items()}
        for m in (degree, -degree)
    )
    return [{**cosine, **{p: -1j * f for p, f in sine.items()}}] if is_whole else [cosine, sine]


def _is_even(terms: dict[tuple[int, int, int], complex], shape: tuple[int, ...]) -> bool:
    """Say whether a wavelet is even along all axes that have a bin at the Nyquist frequency."""
    return all(
        power % 2 == 0
        for powers in terms
        for power, n in zip(powers, shape, strict=True)
        if n % 2 == 0
    )


# Bins


def lowest_bins(spectrum: AnyArray, width: int, axis: int = 0) -> AnyArray:
    """Return the `width` lowest bins of one axis, in the order of `numpy.fft.fftfreq`."""
    if spectrum.shape[axis] == width:
        return spectrum
    before = (slice(None),) * axis
    parts = [spectrum[(*before, run, ...)] for run, _ in _runs(spectrum.shape[axis], width)]
    return array_namespace(spectrum).concat(parts, axis=axis)


def _runs(n: int, width: int) -> list[tuple[slice, slice]]:
    """Return where the lowest `width` of `n` bins lie, those from zero up and those below."""
    if n == width:
        return [(slice(0, n), slice(0, n))]
    low = width // 2 + 1
    return [(slice(0, low), slice(0, low)), (slice(n - width + low, n), slice(low, width))]


def products(
    parts: Sequence[tuple[AnyArray, AnyArray]], n: int, axis: int, scratch: Scratch, name: str
) -> AnyArray:
    """Multiply spectra by vectors along one axis, and fill that axis up with zeros.

    Parameters
    ----------
    parts : sequence of (complex array, complex array)
        Spectra of one shape, and the factors of each.
    n : int
        Bins of the axis in the result.
    axis : int
        Counted from the end, negative.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (parts, *shape)
    """
    a, _ = parts[0]
    xp, width = array_namespace(a), a.shape[axis]
    after = (slice(None),) * (-axis - 1)
    if not is_writable(a):
        full = xp.stack([spectrum * factors for spectrum, factors in parts])
        if n == width:
            return full
        gap = [*full.shape]
        gap[axis] = n - width
        zeros = xp.zeros(tuple(gap), dtype=full.dtype)
        (_, low), (_, high) = _runs(n, width)
        return xp.concat([full[(..., low, *after)], zeros, full[(..., high, *after)]], axis=axis)
    shape = [len(parts), *a.shape]
    shape[axis] = n
    out = scratch.empty(name, tuple(shape), a.dtype)
    runs = _runs(n, width)
    if n > width:
        out[(..., slice(runs[0][0].stop, runs[1][0].start), *after)] = 0
    for place, (spectrum, factors) in enumerate(parts):
        for wide, narrow in runs:
            column = factors[(narrow, *(slice(None),) * (-axis - 1))]
            target = out[(place, ..., wide, *after)]
            xp.multiply(spectrum[(..., narrow, *after)], column, out=target)
    return out


def sums_of_products(
    harmonics: Sequence[Harmonic], columns: AnyArray, scratch: Scratch
) -> AnyArray:
    """Put wavelets together from their vectors along the last axis.

    Parameters
    ----------
    harmonics : sequence of Harmonic
        With factors of one length.
    columns : complex array, shape (pairs, ..., bins)

    Returns
    -------
    complex array, shape (harmonics, ..., bins)
    """
    xp, bins = array_namespace(columns), harmonics[0].factors[0].shape[0]
    columns = columns[..., :bins]
    if not is_writable(columns):
        return xp.stack(
            [
                sum(columns[p, ...] * f for p, f in zip(h.pairs, h.factors, strict=True))
                for h in harmonics
            ]
        )
    shape = columns.shape[1:]
    out = scratch.empty("sums", (len(harmonics), *shape), columns.dtype)
    term = scratch.empty("term", shape, columns.dtype)
    for place, harmonic in enumerate(harmonics):
        target = out[place, ...]
        for count, (pair, factors) in enumerate(zip(harmonic.pairs, harmonic.factors, strict=True)):
            xp.multiply(columns[pair, ...], factors, out=term if count else target)
            if count:
                xp.add(target, term, out=target)
    return out


# The steps


def along_first(scale: SampledScale, spectrum: AnyArray, scratch: Scratch) -> AnyArray:
    """Filter and transform along the first axis.

    Parameters
    ----------
    scale : SampledScale
    spectrum : complex array, shape (rows, bins, bins, bins)
        On at least the bins of the scale.

    Returns
    -------
    complex array, shape (vectors, rows, n, bins, bins)
    """
    n_z, _, _ = scale.shape
    b_z, b_y, b_x = scale.bins
    cut = lowest_bins(lowest_bins(spectrum[..., :b_x], b_z, 1), b_y, 2)
    product = products([(cut, vector) for vector in scale.first], n_z, -3, scratch, "first")
    return fft_of(product).ifftn(product, axes=(-3,))


def along_second(
    scale: SampledScale, columns: AnyArray, planes: slice, scratch: Scratch
) -> AnyArray:
    """Filter and transform some planes along the second axis.

    Returns
    -------
    complex array, shape (pairs, rows, planes, n, bins)
    """
    cut = columns[:, :, planes, ...]
    parts = [(cut[place, ...], vector) for place, vector in scale.pairs]
    product = products(parts, scale.shape[1], -2, scratch, "second")
    return fft_of(product).ifftn(product, axes=(-2,))


def squared_moduli(
    scale: SampledScale,
    degree: int,
    columns: AnyArray,
    offset: AnyArray | None,
    scratch: Scratch,
) -> AnyArray:
    """Filter and transform along the last axis, and add up the squared moduli of a degree.

    Parameters
    ----------
    scale : SampledScale
    degree : int
    columns : complex array, shape (pairs, rows, planes, lines, bins)
    offset : array, shape (rows, 1, 1, 1), or None
        Constant of the input, of which degree 0 keeps its share.

    Returns
    -------
    real array, shape (rows, planes, lines, n)
    """
    xp, n = array_namespace(columns), scale.shape[2]
    total = None
    for group, is_real in zip(scale.harmonics[degree], (True, False), strict=True):
        if not group:
            continue
        product = sums_of_products(group, columns, scratch)
        fft = fft_of(product)
        if is_real:
            field = fft.irfft(product, n=n)
            if degree == 0 and offset is not None:
                field = field + scale.constant * offset
            squares = xp.multiply(field, field, out=field) if is_writable(field) else field * field
        else:
            field = fft.ifft(product)
            squares = xp.real(field) ** 2 + xp.imag(field) ** 2
        part = xp.sum(squares, axis=0) if squares.shape[0] > 1 else squares[0, ...]
        total = part if total is None else total + part
    return total


class Spectrum:
    """Collect the spectrum of a real signal plane by plane, on the bins that some scales need."""

    def __init__(self, scales: Sequence[SampledScale], dtype: str) -> None:
        self._dtype = dtype
        self._bins = tuple(max(scale.bins[axis] for scale in scales) for axis in range(3))
        self._is_whole = any(scale.is_whole for scale in scales)
        self._n = scales[0].shape[0]
        self._array: AnyArray = None
        self._parts: list[AnyArray] = []

    def add(self, planes: slice, signal: AnyArray) -> None:
        """Transform some planes, shape (rows, planes, lines, n), along the last two axes."""
        xp, fft = array_namespace(signal), fft_of(signal)
        _, b_y, b_x = self._bins
        if self._is_whole:
            lines = fft.fftn(xp.astype(signal, complex_dtype(xp, self._dtype)), axes=(-1,))
        else:
            # Sums and products want bins that lie side by side.
            lines = fft.rfft(signal)[..., :b_x]
        part = fft.fftn(lines, axes=(-2,))
        if not is_writable(part):
            self._parts.append(lowest_bins(part, b_y, 2))
            return
        if self._array is None:
            shape = (part.shape[0], self._n, b_y, b_x)
            self._array = xp.empty(shape, dtype=part.dtype, device=device_of(part))
        for wide, narrow in _runs(part.shape[2], b_y):
            self._array[:, planes, narrow, :] = part[:, :, wide, :]

    def finish(self) -> AnyArray:
        """Transform what was collected along the first axis, shape (rows, bins, bins, bins)."""
        whole = self._array
        if whole is None:
            whole = array_namespace(self._parts[0]).concat(self._parts, axis=1)
        return lowest_bins(fft_of(whole).fftn(whole, axes=(1,)), self._bins[0], 1)
