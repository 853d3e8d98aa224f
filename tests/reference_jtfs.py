"""Joint time-frequency scattering, written from its definition: slow, plain, float64.

Like `tests.reference`: signals extended by `numpy.pad`, full-length complex FFTs, subsampling by
slicing. Along frequency zeros are appended, and filters sampled by their Fourier series.
"""

from __future__ import annotations

import numpy as np

from scatdask import TimeFrequencyScattering
from scatdask.filters import morlet_bank
from tests.reference import PAD_MODES, convolve, low_pass, wavelet


def circle_filter(xi: float, sigma: float, n: int) -> np.ndarray:
    """Return the response of a filter along frequency on the bins of a DFT of length n.

    As Kymatio has it: aliases by -1, 0 and 1 cycle of quefrencies in [0, 1).
    """
    aliases = np.arange(n) / n + np.array([-1, 0, 1])[:, None]
    response = np.sum(np.exp(-((aliases - xi) ** 2) / (2 * sigma**2)), axis=0)
    if xi:
        blur = np.sum(np.exp(-(aliases**2) / (2 * sigma**2)), axis=0)
        response -= response[0] / blur[0] * blur
        response[0] = 0
    return response / np.sum(np.abs(np.fft.ifft(response)))


def joint_scattering(transform: TimeFrequencyScattering, x: np.ndarray) -> list[np.ndarray]:
    """Return the coefficients of each path, all that there are.

    Shapes are (..., time), or (..., frequency, time) with ``format="joint"``; there is no time for
    ``T="global"``.
    """
    J, J_fr, F = transform.J, transform.J_fr, transform.F
    n, (Q1, Q2) = x.shape[-1], transform.Q
    averages = isinstance(transform.T, int) and transform.T > 0
    T = transform.T if averages else 2**J
    stride = transform.stride if averages else 2**J
    if transform.boundary == "periodic" and n % stride == 0:
        before = after = 0
    else:
        before = -(-25 * max(2**J, T) // stride) * stride
        after = before + -n % stride
    widths = [(0, 0)] * (x.ndim - 1) + [(before, after)]
    x = np.pad(np.asarray(x, np.float64), widths, mode=PAD_MODES[transform.boundary])

    def smooth(u: np.ndarray, rate: int) -> np.ndarray:
        return convolve(u, low_pass(0.1 / T), rate, False).real[..., :: stride // rate]

    def own(u: np.ndarray, rate: int) -> np.ndarray:
        """Return the signal's own samples, or their mean."""
        u = u[..., before // rate :][..., : -(-n // rate)]
        return u.mean(axis=-1) if transform.T == "global" else u

    def keep(u: np.ndarray, rate: int) -> np.ndarray:
        return own(smooth(u, rate), stride) if averages else own(u, rate)

    # Along frequency
    scale = 2**J_fr
    support = F if isinstance(F, int) and F else scale
    room = ((J + 1) * Q1 + 8 * min(support, scale)) // scale * scale
    stride_fr = 2 ** int(np.log2(F)) if isinstance(F, int) and F else None
    n_circle = -(-room // max(scale, stride_fr or 1)) * max(scale, stride_fr or 1)
    rising = [(psi.xi, psi.sigma, psi.j) for psi in morlet_bank(J_fr, transform.Q_fr)]
    bank = [(0.0, 0.1 / scale, J_fr), *rising, *((-xi, sigma, j) for xi, sigma, j in rising)]

    def along_frequency(response: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.fft.ifft(np.fft.fft(y, n_circle, axis=0).T * response).T

    def strips(plane: np.ndarray, rate: int, n_filters: int) -> list[np.ndarray]:
        """Filter a plane, shape (n_rows, ..., time), along frequency and average it."""
        n_rows, shape = len(plane), plane.shape[1:]
        flat = plane.reshape(n_rows, -1)
        found = []
        for xi, sigma, j in bank[:n_filters]:
            u = np.abs(along_frequency(circle_filter(xi, sigma, n_circle), flat))
            step = min(2**j, stride_fr or n_circle)
            if F == "global":
                u = u[:n_rows:step].mean(axis=0, keepdims=True)
            else:
                if F and xi:
                    # Samples a step apart, averaged by the folded low-pass.
                    sparse = np.zeros_like(u)
                    sparse[::step] = step * u[::step]
                    u = along_frequency(circle_filter(0.0, 0.1 / F, n_circle), sparse).real
                    step = stride_fr
                u = u[: n_circle if transform.format == "joint" else n_rows : step]
            u = u.reshape(-1, *shape)
            u = own(u, stride) if rate == 0 else keep(u, rate)
            axis = u.ndim - 1 - (transform.T != "global")
            if transform.format == "joint":
                found.append(np.moveaxis(u, 0, axis))
            else:
                found.extend(u)
        return found

    first, second = morlet_bank(J, Q1), morlet_bank(J, Q2)
    u1 = []
    for psi in first:
        rate = min(2**psi.j, stride)
        u1.append((np.abs(convolve(x, wavelet(psi.xi, psi.sigma), 1, True))[..., ::rate], rate))
    averaged = np.stack([smooth(u, rate) for u, rate in u1])
    paths = [] if transform.format == "joint" else [keep(x, 1)]
    paths += strips(averaged, 0, 1 + len(rising))
    for psi2 in second:
        rate2 = min(2**psi2.j, stride)
        taps = wavelet(psi2.xi, psi2.sigma)
        plane = [
            convolve(u, taps, rate, True)[..., :: rate2 // rate]
            for psi1, (u, rate) in zip(first, u1, strict=True)
            if psi2.j > psi1.j
        ]
        if plane:
            paths += strips(np.stack(plane), rate2, len(bank))
    return paths


def as_paths(
    result: np.ndarray | list[np.ndarray], transform: TimeFrequencyScattering
) -> list[np.ndarray]:
    """Return a call's result as one array a path."""
    if isinstance(result, list):
        return result
    axis = -1 - (transform.T != "global") - len(transform.inner)
    return list(np.moveaxis(np.asarray(result), axis, 0))
