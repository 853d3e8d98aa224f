r"""Frequency responses of the Morlet wavelet and of the Gaussian low-pass, in closed form.

With :math:`G_\sigma(f) = e^{-f^2 / 2\sigma^2}` and :math:`\tilde G` its sum over the aliases
:math:`f + p / r` (``r`` is the subsampling of the grid that the filter is applied on),

.. math::

    \hat\phi(f) = \tilde G_\sigma(f) / c_\phi, \qquad
    \hat\psi(f) = (\tilde G_\sigma(f - \xi) - \kappa \tilde G_\sigma(f)) / c_\psi,

where :math:`\kappa` makes the wavelet vanish at frequency zero (Andén & Mallat, "Deep scattering
spectrum", IEEE Trans. Signal Process. 62(16), 2014) and :math:`c` is the L1 norm of
the filter in time, so that every filter has unit L1 norm. The norm is summed in time, where the
sampled filter is an exact closed form by Poisson's formula:

.. math::

    g(t) = \sqrt{2\pi}\,\sigma\,e^{-2\pi^2\sigma^2 t^2}, \qquad
    \psi(t) = g(t)\,(e^{2\pi i \xi t} - \kappa) / c_\psi .
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Half-width, in standard deviations, beyond which a Gaussian is below float64 rounding.
REACH = 9.0
# A canonical time grid never holds more points; below this density the Riemann sum of the norm is
# exact to rounding, because the sampled envelope is smooth on the scale of the step.
_LONGEST_GRID = 2**20


def _aliased_gaussian(frequency: Array, centre: float, sigma: float, rate: int) -> Array:
    """Sum G(frequency - centre) over all aliases that are ``1 / rate`` apart."""
    offset = np.asarray(frequency, dtype=np.float64) - centre
    offset = offset - np.round(offset * rate) / rate
    aliases = math.ceil(REACH * sigma * rate)
    total = np.zeros_like(offset)
    for alias in range(-aliases, aliases + 1):
        total += np.exp(-((offset + alias / rate) ** 2) / (2 * sigma**2))
    return total


@lru_cache(maxsize=4096)
def morlet_constants(xi: float, sigma: float) -> tuple[float, float]:
    """Return (kappa, L1 norm) of the Morlet wavelet before normalisation."""
    zero = np.zeros(1)
    kappa = float(
        _aliased_gaussian(zero, xi, sigma, 1)[0] / _aliased_gaussian(zero, 0.0, sigma, 1)[0]
    )
    envelope, time = _envelope(sigma)
    return kappa, float(np.sum(envelope * np.abs(np.exp(2j * np.pi * xi * time) - kappa)))


@lru_cache(maxsize=1024)
def gaussian_norm(sigma: float) -> float:
    """Return the L1 norm of the Gaussian low-pass before normalisation."""
    return float(np.sum(_envelope(sigma)[0]))


def _envelope(sigma: float) -> tuple[Array, Array]:
    """Sample g(t) on the canonical grid; weights include the step, a power of two."""
    half = REACH / (2 * math.pi * sigma)
    step = 1
    while 2 * half / step > _LONGEST_GRID:
        step *= 2
    points = math.ceil(half / step)
    time = np.arange(-points, points + 1, dtype=np.float64) * step
    envelope = math.sqrt(2 * math.pi) * sigma * np.exp(-2 * (math.pi * sigma * time) ** 2)
    return step * envelope, time


def gaussian(frequency: Array, sigma: float, *, rate: int = 1) -> Array:
    """Evaluate the Gaussian low-pass at given frequencies.

    Parameters
    ----------
    frequency : array of float
        Frequencies in cycles per sample.
    sigma : float
        Width of the response in cycles per sample.
    rate : int, default 1
        Subsampling of the grid that the filter is applied on: aliases ``1 / rate`` apart are
        summed.

    Returns
    -------
    array of float64, shape of `frequency`
        Response of the filter of unit L1 norm in time.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian(np.array([0.0]), sigma=0.01)
    array([1.])
    """
    return _aliased_gaussian(frequency, 0.0, sigma, rate) / gaussian_norm(sigma)


def morlet(frequency: Array, xi: float, sigma: float, *, rate: int = 1) -> Array:
    """Evaluate a Morlet wavelet at given frequencies.

    Parameters
    ----------
    frequency : array of float
        Frequencies in cycles per sample.
    xi : float
        Centre frequency in cycles per sample.
    sigma : float
        Width of the Gabor term in cycles per sample.
    rate : int, default 1
        Subsampling of the grid that the filter is applied on: aliases ``1 / rate`` apart are
        summed.

    Returns
    -------
    array of float64, shape of `frequency`
        Response of the filter of unit L1 norm in time; exactly zero at multiples of ``1 / rate``.

    Examples
    --------
    >>> import numpy as np
    >>> morlet(np.array([0.0]), xi=0.35, sigma=0.14)
    array([0.])
    """
    kappa, norm = morlet_constants(xi, sigma)
    response = (
        _aliased_gaussian(frequency, xi, sigma, rate)
        - kappa * _aliased_gaussian(frequency, 0.0, sigma, rate)
    ) / norm
    return np.where(np.mod(np.asarray(frequency) * rate, 1.0) == 0.0, 0.0, response)
