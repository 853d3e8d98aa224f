r"""Oriented Morlet wavelets of the plane in closed form, sampled for one DFT shape.

With an elliptic Gaussian envelope :math:`g` of standard deviation :math:`\sigma` along the
direction of oscillation and :math:`\sigma / s` across it (:math:`s` is the slant),

.. math::

    g(u) = \frac{s}{2\pi\sigma^2} e^{-u^T \Sigma^{-1} u / 2}, \qquad
    \psi(u) = g(u)\,(e^{2\pi i\,\xi \cdot u} - \kappa),

where :math:`\kappa` takes out the mean (Bruna & Mallat, "Invariant scattering convolution
networks", IEEE Trans. Pattern Anal. Mach. Intell. 35(8), 2013). The constants are those of Kymatio
(Andreux et al., JMLR 21(60), 2020): at scale j and with L directions,
:math:`\sigma = 0.8 \cdot 2^j`, :math:`|\xi| = \frac{3}{8} 2^{-j}` cycles per sample and
:math:`s = 4 / L`; the low-pass is an isotropic Gaussian of standard deviation
:math:`0.8 \cdot 2^{J-1}`.

On a signal subsampled by r the filter is :math:`r^2 \psi(ru)` on integers u, by Poisson's formula
the sum of the frequency response over all aliases, which are 1 / r apart. Few such samples matter,
whatever the size of the DFT: two thin matrices, whose product is the response, hold it all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIGMA_0 = 0.8
XI_0 = 3 / 8
# Singular values that are smaller by this share than the largest are rounding.
SVD_ROUNDING = 1e-15


@dataclass(frozen=True)
class Wavelet2D:
    """One oriented wavelet.

    Attributes
    ----------
    xi : float
        Radial centre frequency, cycles per sample.
    theta : float
        Direction of the oscillation in radians, from the last axis towards the second last.
    sigma : float
        Standard deviation of the envelope along that direction, samples.
    slant : float
        How many times narrower the envelope is across that direction: its standard deviation
        there is ``sigma / slant``.
    j : int
        Log2 of the scale, and of the subsampling of the output.
    """

    xi: float
    theta: float
    sigma: float
    slant: float
    j: int

    @property
    def centre(self) -> tuple[float, float]:
        """Centre frequency along the second last and the last axis, cycles per sample."""
        return self.xi * math.sin(self.theta), self.xi * math.cos(self.theta)

    @property
    def variances(self) -> tuple[float, float, float]:
        """Variance of the envelope along either axis, and the covariance between them."""
        along, across = self.sigma**2, (self.sigma / self.slant) ** 2
        sin, cos = math.sin(self.theta), math.cos(self.theta)
        return (
            along * sin**2 + across * cos**2,
            along * cos**2 + across * sin**2,
            (along - across) * sin * cos,
        )


def morlet_bank2d(J: int, L: int) -> tuple[Wavelet2D, ...]:
    """Design the wavelets of J scales and L directions, from fine to coarse.

    Parameters
    ----------
    J : int
        Number of scales, an octave apart.
    L : int
        Number of directions between 0 and 180 degrees.

    Returns
    -------
    tuple of Wavelet2D
        Directions of one scale follow each other, in Kymatio's order.

    References
    ----------
    Bruna & Mallat (2013); Andreux et al. (2020).

    Examples
    --------
    >>> [(wavelet.j, round(math.degrees(wavelet.theta))) for wavelet in morlet_bank2d(J=2, L=2)]
    [(0, 90), (0, 180), (1, 90), (1, 180)]
    """
    # Kymatio counts angles from the second last axis, down from about a right angle.
    steepest = int(L - L / 2 - 1)
    return tuple(
        Wavelet2D(
            xi=XI_0 / 2**j,
            theta=math.pi / 2 - (steepest - direction) * math.pi / L,
            sigma=SIGMA_0 * 2**j,
            slant=4 / L,
            j=j,
        )
        for j in range(J)
        for direction in range(L)
    )


def low_pass_sigma2d(J: int) -> float:
    """Return the standard deviation, in samples, of the low-pass that averages at scale 2**J."""
    return SIGMA_0 * 2 ** (J - 1)


@dataclass(frozen=True)
class SampledFilter2D:
    """The box of DFT bins on which a filter exceeds a tolerance, as a sum of separable terms.

    The terms are few whatever the size of the box, so that they cost next to nothing to make and
    to keep; a large filter need never stand in memory as a whole.

    Attributes
    ----------
    first : (int, int)
        First bin along each axis, not below ``-(shape[axis] // 2)``.
    left : array of float64, shape (height, terms)
        Factors at bins ``first[0], first[0] + 1, ...`` along the second last axis.
    right : array of float64, shape (terms, width)
        Factors at bins ``first[1], ...`` along the last axis. No bin lies beyond
        ``(shape[axis] - 1) // 2``.
    shape : (int, int)
        Lengths of the DFT.
    """

    first: tuple[int, int]
    left: Array
    right: Array
    shape: tuple[int, int]

    @property
    def box(self) -> tuple[int, int]:
        """Height and width of the box."""
        return self.left.shape[0], self.right.shape[1]

    @property
    def origin(self) -> tuple[int, int] | None:
        """Where in the box frequency zero is, if it is."""
        place = -self.first[0], -self.first[1]
        return place if all(0 <= p < n for p, n in zip(place, self.box, strict=True)) else None

    @property
    def values(self) -> Array:
        """Response on the box, shape (height, width); exactly zero at frequency zero."""
        values = self.left @ self.right
        if self.origin is not None:
            values[self.origin] = 0.0
        return values

    def dense(self) -> Array:
        """Return the response on all bins, in the order of `numpy.fft.fftfreq`."""
        response = np.zeros(self.shape)
        rows, columns = (
            np.arange(first, first + size) % n
            for first, size, n in zip(self.first, self.box, self.shape, strict=True)
        )
        response[np.ix_(rows, columns)] = self.values
        return response

    def cropped(self, shape: tuple[int, int]) -> SampledFilter2D:
        """Return the bins that a shorter DFT of the same spacing has."""
        (y, height), (x, width) = (
            (max(first, -(n // 2)), min(first + size, (n + 1) // 2))
            for first, size, n in zip(self.first, self.box, shape, strict=True)
        )
        rows, columns = (
            slice(start - first, stop - first)
            for (start, stop), first in zip(((y, height), (x, width)), self.first, strict=True)
        )
        return SampledFilter2D((y, x), self.left[rows], self.right[:, columns], shape)


def morlet_box2d(
    wavelet: Wavelet2D, tolerance: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the frequencies along each axis between which a wavelet is not negligible.

    Parameters
    ----------
    wavelet : Wavelet2D
    tolerance : float
        Both terms of the wavelet are below this share of its peak outside.

    Returns
    -------
    ((float, float), (float, float))
        Lowest and highest frequency along the second last and the last axis, cycles per sample,
        without aliases.
    """
    var_y, var_x, covariance = wavelet.variances
    determinant = var_y * var_x - covariance**2
    reach = math.sqrt(-2 * math.log(tolerance))
    # kappa, without aliases: how high the Gaussian around the centre stands at frequency zero.
    height = -2 * (math.pi * wavelet.xi * wavelet.sigma) ** 2
    correction = math.sqrt(max(reach**2 + 2 * height, 0.0))
    box = []
    for centre, variance in zip(wavelet.centre, (var_x, var_y), strict=True):
        width = math.sqrt(variance / determinant) / (2 * math.pi)
        box.append(
            (
                min(centre - reach * width, -correction * width),
                max(centre + reach * width, correction * width),
            )
        )
    return box[0], box[1]


def _bins(low: float, high: float, n: int, rate: int) -> range:
    """Return the DFT bins between two frequencies, or all if some lie beyond the last."""
    first, last = math.floor(low * n * rate), math.ceil(high * n * rate)
    if first < -(n // 2) or last > (n - 1) // 2:
        return range(-(n // 2), (n + 1) // 2)
    return range(first, last + 1)


def _turns(bins: range, points: range, n: int) -> Array:
    """Return cosines, then sines, of 2 pi bin point / n at some points; one row a bin."""
    circle = 2 * np.pi * np.arange(n) / n
    place = np.multiply.outer(np.arange(bins.start, bins.stop), np.array(points)) % n
    return np.concatenate([np.cos(circle)[place], np.sin(circle)[place]], axis=1)


def _separated(envelope: Array, step: int, tolerance: float) -> tuple[Array, Array]:
    """Write a matrix, even in its two indices together, as a sum of few outer products.

    Every column is to be a combination of those that lie `step` apart. Returns the factors of the
    rows (row, term) and of the columns (term, column); each is even or odd.
    """
    some = envelope[:, envelope.shape[1] // 2 % step :: step]
    rows, singular, _ = np.linalg.svd(some, full_matrices=False)
    rows = rows[:, singular > max(tolerance, SVD_ROUNDING) * singular[0]]
    return rows, rows.T @ envelope


def _response(factors: Array, frequency: float, turns: Array) -> tuple[Array, Array]:
    """Return the real and the imaginary response of real factors moved up by a frequency.

    `factors` has one row a term and one column a point ``-half, ..., half``; `turns` is as `_turns`
    gives it. The results have one row a bin. A factor that is even has a real response, one that
    is odd an imaginary one.
    """
    half = factors.shape[1] // 2
    after, before = factors[:, half:], factors[:, half::-1]
    even, odd = after + before, after - before
    even[:, 0] /= 2
    phase = 2 * np.pi * frequency * np.arange(half + 1)
    cos, sin = np.cos(phase), np.sin(phase)
    # cos and sin of the difference of two angles
    real = turns @ np.concatenate([even * cos, even * sin], axis=1).T
    imaginary = turns @ np.concatenate([odd * sin, -odd * cos], axis=1).T
    return real, imaginary


def sample_morlet2d(
    wavelet: Wavelet2D, shape: tuple[int, int], *, rate: int = 1, tolerance: float = 1e-16
) -> SampledFilter2D:
    """Sample an oriented wavelet on the bins of a DFT.

    Parameters
    ----------
    wavelet : Wavelet2D
    shape : (int, int)
        DFT lengths of the signal that the filter is applied to.
    rate : int, default 1
        Subsampling of that signal: bin ``b`` is the frequency ``b / (n * rate)``, and aliases are
        ``1 / rate`` apart.
    tolerance : float, default 1e-16
        Bins outside `morlet_box2d` are left out.

    Returns
    -------
    SampledFilter2D

    Examples
    --------
    >>> sampled = sample_morlet2d(morlet_bank2d(J=3, L=8)[-1], (4096, 4096), tolerance=1e-8)
    >>> sampled.box, round(float(sampled.values.max()), 3)
    ((1239, 2798), 0.973)
    """
    box = morlet_box2d(wavelet, tolerance)
    bins = [_bins(low, high, n, rate) for (low, high), n in zip(box, shape, strict=True)]
    var_y, var_x, covariance = wavelet.variances
    determinant = var_y * var_x - covariance**2
    # Fewer samples do where the bins that aliases fall on, 1 / step away, are beyond the box.
    step = rate
    while all(2 * step * len(part) <= n * rate for part, n in zip(bins, shape, strict=True)):
        step *= 2
    reach = math.sqrt(-2 * math.log(tolerance)) / step
    half = [math.ceil(reach * math.sqrt(variance)) for variance in (var_y, var_x)]
    v, u = np.meshgrid(*(step * np.arange(-m, m + 1.0) for m in half), indexing="ij")
    envelope = np.exp(-(var_x * v**2 - 2 * covariance * u * v + var_y * u**2) / (2 * determinant))
    envelope *= step**2 * wavelet.slant / (2 * math.pi * wavelet.sigma**2)
    f_y, f_x = wavelet.centre
    kappa = np.sum(envelope * np.cos(2 * np.pi * (f_y * v + f_x * u))) / np.sum(envelope)

    # A column is a Gaussian whose centre moves from one to the next: those that lie less than a
    # third of a standard deviation apart, if there are enough, span all between.
    apart = 0.3 * math.sqrt(determinant * var_x) / max(abs(covariance), 1e-9 * var_x) / step
    rows, columns = _separated(envelope, max(min(int(apart), half[1] // 24), 1), tolerance)
    is_even = np.sum(columns * columns[:, ::-1], axis=1) > 0
    turns = [
        _turns(part, range(0, (m + 1) * step // rate, step // rate), n)
        for part, m, n in zip(bins, half, shape, strict=True)
    ]
    left, right = [], []
    for centre, weight in (((f_y, f_x), 1.0), ((0.0, 0.0), -kappa)):
        along_y, along_x = (
            np.where(is_even, *_response(factors, step * frequency, turn))
            for factors, frequency, turn in zip((rows.T, columns), centre, turns, strict=True)
        )
        left.append(along_y * np.where(is_even, weight, -weight))
        right.append(along_x.T)
    return SampledFilter2D(
        (bins[0].start, bins[1].start), np.concatenate(left, axis=1), np.concatenate(right), shape
    )


def littlewood_paley2d(J: int, L: int, shape: tuple[int, int]) -> Array:
    r"""Sum the energy that the wavelets and the low-pass keep at each frequency of the plane.

    :math:`A(f) = |\hat\phi(f)|^2 + \frac12 \sum_{j, \theta} (|\hat\psi_{j, \theta}(f)|^2 +
    |\hat\psi_{j, \theta}(-f)|^2)`: a real image keeps at most :math:`\max A` of its energy
    (Bruna & Mallat 2013).

    Parameters
    ----------
    J, L : int
        Scales and directions, as for `morlet_bank2d`.
    shape : (int, int)
        Number of frequencies along each axis.

    Returns
    -------
    array of float64, shape `shape`
        A at the frequencies of `numpy.fft.fftfreq`.

    Examples
    --------
    >>> energy = littlewood_paley2d(J=4, L=6, shape=(128, 128))
    >>> round(float(energy[0, 0]), 6), round(float(energy.max()), 6)
    (1.0, 1.0)
    """
    sigma = low_pass_sigma2d(J)
    energy = np.ones(shape)
    for axis, n in enumerate(shape):
        points = np.arange(-math.ceil(9 * sigma), math.ceil(9 * sigma) + 1)
        taps = np.exp(-(points**2) / (2 * sigma**2))
        response, _ = _response(
            taps[None] / taps.sum(), 0.0, _turns(range(n), range(len(points) // 2 + 1), n)
        )
        energy *= response[:, :1] ** 2 if axis == 0 else response[:, 0] ** 2
    rows, columns = (-np.arange(n) % n for n in shape)
    for wavelet in morlet_bank2d(J, L):
        squared = sample_morlet2d(wavelet, shape).dense() ** 2
        energy += (squared + squared[np.ix_(rows, columns)]) / 2
    return energy
