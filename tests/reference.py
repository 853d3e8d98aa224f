"""The 1-D scattering transform, written from its definition: slow, plain, float64.

Filters are sampled in time and wrapped around; signals are extended by `numpy.pad`, filtered by
full-length complex FFTs and subsampled by slicing. Of scatdask only the bank's numbers are used
(they are tested against Kymatio's).
"""

from __future__ import annotations

import numpy as np

from scatdask import Scattering1D

PAD_MODES = {"reflect": "reflect", "periodic": "wrap", "nearest": "edge", "zero": "constant"}


def envelope(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times and the Gaussian whose frequency response has width sigma."""
    half = int(np.ceil(1.6 / sigma))
    time = np.arange(-half, half + 1)
    return time, np.sqrt(2 * np.pi) * sigma * np.exp(-2 * (np.pi * sigma * time) ** 2)


def low_pass(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    time, gauss = envelope(sigma)
    return time, gauss / gauss.sum()


def wavelet(xi: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a Morlet wavelet of mean zero and unit L1 norm."""
    time, gauss = envelope(sigma)
    wave = np.exp(2j * np.pi * xi * time)
    psi = gauss * (wave - np.sum(gauss * wave).real / gauss.sum())
    return time, psi / np.abs(psi).sum()


def convolve(
    x: np.ndarray, taps: tuple[np.ndarray, np.ndarray], rate: int, zero_mean: bool
) -> np.ndarray:
    """Convolve samples that are `rate` apart with a filter given at every sample, circularly."""
    time, values = taps
    on_grid = time % rate == 0
    wrapped = np.zeros(x.shape[-1], dtype=complex)
    np.add.at(wrapped, time[on_grid] // rate % x.shape[-1], rate * values[on_grid])
    response = np.fft.fft(wrapped)
    if zero_mean:
        response[0] = 0
    return np.fft.ifft(np.fft.fft(x) * response)


def scattering1d(transform: Scattering1D, x: np.ndarray) -> list[np.ndarray]:
    """Return the coefficients of each path, shape (..., time), each at its own rate."""
    n = x.shape[-1]
    averages = isinstance(transform.T, int) and transform.T > 0
    coarsest = 2**transform.J if transform.stride is None else transform.stride
    if transform.boundary == "periodic" and n % coarsest == 0:
        before = after = 0
    else:
        # Longer than any filter cascade is wide, so that the circle never closes on the signal.
        scale = max(2**transform.J, transform.T if averages else 1)
        before = -(-25 * scale // coarsest) * coarsest
        after = before + -n % coarsest
    widths = [(0, 0)] * (x.ndim - 1) + [(before, after)]
    x = np.pad(np.asarray(x, np.float64), widths, mode=PAD_MODES[transform.boundary])

    def rate_of(j: int) -> int:
        return 2**j if transform.stride is None else min(2**j, transform.stride)

    def keep(u: np.ndarray, rate: int) -> np.ndarray:
        step = rate
        if averages:
            smooth = convolve(u, low_pass(0.1 / transform.T), rate, False).real
            step = transform.stride
            u = smooth[..., :: step // rate]
        u = u[..., before // step :][..., : -(-n // step)]
        return u.mean(axis=-1) if transform.T == "global" else u

    found = {(): keep(x, 1)}

    def follow(u: np.ndarray, rate: int, path: tuple[int, ...], coarsest: int) -> None:
        """Filter the output of a path by all wavelets of the next order."""
        if len(path) == transform.max_order:
            return
        for n, psi in enumerate(transform.wavelets[len(path)]):
            if psi.j > coarsest:
                below, rate_below = (*path, n), rate_of(psi.j)
                modulus = np.abs(convolve(u, wavelet(psi.xi, psi.sigma), rate, True))
                modulus = modulus[..., :: rate_below // rate]
                found[below] = keep(modulus, rate_below)
                follow(modulus, rate_below, below, psi.j)

    follow(x, 1, (), -1)
    paths = sorted(found, key=lambda path: (len(path), path))
    rows = range(len(paths)) if transform.selection is None else transform.selection
    return [found[paths[row]] for row in rows]


def as_paths(result: np.ndarray | list[np.ndarray], transform: Scattering1D) -> list[np.ndarray]:
    """Return a call's result as one array a path."""
    if isinstance(result, list):
        return result
    axis = -1 if transform.T == "global" else -2
    return list(np.moveaxis(np.asarray(result), axis, 0))


def worst_path(
    found: list[np.ndarray], expected: list[np.ndarray], *, floor: float = 1e-300
) -> float:
    """Return the largest error over all paths, relative to the path's largest coefficient."""
    assert len(found) == len(expected)
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if a.size:
            worst = max(worst, float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), floor)))
    return worst
