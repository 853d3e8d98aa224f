r"""Filters along the axis of first-order wavelets, whose frequencies are called quefrencies.

The axis is a circle of a few hundred places, one a wavelet and the rest zeros (Andén, Lostanlen &
Mallat, "Joint time-frequency scattering", IEEE Trans. Signal Process. 67(14), 2019). A wavelet of
positive quefrency and its mirror image of negative quefrency tell rising from falling.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scatdask.filters.bank import Wavelet, low_pass_sigma, morlet_bank


def quefrency_bank(J_fr: int, Q_fr: int) -> tuple[Wavelet, ...]:
    """Design the filters along frequency, in Kymatio's order.

    Parameters
    ----------
    J_fr : int
        Largest scale: ``2**J_fr`` first-order wavelets.
    Q_fr : int
        Filters per octave of quefrency.

    Returns
    -------
    tuple of Wavelet
        The low-pass, with ``xi = 0``; wavelets of positive quefrency, from high to low; those of
        negative quefrency in the same order. Units are cycles per first-order wavelet.

    Examples
    --------
    >>> [wavelet.xi for wavelet in quefrency_bank(J_fr=1, Q_fr=1)]
    [0.0, 0.35, 0.175, -0.35, -0.175]
    """
    rising = morlet_bank(J_fr, Q_fr)
    falling = (Wavelet(-wavelet.xi, wavelet.sigma, wavelet.j) for wavelet in rising)
    return (Wavelet(0.0, low_pass_sigma(2**J_fr), J_fr), *rising, *falling)


@lru_cache(maxsize=1024)
def quefrency_taps(xi: float, sigma: float, n: int) -> NDArray[np.complex128]:
    r"""Sample a filter along frequency at each place of the circle.

    Parameters
    ----------
    xi, sigma : float
        Centre and width of the response, cycles per wavelet; ``xi = 0`` is a Gaussian low-pass,
        anything else a Morlet wavelet, which is blind to a constant.
    n : int
        Places of the circle.

    Returns
    -------
    array of complex128, shape (n,)
        Taps at distances ``0, 1, ..., n - 1``, of unit L1 norm. Not to be written to.

    Notes
    -----
    The response at quefrency :math:`f \in [0, 1)` is the sum over the aliases :math:`f - 1, f,
    f + 1`, as in Kymatio. For the widest wavelet of negative quefrency one more, of 2e-5 of the
    peak, would make it the exact mirror image of its twin; it is left out for parity.
    """
    frequency = np.arange(-n, 2 * n) / n

    def aliased(centre: float) -> NDArray[np.float64]:
        response = np.exp(-((frequency - centre) ** 2) / (2 * sigma**2))
        return response.reshape(3, n).sum(axis=0)

    response = aliased(xi)
    if xi:
        blur = aliased(0.0)
        response -= response[0] / blur[0] * blur
        response[0] = 0.0
    taps = np.fft.ifft(response)
    taps /= np.abs(taps).sum()
    taps.flags.writeable = False
    return taps
