"""Filters for volumes that are made of vectors and planes, and the FFTs that they share.

A spectrum is kept on its lowest bins only. A solid harmonic is a sum over powers of z, each times a
polynomial in y and x: wavelets with a power of z in common share the FFT along the first axis. The
other two are transformed a few planes at a time, which all that follows finds in the cache.
"""

from __future__ import annotations

import itertools
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
    device_of,
    fft_of,
    from_numpy,
    is_writable,
)
from scatdask.filters import harmonic_amplitude, monomial_gaussian, wavelet_polynomial
from scatdask.transforms import HarmonicScattering3D

# Which axes of a volume.
Axes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Edge:
    """What an odd wavelet has at the Nyquist frequency, where real wavelets would be zero.

    Attributes
    ----------
    axes : tuple of int
        The axes along which it is at the Nyquist frequency; its output alternates along these.
    response : complex array, shape (bins or 1, bins or 1, bins or 1)
        Of which one bin along `axes`.
    """

    axes: Axes
    response: AnyArray


@dataclass(frozen=True, eq=False)
class Harmonic:
    """One wavelet.

    Attributes
    ----------
    terms : tuple of (int, complex array of shape (bins, bins))
        Place in `SampledScale.first`, and what it is multiplied with along the other two axes.
    edges : tuple of Edge
    """

    terms: tuple[tuple[int, AnyArray], ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, eq=False)
