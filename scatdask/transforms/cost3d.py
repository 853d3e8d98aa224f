"""What scattering of volumes costs: bytes and floating-point operations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scatdask.arrays.memory import CACHE_BYTES
from scatdask.filters import solid_harmonic

if TYPE_CHECKING:
    from scatdask.transforms.harmonic_scattering3d import HarmonicScattering3D

Shape = tuple[int, ...]

# Bytes of one row beyond which rows are transformed one by one: they no longer share a cache.
ROW_BYTES = 2**21
# Bytes of the objects that hold one sampled wavelet, beside its values.
FILTER_OVERHEAD = 4096


def workspace3d(transform: HarmonicScattering3D, rows: int, shape: Shape) -> int:
    """Return the bytes that the kernel needs beside its input, output and filters."""
    size = np.dtype(transform.dtype).itemsize
    everything = rows * shape[0] * shape[1] * (shape[2] // 2 + 1)
    if transform.stride is None:
        outputs = matrices = 0
    else:
        counts = [-(-n // transform.stride) for n in shape]
        at_once = (transform.L + 1) * len(transform.integral_powers)
        outputs = rows * min(at_once, transform.n_paths) * math.prod(counts)
        matrices = 3 * sum(n * count for n, count in zip(shape, counts, strict=True))
    result = size * (outputs + matrices)
    plane = 8 * rows * shape[1] * shape[2]  # of planes in float64
    order0 = 3 * min(max(CACHE_BYTES, plane), plane * shape[0])
    if not transform.branches:
        return order0 + result
    columns = beside = 0
    for branch in transform.branches:
        wide = _bins(transform, branch.j, branch.degrees, shape)
        columns = max(columns, rows * _powers_of_z(transform, branch.degrees) * _slab(wide, shape))
        cut = rows * _cut(wide, shape)
        spectra = 0
        for degree, scales in branch.children:
            bins = [_bins(transform, j2, (degree,), shape) for j2 in scales]
            columns = max(
                columns,
                *(rows * _powers_of_z(transform, (degree,)) * _slab(b, shape) for b in bins),
            )
            widest = tuple(max(sizes) for sizes in zip(*bins, strict=True))
            spectra += rows * _slab(widest, shape)
            # What was collected is cut along the first axis, and then for each scale.
            last = rows * math.prod(widest) if widest[0] < shape[0] else 0
            cut = max(cut, last + max(rows * _cut(b, widest) for b in bins))
        beside = max(beside, spectra + cut)
    highest = max(degree for branch in transform.branches for degree in branch.degrees)
    plane = transform.plane_bytes(rows, highest, shape)
    batch = min(max(CACHE_BYTES // plane, 1), shape[0]) * plane
    # Spectra, outputs and the padding of pruned spectra; then moduli, their powers and spectra.
    batch = batch * 3 // 2 + 5 * batch // (2 * highest + 1)
    beginning = everything * (16 + (0 if size == 8 else 2 * size))
    cascade = 2 * size * (everything + columns + beside) + batch
    return max(order0, beginning, cascade) + result


def filter_memory3d(transform: HarmonicScattering3D, shape: Shape) -> int:
    """Return the bytes of the filters for volumes of a padded shape, which are kept."""
    words = count = 0
    for j, degrees in _nodes(transform):
        bins = _bins(transform, j, degrees, shape)
        words += _powers_of_z(transform, degrees) * bins[0]
        for degree in degrees:
            for order in transform.orders(degree):
                powers = {z for z, _, _ in solid_harmonic(degree, order)}
                words += len(powers) * bins[1] * bins[2]
                count += 1
            if transform.is_asymmetric(j, degree, shape):
                # Each order is odd along two axes at most, but for few.
                faces = [math.prod(bins) // b for b in bins]
                words += (2 * degree + 1) * sum(sorted(faces)[1:])
                count += 3 * (2 * degree + 1)
    return 2 * np.dtype(transform.dtype).itemsize * words + FILTER_OVERHEAD * count


def flops3d(transform: HarmonicScattering3D, shape: Shape) -> float:
    """Estimate the floating-point operations of the FFTs for volumes of a shape."""
    rows, core = math.prod(shape[:-3]), shape[-3:]

    def fft(n: int, columns: int) -> float:
        return 5 * n * math.log2(max(n, 2)) * columns

    z, y, x = core
    total = 0.5 * fft(math.prod(core), 1)
    for branch in transform.branches:
        followed = {degree for degree, _ in branch.children}
        nodes = [(branch.j, branch.degrees)]
        nodes += [(j2, (degree,)) for degree, scales in branch.children for j2 in scales]
        for j, degrees in nodes:
            _, b_y, b_x = _bins(transform, j, degrees, core)
            wavelets = sum(len(transform.orders(degree)) for degree in degrees)
            total += _powers_of_z(transform, degrees) * fft(z, b_y * b_x)
            total += wavelets * (fft(y, z * b_x) + fft(x, z * y) / 2)
        total += len(followed) * fft(math.prod(core), 1) / 2
    return rows * total


def _nodes(transform: HarmonicScattering3D) -> set[tuple[int, tuple[int, ...]]]:
    """Return each scale with the degrees that are sampled together."""
    first = {(branch.j, branch.degrees) for branch in transform.branches}
    return first | {
        (j2, (degree,))
        for branch in transform.branches
        for degree, scales in branch.children
        for j2 in scales
    }


def _bins(
    transform: HarmonicScattering3D, j: int, degrees: tuple[int, ...], shape: Shape
) -> tuple[int, int, int]:
    """Return the bins along each axis that the wavelets of a scale and some degrees have."""
    z, y, x = (transform.band(j, max(degrees), n) for n in shape)
    return z, y, x // 2 + 1


def _powers_of_z(transform: HarmonicScattering3D, degrees: tuple[int, ...]) -> int:
    return len(
        {
            z
            for degree in degrees
            for order in transform.orders(degree)
            for z, _, _ in solid_harmonic(degree, order)
        }
    )


def _slab(bins: tuple[int, ...], shape: Shape) -> int:
    """Return the numbers that are left when the first axis was transformed."""
    return shape[0] * bins[1] * bins[2]


def _cut(bins: tuple[int, ...], of: Shape) -> int:
    """Return the numbers of a spectrum that is cut to some bins, axis by axis."""
    first = bins[0] * of[1] * bins[2] if bins[0] < of[0] else 0
    return first + (math.prod(bins) if bins[1] < of[1] else 0)
