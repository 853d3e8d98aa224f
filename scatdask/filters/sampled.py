"""Filters sampled for one FFT length: a short run of bins, or a few taps in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scatdask.filters.bank import Wavelet, low_pass_sigma
from scatdask.filters.morlet import Array, gaussian, gaussian_norm, morlet, morlet_constants


@dataclass(frozen=True)
class SampledFilter:
    """The run of DFT bins on which a filter exceeds a tolerance.

    Attributes
    ----------
    first : int
        First bin, negative where the run begins below frequency zero.
    values : array of float64, shape (width,)
        Response at bins ``first, first + 1, ...``, taken modulo `n`; ``width <= n``.
    n : int
        Length of the DFT.
    """

    first: int
    values: Array
    n: int

    def dense(self) -> Array:
        """Return the response on all `n` bins, in the order of `numpy.fft.fftfreq`."""
        response = np.zeros(self.n)
        response[(self.first + np.arange(len(self.values))) % self.n] = self.values
        return response


def _sample(
    response: Callable[[Array], Array], low: float, high: float, n: int, rate: int
) -> SampledFilter:
    """Sample a response that is negligible outside [low, high] cycles per sample."""
    first = math.floor(low * n * rate)
    width = math.ceil(high * n * rate) - first + 1
    if width >= n:
        first, width = round((low + high) / 2 * n * rate) - n // 2, n
    bins = first + np.arange(width)
    return SampledFilter(first, response(bins / (n * rate)), n)


def morlet_support(xi: float, sigma: float, tolerance: float) -> tuple[float, float]:
    """Return the band, in cycles per sample, outside which a wavelet is negligible.

    Parameters
    ----------
    xi, sigma : float
        Centre frequency and width, cycles per sample.
    tolerance : float
        Both terms of the wavelet are below this share of its Gabor term's peak outside.
    """
    reach = sigma * math.sqrt(-2 * math.log(tolerance))
    kappa, _ = morlet_constants(xi, sigma)
    # The correction kappa * G(f) is itself above the tolerance within this distance of zero.
    correction = math.sqrt(max(reach**2 + 2 * sigma**2 * math.log(max(kappa, 1e-300)), 0.0))
    return min(xi - reach, -correction), max(xi + reach, correction)


def sample_morlet(
    xi: float, sigma: float, n: int, *, rate: int = 1, tolerance: float = 1e-16
) -> SampledFilter:
    """Sample a Morlet wavelet on the bins of a DFT.

    Parameters
    ----------
    xi, sigma : float
        Centre frequency and width, cycles per sample of the full-rate signal.
    n : int
        DFT length of the signal that the filter is applied to.
    rate : int, default 1
        Subsampling of that signal: bin ``b`` is the frequency ``b / (n * rate)``.
    tolerance : float, default 1e-16
        Bins outside `morlet_support` are left out.

    Returns
    -------
    SampledFilter
    """
    low, high = morlet_support(xi, sigma, tolerance)
    return _sample(lambda f: morlet(f, xi, sigma, rate=rate), low, high, n, rate)


def sample_gaussian(
    sigma: float, n: int, *, rate: int = 1, tolerance: float = 1e-16
) -> SampledFilter:
    """Sample the Gaussian low-pass on the bins of a DFT; parameters as in `sample_morlet`."""
    reach = sigma * math.sqrt(-2 * math.log(tolerance))
    return _sample(lambda f: gaussian(f, sigma, rate=rate), -reach, reach, n, rate)


def low_pass_reach(sigma: float, tolerance: float) -> float:
    """Return the samples on either side beyond which the low-pass holds a share of its L1 norm."""
    from scipy.special import erfcinv  # slow to import, and needed on workers only

    return float(erfcinv(tolerance)) / (math.sqrt(2) * math.pi * sigma)


def low_pass_taps(sigma: float, *, rate: int = 1, tolerance: float = 1e-16) -> Array:
    """Sample the Gaussian low-pass in time.

    Parameters
    ----------
    sigma : float
        Width in frequency, cycles per sample of the full-rate signal.
    rate : int, default 1
        Subsampling of the signal that the taps are applied to.
    tolerance : float, default 1e-16
        The taps left out hold less than this share of the filter's L1 norm.

    Returns
    -------
    array of float64, shape (2 * m + 1,)
        Taps at ``-m * rate, ..., m * rate`` samples.
    """
    m = math.ceil(low_pass_reach(sigma, tolerance) / rate)
    time = np.arange(-m, m + 1) * float(rate)
    envelope = math.sqrt(2 * math.pi) * sigma * np.exp(-2 * (math.pi * sigma * time) ** 2)
    return rate * envelope / gaussian_norm(sigma)


def littlewood_paley(wavelets: Sequence[Wavelet], T: int | None, n: int) -> Array:
    r"""Sum the energy that a bank and its low-pass keep at each frequency.

    :math:`A(f) = |\hat\phi(f)|^2 + \frac12 \sum_\lambda (|\hat\psi_\lambda(f)|^2 +
    |\hat\psi_\lambda(-f)|^2)`; a bank for which :math:`A \le 1` never expands energy
    (Andén & Mallat 2014).

    Parameters
    ----------
    wavelets : sequence of Wavelet
        A bank, as made by `morlet_bank`.
    T : int or None
        Averaging scale of the low-pass, samples; None without one.
    n : int
        Number of frequencies.

    Returns
    -------
    array of float64, shape (n,)
        A at the frequencies of `numpy.fft.fftfreq`.
    """
    energy = np.zeros(n) if T is None else sample_gaussian(low_pass_sigma(T), n).dense() ** 2
    mirrored = -np.arange(n) % n
    for wavelet in wavelets:
        squared = sample_morlet(wavelet.xi, wavelet.sigma, n).dense() ** 2
        energy += (squared + squared[mirrored]) / 2
    return energy
