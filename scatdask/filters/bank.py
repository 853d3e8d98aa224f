r"""Design of a Morlet filter bank: centre frequencies, widths and admissible subsamplings.

The bank has constant Q down to an elbow and constant bandwidth below it (Andén & Mallat 2014).
The constants are those of Kymatio (Andreux et al., JMLR 21(60), 2020): adjacent
wavelets of one octave cross at :math:`r_\psi = \sqrt{1/2}` of their peak, the narrowest filter has
width :math:`\sigma_0 / 2^J` with :math:`\sigma_0 = 0.1`, and a filter is taken to end
:math:`\alpha = 5` widths from its centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SIGMA_0 = 0.1
ALPHA = 5.0
R_PSI = math.sqrt(0.5)


@dataclass(frozen=True)
class Wavelet:
    """One wavelet of a bank.

    Attributes
    ----------
    xi : float
        Centre frequency, cycles per sample.
    sigma : float
        Width of the response, cycles per sample.
    j : int
        Its output may be subsampled by ``2**j`` without aliasing.
    """

    xi: float
    sigma: float
    j: int


def low_pass_sigma(T: int) -> float:
    """Return the width in frequency of the low-pass that averages over `T` samples."""
    return SIGMA_0 / T


def constant_q_sigma(xi: float, Q: int) -> float:
    r"""Return the width at which neighbours of a bank with Q wavelets an octave cross at R_PSI.

    :math:`\sigma = \xi \frac{1 - 2^{-1/Q}}{1 + 2^{-1/Q}} / \sqrt{2 \ln(1 / r_\psi)}`
    (Lostanlen, PhD thesis, École normale supérieure, 2017).
    """
    ratio = 2 ** (-1 / Q)
    return xi * (1 - ratio) / (1 + ratio) / math.sqrt(2 * math.log(1 / R_PSI))


def admissible_j(xi: float, sigma: float) -> int:
    """Return the largest j such that ``xi + ALPHA * sigma <= 2**-(j + 1)``, never negative."""
    edge = min(xi + ALPHA * sigma, 0.5)
    return math.floor(-math.log2(edge)) - 1


def morlet_bank(J: int, Q: int) -> tuple[Wavelet, ...]:
    """Design the Morlet wavelets of one order, from high to low frequency.

    Parameters
    ----------
    J : int
        The narrowest wavelet has width ``0.1 / 2**J``.
    Q : int
        Wavelets per octave.

    Returns
    -------
    tuple of Wavelet

    Notes
    -----
    Where J is so small that even the first wavelet of constant Q would be narrower than
    ``0.1 / 2**J`` (J = 1 or 2 with Q = 8), all wavelets gather near frequency zero, as in Kymatio,
    and the bank neither covers the spectrum nor bounds the energy.

    References
    ----------
    Andén & Mallat (2014); Andreux et al. (2020).

    Examples
    --------
    >>> [round(wavelet.xi, 4) for wavelet in morlet_bank(J=3, Q=1)]
    [0.35, 0.175, 0.0875, 0.0437]
    """
    ratio = 2 ** (1 / Q)
    sigma_min = SIGMA_0 / 2**J
    # The first wavelet lies so that its mirror image about the Nyquist frequency meets it midway.
    xi = max(1 / (1 + 2 ** (3 / Q)), 0.35)
    sigma = constant_q_sigma(xi, Q)
    if sigma <= sigma_min:  # Kymatio's choice, kept for parity: see Notes
        elbow, geometric = sigma, []
    else:
        geometric = [(xi, sigma)]
        while sigma > sigma_min * ratio:
            xi, sigma = xi / ratio, sigma / ratio
            geometric.append((xi, sigma))
        elbow = xi
    arithmetic = [(elbow - q / Q * elbow, sigma_min) for q in range(1, Q)]
    return tuple(
        Wavelet(xi, sigma, admissible_j(xi, sigma)) for xi, sigma in geometric + arithmetic
    )
