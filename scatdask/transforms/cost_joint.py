"""What joint time-frequency scattering costs: batches that fit the cache, memory, operations."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from scatdask.arrays.memory import CACHE_BYTES
from scatdask.transforms.cost1d import wavelets_at_once
from scatdask.transforms.planes import Plane, Strip
from scatdask.transforms.tuning import LANES

if TYPE_CHECKING:
    from scatdask.transforms.time_frequency import TimeFrequencyScattering

# Bytes of the first-order moduli and one plane of the rows that one pass takes.
WORKING_SET = 2**24


def rows_at_once(transform: TimeFrequencyScattering, rows: int, n: int) -> int:
    """Return how many rows of padded length `n` a kernel takes in one pass."""
    return min(max(WORKING_SET // workspace(transform, 1, n), 1), max(rows, 1))


def columns_at_once(m: int, memory: int, dtype: str) -> int:
    """Return how many samples in time of m places each are filtered along frequency together.

    Such that two products and their sum, which are complex, and two moduli fit some memory.
    """
    return max(memory // (8 * m * np.dtype(dtype).itemsize), 64)


def workspace(transform: TimeFrequencyScattering, rows: int, n: int) -> int:
    """Return the bytes that the kernel needs beside its input, output and filters.

    Parameters
    ----------
    transform : TimeFrequencyScattering
    rows : int
        Signals in one pass.
    n : int
        Padded length of each.
    """
    dtype = transform.dtype
    held = product = moduli = 0
    for wavelets, log2_rate in transform.octaves:
        length, count = n >> log2_rate, len(wavelets)
        at_once = wavelets_at_once(count, rows, length, dtype, CACHE_BYTES)
        batch = _filled(rows * at_once)
        product, moduli = max(product, 2 * batch * length), max(moduli, batch * length)
        whole, rest = divmod(count, at_once)
        # Half spectra of all moduli stay until the last plane is done.
        held += (whole * batch + _filled(rows * rest)) * (length + 2)
    n_smooth = n >> transform.log2_stride
    averaged = 2 * rows * transform.axis.n_bank * n_smooth if transform.wants_order1 else 0
    working = finishing = 0
    for plane in transform.planes:
        columns = rows * (n >> plane.log2_rate)
        samples = 2 * plane.n_rows * columns
        for strip in plane.strips:
            m, places = _sizes(transform, plane, strip)
            some = min(columns_at_once(m, CACHE_BYTES, dtype), columns)
            working = max(working, some * (8 * m + 2 * plane.n_rows))
            # Outputs of both spins, laid together one at a time, and their average in time.
            ends = places * (4 * columns + 4 * rows * n_smooth)
            finishing = max(finishing, samples + ends)
        finishing = max(finishing, 2 * samples)
    words = rows * (n + 2) + held + product + moduli + averaged + working + finishing
    return np.dtype(dtype).itemsize * (words + 2 * LANES * n)


def filter_memory(transform: TimeFrequencyScattering, n: int) -> int:
    """Return the bytes of the filters for rows of padded length `n`, which are kept."""
    words = 0
    for plane in transform.planes:
        for strip in plane.strips:
            m, places = _sizes(transform, plane, strip)
            words += m * (2 * plane.n_rows + places)
    # Along time they are those of a scattering in time with the same parents and children.
    rows_of = {plane.n2: plane.n_rows for plane in transform.planes}
    n_first = max(rows_of.values(), default=0)
    needed = tuple(
        row
        for row, path in enumerate(transform.cascade.all_path_indices)
        if (len(path) == 1 and path[0] < n_first)
        or (len(path) == 2 and path[0] < rows_of.get(path[1], 0))
    )
    in_time = dataclasses.replace(transform.cascade, selection=needed or (0,))
    return in_time.filter_memory((n,)) + np.dtype(transform.dtype).itemsize * words


def flops(transform: TimeFrequencyScattering, shape: tuple[int, ...]) -> float:
    """Estimate the floating-point operations for an input of a shape ``(..., n)``.

    Counts ``5 n log2 n`` for a complex FFT and half for a real one, and two for each factor of a
    matrix product.
    """
    *batch, n = shape

    def fft(length: float) -> float:
        return 5 * length * math.log2(max(length, 2.0))

    total = fft(n) / 2
    for wavelets, log2_rate in transform.octaves:
        total += 1.5 * len(wavelets) * fft(n / 2**log2_rate)
    for plane in transform.planes:
        columns = n / 2**plane.log2_rate
        if plane.n2 is not None:
            total += plane.n_rows * fft(columns)
        for strip in plane.strips:
            m, places = _sizes(transform, plane, strip)
            total += columns * m * (8 * plane.n_rows + 2 * places)
    return math.prod(batch) * total


def _sizes(transform: TimeFrequencyScattering, plane: Plane, strip: Strip) -> tuple[int, int]:
    """Return how many moduli along frequency a strip needs, and how many outputs it has."""
    at = transform.axis.moduli_at(strip.n_fr, strip.places, plane.n_rows, transform.dtype)
    return len(at), len(strip.places)


def _filled(batch: int) -> int:
    """Return the rows of a batch that fills the lanes of the FFT."""
    return -(-batch // LANES) * LANES