class SampledScale:
    """The wavelets of one scale and some degrees for one padded shape, on one device.

    Attributes
    ----------
    shape : tuple of int
        Samples of the volume along each axis.
    bins : tuple of int
        Bins along each axis on which the wavelets do not vanish: the lowest; along the last axis
        those from zero up.
    first : tuple of complex array, each of shape (bins, 1, 1)
        Vectors along the first axis, one for each power of z.
    harmonics : dict
        For each degree its wavelets.
    is_pair : bool
        Whether the two wavelets of a degree are the real and imaginary part of one.
    constant : float
        Response of degree 0 at frequency zero.
    """

    shape: tuple[int, ...]
    bins: tuple[int, ...]
    first: tuple[AnyArray, ...]
    harmonics: dict[int, tuple[Harmonic, ...]]
    is_pair: bool
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
    highest = max(degrees)
    sampling = str(transform.sampling)
    complex_type = np.result_type(transform.dtype, np.complex64)
    vectors, ends = [], []
    for axis, n in enumerate(shape):
        width = transform.band(j, highest, n)
        frequency = lowest_bins(np.fft.fftfreq(n), width)
        if axis == 2:
            frequency = frequency[: width // 2 + 1]
        powers = np.stack(
            [
                monomial_gaussian(frequency, transform.sigma(j), power, sampling=sampling)
                for power in range(highest + 1)
            ]
        )
        at_end = np.abs(frequency) == 0.5
        # In a real wavelet what is odd has no place at the Nyquist frequency.
        ends.append(np.where(np.any(at_end), powers[:, np.argmax(at_end)], 0.0))
        powers[1::2, at_end] = 0
        vectors.append(powers)

    def placed(array: np.ndarray) -> AnyArray:
        return from_numpy(array.astype(complex_type), like=like.array)

    polynomials = {
        (degree, order): wavelet_polynomial(degree, order, transform.sigma(j), sampling=sampling)
        for degree in degrees
        for order in transform.orders(degree)
    }
    used = sorted({powers[0] for polynomial in polynomials.values() for powers in polynomial})
    harmonics = {}
    for degree in degrees:
        phase = (-1j) ** degree * harmonic_amplitude(degree)
        has_edges = transform.is_asymmetric(j, degree, shape)
        group = []
        for order in transform.orders(degree):
            polynomial = polynomials[degree, order]
            weight = phase if transform.rotation_covariant or not degree else phase / np.sqrt(2)
            terms: dict[int, Any] = {}
            for (c, b, a), factor in polynomial.items():
                plane = weight * factor * vectors[1][b][:, None] * vectors[2][a]
                terms[c] = terms.get(c, 0) + plane
            edges = []
            for axes in _edges(polynomial, shape) if has_edges else ():
                response: Any = 0
                for monomial, factor in polynomial.items():
                    z, y, x = (
                        ends[axis][p : p + 1] if axis in axes else vectors[axis][p]
                        for axis, p in enumerate(monomial)
                    )
                    response = response + weight * factor * z[:, None, None] * y[:, None] * x
                edges.append(Edge(axes, placed(response)))
            planes = tuple((used.index(c), placed(plane)) for c, plane in terms.items())
            group.append(Harmonic(planes, tuple(edges)))
        harmonics[degree] = tuple(group)
    return SampledScale(
        shape,
        (vectors[0].shape[1], vectors[1].shape[1], vectors[2].shape[1]),
        tuple(placed(vectors[0][power][:, None, None]) for power in used),
        harmonics,
        not transform.rotation_covariant,
        float(np.prod([vector[0, 0] for vector in vectors])),
    )


def _edges(polynomial: dict[tuple[int, int, int], float], shape: tuple[int, ...]) -> list[Axes]:
    """Return all choices of axes along which a harmonic is odd and has a Nyquist frequency."""
    parities = next(iter(polynomial))  # the same for all its monomials
    odd = [axis for axis in range(3) if parities[axis] % 2 and shape[axis] % 2 == 0]
    return [axes for count in (1, 2, 3) for axes in itertools.combinations(odd, count)]


# Bins


def lowest_bins(spectrum: AnyArray, width: int, axis: int = 0) -> AnyArray:
    """Return the `width` lowest bins of one axis, in the order of `numpy.fft.fftfreq`."""
    if spectrum.shape[axis] == width:
        return spectrum
    before = (slice(None),) * axis
    parts = [spectrum[(*before, wide, ...)] for wide, _ in _runs(spectrum.shape[axis], width)]
    return array_namespace(spectrum).concat(parts, axis=axis)


def _runs(n: int, width: int) -> list[tuple[slice, slice]]:
    """Return where the lowest `width` of `n` bins lie, those from zero up and those below."""
    if n == width:
        return [(slice(0, n), slice(0, n))]
    low = width // 2 + 1
    return [(slice(0, low), slice(0, low)), (slice(n - width + low, n), slice(low, width))]


# One product: spectra and what they are multiplied with.
Terms = Sequence[tuple[AnyArray, AnyArray]]


def products(sums: Sequence[Terms], n: int, axis: int, scratch: Scratch, name: str) -> AnyArray:
    """Add up products of spectra and filters, and fill one axis up with zeros.

    Parameters
    ----------
    sums : sequence of sequence of (complex array, complex array)
        For each sum its spectra, all of one shape, and what each is multiplied with.
    n : int
        Bins of the axis in the result.
    axis : int
        Counted from the end, -2 or -3.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (sums, *shape)
    """
    a, _ = sums[0][0]
    xp, width = array_namespace(a), a.shape[axis]
    after = (slice(None),) * (-axis - 1)
    runs = _runs(n, width)
    if not is_writable(a):
        full = xp.stack([sum(spectrum * factors for spectrum, factors in s) for s in sums])
        if n == width:
            return full
        gap = [*full.shape]
        gap[axis] = n - width
        zeros = xp.zeros(tuple(gap), dtype=full.dtype, device=device_of(full))
        (_, low), (_, high) = runs
        return xp.concat([full[(..., low, *after)], zeros, full[(..., high, *after)]], axis=axis)
    shape = [*a.shape]
    shape[axis] = n
    out = scratch.empty(name, (len(sums), *shape), a.dtype)
    if n > width:
        out[(..., slice(runs[0][0].stop, runs[1][0].start), *after)] = 0
    for place, terms in enumerate(sums):
        for wide, narrow in runs:
            target = out[(place, ..., wide, *after)]
            for count, (spectrum, factors) in enumerate(terms):
                some = spectrum[(..., narrow, *after)], factors[(..., narrow, *after)]
                if count == 0:
                    xp.multiply(*some, out=target)
                else:
                    term = scratch.empty("term", target.shape, a.dtype)
                    xp.add(target, xp.multiply(*some, out=term), out=target)
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
    b_z, b_y, b_x = scale.bins
    cut = lowest_bins(lowest_bins(spectrum[..., :b_x], b_z, 1), b_y, 2)
    sums = [[(cut, vector)] for vector in scale.first]
    product = products(sums, scale.shape[0], -3, scratch, "first")
    return fft_of(product).ifftn(product, axes=(-3,))


@dataclass(frozen=True)
class Window:
    """The planes and lines of a volume that are worked on."""

    planes: slice
    lines: slice


# What alternates along some axes, of length one along these.
EdgeField = tuple[Axes, AnyArray]


def edge_fields(scale: SampledScale, degree: int, spectrum: AnyArray) -> list[list[EdgeField]]:
    """Compute for each wavelet of a degree the output of what it has at the Nyquist frequency.

    It is imaginary where it alternates along an odd number of axes.
    """
    return [
        [(edge.axes, _edge_field(scale.shape, edge, spectrum)) for edge in harmonic.edges]
        for harmonic in scale.harmonics[degree]
    ]


def _edge_field(shape: tuple[int, ...], edge: Edge, spectrum: AnyArray) -> AnyArray:
    xp, fft = array_namespace(spectrum), fft_of(spectrum)
    factor = (-1j) ** (len(edge.axes) % 2)
    for axis in edge.axes:
        middle = slice(shape[axis] // 2, shape[axis] // 2 + 1)
        spectrum = spectrum[(*(slice(None),) * (axis + 1), middle, ...)]
        factor /= shape[axis]
    product = factor * spectrum * edge.response
    rest = tuple(axis - 3 for axis in range(3) if axis not in edge.axes)
    if -1 in rest:
        return fft.irfftn(product, s=tuple(shape[axis] for axis in rest), axes=rest)
    return xp.real(fft.ifftn(product, axes=rest) if rest else product)


def _in_window(
    shape: tuple[int, ...], field: EdgeField, window: Window, *, signs: bool = True
) -> AnyArray:
    """Return the part of an edge's output that lies in a window, with its alternating signs."""
    axes, values = field
    xp = array_namespace(values)
    whole = slice(0, shape[2])
    for axis, part in enumerate((window.planes, window.lines, whole)):
        if axis in axes and signs:
            index = np.arange(part.start, part.stop).reshape(-1, *(1,) * (2 - axis))
            turns = xp.astype(from_numpy(1 - 2 * (index % 2), like=values), values.dtype)
            values = values * turns
        elif axis not in axes:
            values = values[(*(slice(None),) * (axis + 1), part, ...)]
    return values


def squared_moduli(
    scale: SampledScale,
    degree: int,
    columns: AnyArray,
    window: Window,
    edges: list[list[EdgeField]],
    offset: AnyArray | None,
    scratch: Scratch,
) -> AnyArray:
    """Filter and transform along the last two axes, and add up the squared moduli of a degree.

    Parameters
    ----------
    scale : SampledScale
    degree : int
    columns : complex array, shape (vectors, rows, n, bins, bins)
        From `along_first`.
    window : Window
        Planes and lines that are wanted.
    edges : list of list
        From `edge_fields`.
    offset : array, shape (rows, 1, 1, 1), or None
        Constant of the input, of which degree 0 keeps its share.
    scratch : Scratch

    Returns
    -------
    real array, shape (rows, planes, lines, n)
    """
    fft = fft_of(columns)
    planes = columns[:, :, window.planes, ...]
    sums = [
        [(planes[place, ...], plane) for place, plane in harmonic.terms]
        for harmonic in scale.harmonics[degree]
    ]
    product = products(sums, scale.shape[1], -2, scratch, "planes")
    lines = fft.ifftn(product, axes=(-2,))[..., window.lines, :]
    outputs = fft.irfft(lines, n=scale.shape[2])
    fields = [outputs[place, ...] for place in range(len(sums))]
    if degree == 0 and offset is not None:
        fields = [field + scale.constant * offset for field in fields]
    beside = []
    for place, parts in enumerate(edges):
        imaginary = [part for part in parts if len(part[0]) % 2]
        for part in parts:
            if len(part[0]) % 2 == 0:
                fields[place] = fields[place] + _in_window(scale.shape, part, window)
        if len(imaginary) == 1 and not scale.is_pair:  # of a square no sign is left
            beside.append(_in_window(scale.shape, imaginary[0], window, signs=False))
        elif imaginary:
            total = sum(_in_window(scale.shape, part, window) for part in imaginary)
            if not scale.is_pair:
                beside.append(total)
            else:  # i times one of the pair is real in the other
                other = fields[1 - place]
                fields[1 - place] = other - total if place == 0 else other + total
    return _sum_of_squares(fields, beside)


def _sum_of_squares(fields: Sequence[AnyArray], beside: Sequence[AnyArray]) -> AnyArray:
    """Add up squares; those of `fields` may be written over them."""
    if not is_writable(fields[0]):
        return sum(field * field for field in (*fields, *beside))
    xp = array_namespace(fields[0])
    total = xp.multiply(fields[0], fields[0])
    for field in fields[1:]:
        xp.add(total, xp.multiply(field, field, out=field), out=total)
    for field in beside:
        xp.add(total, field * field, out=total)
    return total


class Spectrum:
    """Collect the spectrum of a real signal plane by plane, on the bins that some scales need."""

    def __init__(self, scales: Sequence[SampledScale]) -> None:
        self._bins = tuple(max(scale.bins[axis] for scale in scales) for axis in range(3))
        self._n = scales[0].shape[0]
        self._array: AnyArray = None
        self._parts: list[AnyArray] = []

    def add(self, planes: slice, signal: AnyArray) -> None:
        """Transform some planes, shape (rows, planes, lines, n), along the last two axes."""
        xp, fft = array_namespace(signal), fft_of(signal)
        _, b_y, b_x = self._bins
        part = fft.fftn(fft.rfft(signal)[..., :b_x], axes=(-2,))
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
