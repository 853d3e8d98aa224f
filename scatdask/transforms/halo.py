"""How far the samples lie that an output depends on."""

from __future__ import annotations

import math

# The halo bounds errors relative to the largest sample; the largest coefficient of a path may be
# much smaller. With this factor no path of any order of white and brown noise, impulses and steps
# (J = 3, 5, 7, any T) had an error above the tolerance, nor had one of bursts and chirps that is
# louder than a thousandth of the signal; twice integrated noise had thrice, in order three seven
# times.
FAINTNESS = 1000


def gaussian_halo(spread: float, tolerance: float) -> int:
    r"""Return the samples on either side beyond which a Gaussian hardly reaches.

    The envelopes of the filters of a path are Gaussians; their convolution is a Gaussian whose
    variance is the sum. Samples further away than the halo have a share of
    ``tolerance / FAINTNESS`` of its weight.

    Parameters
    ----------
    spread : float
        Standard deviation of the widest cascade of filters, in samples.
    tolerance : float
        Error of an output, relative to the largest of its path.

    Examples
    --------
    >>> gaussian_halo(100.0, 1e-6)
    611
    """
    from scipy.special import erfcinv

    return math.ceil(math.sqrt(2) * float(erfcinv(tolerance / FAINTNESS)) * spread)
