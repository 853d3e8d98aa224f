r"""Solid harmonic wavelets: Gaussians times harmonic polynomials, in closed form.

With the real regular solid harmonics :math:`C_{l,m}`, homogeneous polynomials of degree l such that
:math:`\sum_m C_{l,m}(u)^2 = |u|^{2l}`, the wavelets of width :math:`\sigma` are

.. math::

    \psi_{l,m}(u) = \frac{a_l}{(2\pi)^{3/2} \sigma^3}\,
        C_{l,m}(u / \sigma)\, e^{-|u|^2 / 2 \sigma^2}, \qquad
    \hat\psi_{l,m}(\omega) = (-i)^l a_l\, C_{l,m}(\sigma \omega)\, e^{-\sigma^2 |\omega|^2 / 2},

where :math:`a_l` is :math:`1 / (l+1)!!` for even degrees and :math:`\sqrt{\pi/2} / (l+1)!!` for odd
ones.

A harmonic polynomial times a Gaussian is its own Fourier transform up to :math:`(-i)^l` (Hecke's
formula; Stein & Weiss, 1971, theorem IV.3.4). The constant :math:`a_l` is Kymatio's, written
another way: it makes the L1 norm of :math:`(\sum_m \psi_{l,m}^2)^{1/2}` one for every degree, and
:math:`\hat\psi_{0,0}(0) = 1`. Real harmonics take the place of Kymatio's complex ones, which are
pairs of them: sums over m of squared moduli are the same.

A polynomial is a sum of monomials and a Gaussian is a product, so that all of a filter is made of
vectors, one an axis: `monomial_gaussian`. There are two ways to sample it (`SAMPLINGS`). A wavelet
that is sampled in space has a response that is periodic, the sum over aliases: smooth, so that the
wavelet stays short. On a lattice some harmonics have a mean (degree 4: a thousandth of a per cent
of the peak for a width of one sample); a share of the Gaussian is taken from these, so that they
vanish at frequency zero, as a Morlet wavelet does (`wavelet_polynomial`). Kymatio samples in
frequency: it evaluates the formula on :math:`-\pi \le \omega < \pi` and cuts what lies beyond, so
that a wavelet with power left at the Nyquist frequency rings through the whole volume.

References
----------
Eickenberg, Exarchakis, Hirn, Mallat & Thiry, "Solid harmonic wavelet scattering for predictions of
molecule properties", J. Chem. Phys. 148, 241732, 2018.
Helgaker, Jørgensen & Olsen, "Molecular electronic-structure theory", section 6.4, 2000.
Andreux et al., "Kymatio: scattering transforms in Python", JMLR 21(60), 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Powers of (z, y, x) and the factor of their product, for each monomial.
Polynomial = dict[tuple[int, int, int], float]

SAMPLINGS = ("space", "frequency")
# Widths beyond which a Gaussian times any power in use is below float64 rounding.
REACH = 12.0


@lru_cache(maxsize=1024)
def _solid_harmonic(degree: int, order: int) -> tuple[tuple[tuple[int, int, int], float], ...]:
    m = abs(order)
    ratio = math.factorial(degree - m) / math.factorial(degree + m)
    norm = math.sqrt(ratio if m == 0 else 2 * ratio) / 2**degree
    terms: dict[tuple[int, int, int], float] = {}
    # Re (x + iy)^m for orders from 0, Im (x + iy)^m for those below.
    plane = {
        p: math.comb(m, p) * (-1) ** ((m - p) // 2)
        for p in range(m + 1)
        if (m - p) % 2 == (order < 0)
    }
    for k in range((degree - m) // 2 + 1):
        along = (-1) ** k * math.comb(degree, k) * math.comb(2 * (degree - k), degree)
        along *= math.perm(degree - 2 * k, m)
        # r^2k, multiplied out
        for i in range(k + 1):
            for j in range(k - i + 1):
                radial = math.comb(k, i) * math.comb(k - i, j)
                for p, factor in plane.items():
                    powers = (degree - 2 * k - m + 2 * i, m - p + 2 * j, p + 2 * (k - i - j))
                    terms[powers] = terms.get(powers, 0) + along * radial * factor
    return tuple((powers, norm * term) for powers, term in sorted(terms.items()) if term)


def solid_harmonic(degree: int, order: int) -> Polynomial:
    r"""Return a real regular solid harmonic as a polynomial in (z, y, x).

    Parameters
    ----------
    degree, order : int
        l and m, ``-l <= m <= l``. Orders from 0 go with :math:`\cos m\phi`, those below with
        :math:`\sin |m|\phi`; the first axis, z, is the pole.

    Returns
    -------
    dict
        The factor of each product of powers of (z, y, x). The squares of all orders add up to
        the power ``2 * degree`` of the radius.

    References
    ----------
    Helgaker, Jørgensen & Olsen (2000), section 6.4.

    Examples
    --------
    >>> solid_harmonic(1, 0), solid_harmonic(2, 0)
    ({(1, 0, 0): 1.0}, {(0, 0, 2): -0.5, (0, 2, 0): -0.5, (2, 0, 0): 1.0})
    """
    return dict(_solid_harmonic(degree, order))


def harmonic_amplitude(degree: int) -> float:
    """Return the factor of a wavelet's response, Kymatio's normalisation.

    Examples
    --------
    >>> [round(harmonic_amplitude(degree), 4) for degree in range(3)]
    [1.0, 0.6267, 0.3333]
    """
    factor = math.sqrt(math.pi / 2) if degree % 2 else 1.0
    return factor / math.prod(range(degree + 1, 1, -2))


def monomial_gaussian(frequency: Array, sigma: float, power: int, *, sampling: str) -> Array:
    r"""Evaluate :math:`(\sigma\omega)^p e^{-\sigma^2 \omega^2 / 2}`, a filter along one axis.

    Parameters
    ----------
    frequency : array of float
        Frequencies in cycles per sample; :math:`\omega` is ``2 * pi`` times that.
    sigma : float
        Width in space, samples.
    power : int
    sampling : {"space", "frequency"}
        Whether aliases are summed, or left out; see above.

    Returns
    -------
    array of float64, shape of `frequency`
        Odd powers summed over aliases vanish at the Nyquist frequency, exactly.

    Examples
    --------
    >>> import numpy as np
    >>> monomial_gaussian(np.array([0.0, 0.25, 0.5]), 1.0, 1, sampling="space").round(4)
    array([0.    , 0.4574, 0.    ])
    """
    frequency = np.asarray(frequency, dtype=np.float64)
    if sampling == "frequency":
        return _term(frequency, sigma, power)
    offset = frequency - np.round(frequency)
    aliases = math.ceil(REACH / (2 * math.pi * sigma))
    total = _term(offset, sigma, power)
    for alias in range(1, aliases + 1):
        total += _term(offset + alias, sigma, power) + _term(offset - alias, sigma, power)
    return np.where((np.abs(offset) == 0.5) & (power % 2 == 1), 0.0, total)


def _term(frequency: Array, sigma: float, power: int) -> Array:
    scaled = 2 * math.pi * sigma * frequency
    return scaled**power * np.exp(-(scaled**2) / 2)


def wavelet_polynomial(degree: int, order: int, sigma: float, *, sampling: str) -> Polynomial:
    """Return the polynomial of a wavelet's response: a solid harmonic, less its mean when sampled.

    Parameters
    ----------
    degree, order : int
        As in `solid_harmonic`.
    sigma : float
        Width in space, samples.
    sampling : {"space", "frequency"}

    Returns
    -------
    dict
        The factor of each product of powers of (z, y, x), and perhaps of (0, 0, 0).

    Examples
    --------
    >>> wavelet_polynomial(4, 4, 1.0, sampling="space")[0, 0, 0] < -1e-6
    True
    """
    polynomial = solid_harmonic(degree, order)
    if degree == 0 or sampling == "frequency":
        return polynomial
    at_zero = [
        float(monomial_gaussian(np.zeros(1), sigma, power, sampling=sampling)[0])
        for power in range(degree + 1)
    ]
    means = [
        factor * math.prod(at_zero[power] for power in powers) / at_zero[0] ** 3
        for powers, factor in polynomial.items()
    ]
    mean = math.fsum(means)
    # Most harmonics have none, and the sum is rounding.
    if abs(mean) > 1e-12 * sum(map(abs, means)) and abs(mean) > 1e-20:
        polynomial[0, 0, 0] = -mean
    return polynomial


def harmonic_band(degree: int, tolerance: float) -> float:
    r"""Return where the response of a degree falls below a share of its peak for good.

    Parameters
    ----------
    degree : int
    tolerance : float

    Returns
    -------
    float
        The :math:`\sigma\omega` beyond which :math:`r^l e^{-r^2/2}` is below the tolerance times
        its maximum.
    """
    peak = math.sqrt(degree)

    def log_response(r: float) -> float:
        return (degree * math.log(r) if degree else 0.0) - r * r / 2

    wanted = math.log(tolerance) + (log_response(peak) if degree else 0.0)
    low, high = peak + 1e-9, peak + 1.0
    while log_response(high) > wanted:
        high += 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if log_response(middle) > wanted else (low, middle)
    return high


def harmonic_reach(parts: Iterable[tuple[float, int]], tolerance: float) -> float:
    r"""Return how far along an axis a chain of filters reaches.

    The envelope :math:`|u|^l e^{-|u|^2 / 2\sigma^2}`, integrated over two axes, is the incomplete
    gamma function :math:`\Gamma(l/2 + 1, u^2 / 2\sigma^2)` along the third. A chain of filters
    reaches as far as the convolution of these, which is done on a grid.

    Parameters
    ----------
    parts : iterable of (float, int)
        Width in samples and degree of each filter of the chain.
    tolerance : float
        Share of the chain's L1 norm that may lie further away, on both sides together.

    Returns
    -------
    float
        Samples.

    Examples
    --------
    >>> round(harmonic_reach([(1.0, 0)], 0.3173), 1)  # a Gaussian: one standard deviation
    1.0
    """
    from scipy.special import gammaincc  # slow to import, and needed on workers only

    parts = list(parts)
    widest = max(sigma for sigma, _ in parts)
    step = max(min(sigma for sigma, _ in parts), widest / 8) / 32
    half = math.ceil(sum((REACH + 2 * degree) * sigma for sigma, degree in parts) / step)
    distance = step * np.arange(-half, half + 1)
    density = np.zeros(2 * half + 1)
    density[half] = 1.0
    for sigma, degree in parts:
        reach = math.ceil((REACH + 2 * degree) * sigma / step)
        near = step * np.arange(-reach, reach + 1)
        marginal = gammaincc(degree / 2 + 1, near**2 / (2 * sigma**2))
        density = np.convolve(density, marginal / marginal.sum(), mode="same")
    # What lies at a distance or further, from the far end inwards: tails are not differences.
    tail = 2 * np.cumsum(density[::-1])[: half + 1]
    outside = int(np.searchsorted(tail, tolerance, side="right"))
    return float(-distance[max(outside - 1, 0)])
