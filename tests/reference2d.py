"""The 2-D scattering transform, written from its definition: slow, plain, float64.

Filters are sampled in space and wrapped around; images are extended by `numpy.pad`, filtered by
full complex FFTs and subsampled by slicing. Nothing of scatdask is used but parameters.
"""

from __future__ import annotations

import numpy as np

from scatdask import Scattering2D
from tests.reference import PAD_MODES


def gabor(shape, rate, sigma, theta, xi, slant):
    """Return samples `rate` apart of a Gabor filter on a torus, shape `shape`.

    As in Kymatio theta is the angle from the first axis to the second, and xi is in radians.
    """
    height, width = shape
    reach = int(np.ceil(9 * sigma * max(1, 1 / slant) / rate))
    y, x = rate * np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = y * np.cos(theta) + x * np.sin(theta), x * np.cos(theta) - y * np.sin(theta)
    values = np.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2) + 1j * xi * along)
    wrapped = np.zeros(shape, dtype=complex)
    places = (y // rate % height, x // rate % width)
    np.add.at(wrapped, places, rate**2 * values / (2 * np.pi * sigma**2 / slant))
    return wrapped


def wavelet(shape, rate, j, direction, L):
    """Return the frequency response of a wavelet on images subsampled by a rate."""
    theta = (int(L - L / 2 - 1) - direction) * np.pi / L
    sigma, xi, slant = 0.8 * 2**j, 3 * np.pi / 4 / 2**j, 4 / L
    wave = gabor(shape, rate, sigma, theta, xi, slant)
    envelope = gabor(shape, rate, sigma, theta, 0, slant)
    response = np.fft.fft2(wave - envelope * (wave.sum() / envelope.sum())).real
    response[0, 0] = 0
    return response


def low_pass(shape, rate, J):
    """Return the frequency response of the low-pass, whose sum over every sample is one."""
    sigma = 0.8 * 2 ** (J - 1)
    total = gabor((1, 1), 1, sigma, 0, 0, 1.0).real
    return np.fft.fft2(gabor(shape, rate, sigma, 0, 0, 1.0)).real / total


def cropped(response, rate):
    """Return the lowest frequencies of a response, as Kymatio does for subsampled images."""
    height, width = response.shape[0] // rate, response.shape[1] // rate
    rows, columns = (np.round(np.fft.fftfreq(n, 1 / n)).astype(int) for n in (height, width))
    return response[np.ix_(rows, columns)]


def scattering2d(transform: Scattering2D, x: np.ndarray) -> np.ndarray:
    """Return the coefficients, shape (..., path, y, x)."""
    J, L, stride = transform.J, transform.L, transform.stride
    sizes, widths = x.shape[-2:], []
    for n, boundary in zip(sizes, transform.boundaries, strict=True):
        if boundary == "periodic" and n % 2**J == 0:
            widths.append((0, 0))
        else:
            # Longer than any filter cascade is wide, so that the torus never closes on the image.
            before = 2**J * int(np.ceil(12 * max(1, L / 8)))
            widths.append((before, before + -n % 2**J))
    none = [(0, 0)] * (x.ndim - 2)
    x = np.pad(x, [*none, widths[0], (0, 0)], mode=PAD_MODES[transform.boundaries[0]])
    x = np.pad(x, [*none, (0, 0), widths[1]], mode=PAD_MODES[transform.boundaries[1]])
    shape = x.shape[-2:]

    def response(make, rate, *args):
        if transform.sampling == "frequency":
            return cropped(make(shape, 1, *args), rate)
        return make((shape[0] // rate, shape[1] // rate), rate, *args)

    def filtered(u, response, step):
        return np.fft.ifft2(np.fft.fft2(u) * response)[..., ::step, ::step]

    def average(u, rate):
        smooth = filtered(u, response(low_pass, rate, J), stride // rate).real
        for axis, n, (before, _) in zip((-2, -1), sizes, widths, strict=True):
            kept = np.arange(before // stride, -(-(before + n) // stride))
            smooth = np.take(smooth, kept, axis=axis)
        return smooth

    bank = [(j, direction) for j in range(J) for direction in range(L)]
    order1, order2 = [], []
    for j1, direction1 in bank:
        rate1 = min(2**j1, stride)
        u1 = np.abs(filtered(x, wavelet(shape, 1, j1, direction1, L), rate1))
        order1.append(average(u1, rate1))
        for j2, direction2 in bank:
            if transform.max_order == 2 and j2 > j1:
                rate2 = min(2**j2, stride)
                psi = response(wavelet, rate1, j2, direction2, L)
                order2.append(average(np.abs(filtered(u1, psi, rate2 // rate1)), rate2))
    paths = [average(x, 1), *order1, *order2]
    rows = range(len(paths)) if transform.selection is None else transform.selection
    return np.stack([paths[row] for row in rows], axis=-3)


def worst_path2d(found, expected, *, floor=1e-300):
    """Return the largest error over all paths, relative to the path's largest coefficient."""
    assert found.shape == expected.shape
    axes = (*range(found.ndim - 3), -2, -1)
    found, expected = (np.asarray(a, np.float64) for a in (found, expected))
    error = np.abs(found - expected).max(axis=axes)
    return float((error / np.maximum(np.abs(expected).max(axis=axes), floor)).max())
