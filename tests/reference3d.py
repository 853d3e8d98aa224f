"""Solid harmonic scattering, written from its definition: slow, plain, float64.

Wavelets are complex, one for each m, made of spherical harmonics: sampled in space around a
periodic volume, or sampled in frequency as Kymatio does. Each convolution is a full complex FFT.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import sph_harm_y

from scatdask import HarmonicScattering3D
from tests.reference import PAD_MODES


def norm(degree: int) -> float:
    """Return what makes the L1 norm of the modulus over all m one: a radial integral."""
    r = np.linspace(0, 40, 400_001)
    radial = np.trapezoid(r ** (degree + 2) * np.exp(-(r**2) / 2), r)
    return 1 / (math.sqrt(4 * math.pi * (2 * degree + 1)) * radial)


def solid_harmonic_gaussian(points: np.ndarray, degree: int, m: int) -> np.ndarray:
    """Return r^l Y_lm exp(-r^2 / 2) at points, shape (3, ...): z, y, x."""
    z, y, x = points
    r = np.sqrt(z**2 + y**2 + x**2)
    # Kymatio's polar angle begins at the lower pole; the modulus does not notice.
    polar, azimuth = np.arctan2(z, np.hypot(x, y)) + np.pi / 2, np.arctan2(y, x)
    return sph_harm_y(degree, m, polar, azimuth) * r**degree * np.exp(-(r**2) / 2)


def response_in_space(shape: tuple[int, ...], sigma: float, degree: int, m: int) -> np.ndarray:
    """Sample a wavelet at all samples of a periodic volume, and transform that."""
    reach = math.ceil((8 + degree / 2) * sigma)
    points = np.mgrid[(slice(-reach, reach + 1),) * 3]
    values = norm(degree) * solid_harmonic_gaussian(points / sigma, degree, m) / sigma**3
    if degree:  # a wavelet has no mean, and a lattice is not quite as round as space
        gauss = solid_harmonic_gaussian(points / sigma, 0, 0)
        values -= gauss * (values.sum() / gauss.sum())
    folded = np.zeros(shape, complex)
    index = tuple(axis % n for axis, n in zip(points, shape, strict=True))
    np.add.at(folded, index, values)
    return np.fft.fftn(folded)


def response_in_frequency(shape: tuple[int, ...], sigma: float, degree: int, m: int) -> np.ndarray:
    """Evaluate a wavelet's Fourier transform at the frequencies of a DFT, from -pi on."""
    omega = np.stack(np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij"))
    factor = norm(degree) * (2 * np.pi) ** 1.5 * (-1j) ** degree
    return factor * solid_harmonic_gaussian(sigma * omega, degree, m)


RESPONSES = {"space": response_in_space, "frequency": response_in_frequency}


class Wavelets:
    """The responses of a transform for one shape, each made once."""

    def __init__(self, transform: HarmonicScattering3D, shape: tuple[int, ...]) -> None:
        self._transform, self._shape = transform, shape
        self._kept: dict[tuple[int, int, int], np.ndarray] = {}

    def moduli(self, x: np.ndarray, j: int, degree: int) -> np.ndarray:
        """Return the modulus over all m of the wavelet transform of a volume."""
        transform = self._transform
        orders = range(-degree, degree + 1) if transform.rotation_covariant else [-degree]
        spectrum, total = np.fft.fftn(x, axes=(-3, -2, -1)), 0.0
        for m in orders:
            key = j, degree, m
            if key not in self._kept:
                sigma = transform.sigma_0 * 2**j
                self._kept[key] = RESPONSES[transform.sampling](self._shape, sigma, degree, m)
            filtered = np.fft.ifftn(spectrum * self._kept[key], axes=(-3, -2, -1))
            total = total + np.abs(filtered) ** 2
        return np.sqrt(total)


def low_pass(u: np.ndarray, sigma: float) -> np.ndarray:
    """Average a periodic volume by a Gaussian of unit sum."""
    for axis in (-3, -2, -1):
        n = u.shape[axis]
        time = np.arange(-math.ceil(9 * sigma), math.ceil(9 * sigma) + 1)
        taps = np.exp(-((time / sigma) ** 2) / 2)
        folded = np.zeros(n)
        np.add.at(folded, time % n, taps / taps.sum())
        response = np.fft.fft(folded).reshape(-1, *(1,) * (-axis - 1))
        u = np.fft.ifft(np.fft.fft(u, axis=axis) * response, axis=axis).real
    return u


def scattering3d(transform: HarmonicScattering3D, x: np.ndarray) -> np.ndarray:
    """Return the coefficients of all paths of volumes (rows, z, y, x): (rows, path, *core)."""
    shape = x.shape[1:]
    J, sigma = transform.J, transform.sigma_0 * 2**transform.J
    before = [0, 0, 0]
    for axis, (n, boundary) in enumerate(zip(shape, transform.boundaries, strict=True)):
        step = transform.stride or 1
        if boundary == "periodic" and n % step == 0:
            continue
        # Longer than any chain is wide, so that the circle never closes on the volume.
        margin = -(-math.ceil(22 * sigma) // step) * step
        widths = [(0, 0)] * 4
        widths[axis + 1] = (margin, margin + -n % step)
        x = np.pad(x, widths, mode=PAD_MODES[boundary])
        before[axis] = margin
    wavelets = Wavelets(transform, x.shape[1:])

    def last(u: np.ndarray) -> list[np.ndarray]:
        outputs = []
        for q in transform.integral_powers:
            y = u**q
            if transform.stride is None:
                kept = [slice(b, b + n) for b, n in zip(before, shape, strict=True)]
                outputs.append(y[:, *kept].sum(axis=(1, 2, 3)))
            else:
                step = transform.stride
                kept = [slice(b, b + n, step) for b, n in zip(before, shape, strict=True)]
                outputs.append(low_pass(y, sigma)[:, *kept])
        return outputs

    first = {
        (j, degree): wavelets.moduli(x, j, degree)
        for j, degree in itertools.product(range(J + 1), range(transform.L + 1))
    }
    paths = last(np.abs(x))
    for u in first.values():
        paths += last(u)
    if transform.max_order == 2:
        for j1, j2 in itertools.combinations(range(J + 1), 2):
            for degree in range(transform.L + 1):
                paths += last(wavelets.moduli(first[j1, degree], j2, degree))
    return np.stack(paths, axis=1)


def worst_path(found: np.ndarray, expected: np.ndarray, *, floor: float = 1e-300) -> float:
    """Return the largest error of any path of (rows, path, *core), relative to its maximum."""
    assert found.shape == expected.shape
    flat = [
        np.moveaxis(np.asarray(a, np.float64), 1, 0).reshape(a.shape[1], -1)
        for a in (found, expected)
    ]
    size = np.abs(flat[1]).max(axis=1)
    return float((np.abs(flat[0] - flat[1]).max(axis=1) / np.maximum(size, floor)).max())
