"""Solid harmonic wavelets sampled for one padded shape, as vectors and planes.

A spectrum is kept on its lowest bins only. A solid harmonic is a sum over powers of z, each times a
polynomial in y and x; no array of filters is as large as a volume.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from scatdask.arrays import AnyArray, Like, array_namespace, from_numpy
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


def lowest_bins(spectrum: AnyArray, width: int, axis: int = 0) -> AnyArray:
    """Return the `width` lowest bins of one axis, in the order of `numpy.fft.fftfreq`."""
    if spectrum.shape[axis] == width:
        return spectrum
    before = (slice(None),) * axis
    parts = [
        spectrum[(*before, wide, ...)] for wide, _ in runs_of_bins(spectrum.shape[axis], width)
    ]
    return array_namespace(spectrum).concat(parts, axis=axis)


def runs_of_bins(n: int, width: int) -> list[tuple[slice, slice]]:
    """Return where the lowest `width` of `n` bins lie, those from zero up and those below."""
    if n == width:
        return [(slice(0, n), slice(0, n))]
    low = width // 2 + 1
    return [(slice(0, low), slice(0, low)), (slice(n - width + low, n), slice(low, width))]
